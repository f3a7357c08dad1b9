"""Who may ask, and what a browser may do with the answer.

A page of another site may send a browser to an address on loopback: one that names another host in its request is
refused (DNS rebinding), and no other site may read an answer or show the page in a frame.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    App = Callable[[Any, Any, Any], Awaitable[None]]

OPEN_PATHS = ("/health", "/ready", "/")
"""What needs no token: no more than that the node lives, and the page without any data."""

_OPEN_FOLDER = "/static/"

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, token: str = "", *, browsers: bool = True) -> None:
        """Guard it.

        Args:
            app: the application.
            token: what a request must carry as `Authorization: Bearer TOKEN`; empty where none is asked for.
            browsers: whether a browser can reach it, with what another site made it ask.
        """
        self._browsers = browsers
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if scope["method"] not in ("GET", "HEAD"):
            await _say(send, 405, "this only answers GET: nothing can be changed here")
        elif (
            self._browsers
            and not self._expected
            and not _is_at_home(headers.get(b"host", b"").decode("latin-1"))
        ):
            await _say(send, 403, "it must be asked for by its address, or need a token (--http_token)")
        elif not self._may(scope["path"], headers.get(b"authorization", b"")):
            await _say(send, 401, "it wants its token: Authorization: Bearer TOKEN")
        else:
            await self._app(scope, receive, _with_headers(send))

    def _may(self, path: str, given: bytes) -> bool:
        if not self._expected or path in OPEN_PATHS or path.startswith(_OPEN_FOLDER):
            return True
        return hmac.compare_digest(given, self._expected)


def _is_at_home(host: str) -> bool:
    """Whether a `Host` header is one that only somebody on this machine, or a socket's client, would send."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _with_headers(send: Any) -> Any:
    async def sending(event: Any) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event.get("headers", ()), *_HEADERS]}
        await send(event)

    return sending


async def _say(send: Any, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
