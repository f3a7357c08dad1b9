"""Which requests are allowed.

A page of another site may send a browser to a loopback address. A request that names another host is refused (DNS
rebinding), and so is one that comes from a page of another site: that page could not read the response, but it would
still cost the node something.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from typing import TYPE_CHECKING, Any

from message_passing.console.connections import MOST_HEAD, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from message_passing.console.connections import ListenerConnections

    App = Callable[[Any, Any, Any], Awaitable[None]]

OPEN_PATHS = ("/health", "/ready", "/")
"""Paths that need no token: the health checks, and the page without any data."""

_OPEN_FOLDER = "/static/"

_MOST_TARGET = 4096
"""Bytes of a request's path and parameters."""

_CHECKS = ("/health", "/ready")


class Guard:
    """An ASGI application around another one."""

    def __init__(
        self, app: App, listener: ListenerConnections, token: str = "", *, browsers: bool = True
    ) -> None:
        """Guard it.

        Args:
            app: the application.
            listener: where its requests come from.
            token: what a request must carry as `Authorization: Bearer TOKEN`; empty if none is required.
            browsers: whether a browser can reach it, and so another site's page through the browser.
        """
        self._browsers = browsers
        self._app = app
        self._listener = listener
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse a request, or pass it on to the application."""
        if scope["type"] != "http":
            return
        listener = self._listener
        is_check = scope["path"] in _CHECKS
        if refusal := self._refusal(scope, dict(scope["headers"])):
            listener.log.refuse(refusal[2])
            await _say(send, *refusal[:2])
        elif is_check:
            if not listener.admits_check():
                await listener.governor.admit(listener.lane)
            await self._answer(scope, receive, send)
        elif listener.requests >= REQUESTS:
            listener.log.refuse("too many requests", tell=True)
            await _say(send, 503, "too many requests at once: try again later")
        else:
            listener.requests += 1
            try:
                await listener.governor.admit(listener.lane)
                await self._answer(scope, receive, send)
            finally:
                listener.requests -= 1

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application; if that fails, log one line and close the connection."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not write a traceback for each request
            self._listener.log.fail(scope["path"][:50], error)
            scope["connection"].transport.close()

    def _refusal(self, scope: Any, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        """The status, sentence and counted reason for a request that is refused; None if it is allowed."""
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET is supported: nothing can be changed here", "method"
        if scope["http_version"] not in ("1.0", "1.1"):
            return 505, "only HTTP/1.0 and HTTP/1.1 are supported", "malformed request"
        if len(scope["raw_path"]) + len(scope["query_string"]) > _MOST_TARGET:
            return 414, f"path and parameters may have at most {_MOST_TARGET} bytes", "request too large"
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEAD:
            return 431, f"the headers may have at most {MOST_HEAD} bytes", "request too large"
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0"):
            return 400, "a GET must not have a body", "malformed request"
        if self._browsers and (sentence := _of_browser(scope["path"], headers, self._expected)):
            return 403, sentence, "from another site"
        if not self._may(scope["path"], headers.get(b"authorization", b"")):
            return 401, "it requires a token: Authorization: Bearer TOKEN", "token"
        return None

    def _may(self, path: str, given: bytes) -> bool:
        if not self._expected or path in OPEN_PATHS or path.startswith(_OPEN_FOLDER):
            return True
        return hmac.compare_digest(given, self._expected)


def _of_browser(path: str, headers: Mapping[bytes, bytes], token: bytes) -> str:
    """What is wrong with a request that a browser may have been made to send by a page of another site.

    Browsers say so in `Sec-Fetch-Site` (W3C Fetch Metadata) where the address is one that they trust, as loopback,
    and in `Origin` (RFC 6454) where a script asks. Another port of the same host is another site too. A link to the
    page may be followed.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if not token and not _is_at_home(host):
        return "host not allowed: use the `--http` address, or set `--http_token`"
    followed = path == "/" and headers.get(b"sec-fetch-mode") == b"navigate"
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none") and not followed:
        return "requests from pages of other sites are refused"
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host.lower():
        return "requests from pages of other sites are refused"
    return ""


def _is_at_home(host: str) -> bool:
    """Whether a `Host` header is one that only a program on this machine, or a client of the socket, would send."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


async def _say(send: Any, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status not in (401, 403):  # what else there is on the connection is not looked at
        headers.append((b"connection", b"close"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
