"""The application that answers: read only, the same on the control socket and over HTTP.

/state /senders /errors /history    JSON
/tail                               JSON lines, endless
/metrics                            Prometheus
/health /ready                      for whoever restarts or balances
/ /static/NAME                      the page
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from message_passing.console.exposition import Exposition
from message_passing.console.senders import Order, senders
from message_passing.console.state import state
from message_passing.console.tailing import Tail
from message_passing.console.wanted import Wanted
from message_passing.errors import UserError, did_you_mean, needs_extra

with needs_extra("console"):
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from message_passing.console.layout import Place
    from message_passing.console.watcher import Watcher

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATIC = resources.files("message_passing.console") / "static"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MOST = 10_000
"""Of whatever is asked for with a `limit`."""


class _JSON(Response):
    """JSON, by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """As text."""
        return msgspec.json.encode(content, enc_hook=str)


class Answers:
    """What each path answers."""

    def __init__(self, watcher: Watcher, title: str) -> None:
        """Prepare them.

        Args:
            watcher: who watches the node.
            title: what the command is called.
        """
        self._watcher = watcher
        self._title = title
        self._exposition = Exposition(watcher)

    def app(self) -> Starlette:
        """All of them as one ASGI application."""
        answers = {
            "/": self._page,
            "/static/{name}": self._page,
            "/state": self._state,
            "/senders": self._senders,
            "/errors": self._errors,
            "/history": self._history,
            "/tail": self._tail,
            "/metrics": self._metrics,
            "/health": self._health,
            "/ready": self._ready,
        }
        return Starlette(
            routes=[Route(path, answer) for path, answer in answers.items()],
            exception_handlers={HTTPException: _refused, UserError: _wrong},
        )

    async def _state(self, _request: Request) -> Response:
        self._watcher.asked()
        await self._watcher.refresh()
        return _JSON(state(self._watcher, self._title))

    async def _senders(self, request: Request) -> Response:
        sort: Any = request.query_params.get("sort", "lost")
        if sort not in (orders := get_args(Order)):
            raise HTTPException(400, f"sort is one of {', '.join(orders)}{did_you_mean(sort, orders)}")
        search = request.query_params.get("search", "")
        return _JSON(senders(self._watcher.layout, sort, search, _number(request, "limit", 100)))

    async def _errors(self, request: Request) -> Response:
        reports = self._watcher.reports
        last = reports.last(_number(request, "limit", 100))
        return _JSON({"count": reports.count, "errors": last})

    async def _history(self, request: Request) -> Response:
        names = [place.id for place in self._watcher.layout.places]
        return _JSON(self._watcher.history.last(_number(request, "seconds", 3600), names))

    async def _tail(self, request: Request) -> Response:
        words = request.query_params
        place = self._at(words.get("at", ""))
        wanted = Wanted.of(words.get("level", ""), words.getlist("field"), words.get("search", ""))
        tail = Tail(wanted, _number(request, "limit", 0))

        async def stream() -> AsyncIterator[bytes]:
            async with self._watcher.tapped(place.component, tail.tap):
                yield b'{"alive":true}\n'  # from now on nothing is missed
                async for block in tail.lines(self._watcher.ended):
                    yield block

        return StreamingResponse(stream(), media_type="application/x-ndjson")

    def _at(self, name: str) -> Place:
        layout = self._watcher.layout
        place, hint = layout.find(name) if name else (layout.shown_at(), "")
        if place is None:
            raise HTTPException(404, f"there is no component {name!r}{hint}")
        if place.in_workers:
            raise HTTPException(409, f"{name!r} runs in the workers: look at what is before or behind them")
        return place

    async def _metrics(self, _request: Request) -> Response:
        await self._watcher.refresh()
        return Response(self._exposition.text(), media_type=_METRICS_TYPE)

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        server = self._watcher.server
        if server.stopping:
            return PlainTextResponse("it is ending\n", 503)
        if not server.running:
            return PlainTextResponse("the chain does not run yet\n", 503)
        return PlainTextResponse("ready\n")

    async def _page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        file = _STATIC / name
        kind = _TYPES.get(name.rpartition(".")[2])
        if kind is None or "/" in name or not file.is_file():
            raise HTTPException(404, "there is no such file")
        return Response(file.read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise HTTPException(400, f"{name} is a whole number from 0, not {text!r}")
    return min(int(text), _MOST)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _JSON({"error": error.detail}, error.status_code, error.headers)


async def _wrong(_request: Request, error: Exception) -> Response:
    return _JSON({"error": str(error)}, 400)
