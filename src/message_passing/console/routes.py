"""The console's web application: read-only, the same on the control socket and over HTTP.

/state /senders /errors /history /losses    JSON
/tail                               JSON lines, endless
/metrics                            Prometheus
/health /ready                      for supervisors and load balancers
/ /static/NAME                      the page
"""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from message_passing.console.exposition import Exposition
from message_passing.console.history import STEPS
from message_passing.console.loss_reader import LossReader
from message_passing.console.message_filter import MessageFilter
from message_passing.console.query import Query
from message_passing.console.recent_errors import KEPT
from message_passing.console.senders import MOST_SENDERS, Order
from message_passing.console.state import state
from message_passing.console.tailing import Tail
from message_passing.errors import UserError, did_you_mean, needs_extra
from message_passing.ledger.period import period
from message_passing.message_fields import LEVELS, NAMES

with needs_extra("console"):
    from prometheus_client.exposition import generate_latest as plain_text
    from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from message_passing.console.topology import ComponentView
    from message_passing.console.watcher import ServerWatcher
    from message_passing.node_identity import NodeIdentity

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SCRAPED = 150.0
"""Seconds after a scrape within which the next one is expected: two minutes are a common interval."""

_LINES_TYPE = "application/x-ndjson"
_STATIC, _MONITORING = (
    resources.files("message_passing.console") / name for name in ("static", "monitoring")
)
_TABLES = {"LEVELS": LEVELS, "NAMES": NAMES}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_TYPES |= {"yml": "application/yaml", "json": "application/json"}  # RFC 9512, RFC 8259
_MOST_A_SECOND = 100_000
"""Messages a second that a live tail may be limited to."""

_FRESH = 0.1
"""Seconds for which an answer is cached for the same request."""

_FILES = {
    file.name: file
    for folder in (_STATIC, _MONITORING)
    for file in folder.iterdir()
    if file.name.rpartition(".")[2] in _TYPES
}


class _JSON(Response):
    """JSON, by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """As text."""
        return msgspec.json.encode(content, enc_hook=str)


class Routes:
    """What each path answers."""

    def __init__(self, watcher: ServerWatcher, node: NodeIdentity) -> None:
        """Prepare them.

        Args:
            watcher: who watches the node.
            node: what it is.
        """
        self._watcher = watcher
        self._ledger = LossReader()
        self._state_text = _Fresh(lambda: msgspec.json.encode(state(watcher, node), enc_hook=str))
        self._metrics_text = {
            encode: _Fresh(partial(Exposition(watcher).text, encode))
            for encode in (plain_text, openmetrics_text)
        }

    def app(self) -> Starlette:
        """All of them as one ASGI application."""
        answers = {
            "/": self._page,
            "/static/{name}": self._page,
            "/state": self._state,
            "/senders": self._senders,
            "/errors": self._errors,
            "/history": self._history,
            "/losses": self._losses,
            "/tail": self._tail,
            "/metrics": self._metrics,
            "/health": self._health,
            "/ready": self._ready,
        }
        app = Starlette(
            routes=[Route(path, answer) for path, answer in answers.items()],
            exception_handlers={HTTPException: _refused, UserError: _wrong, Exception: _failed},
        )
        app.router.redirect_slashes = False  # it would lead to wherever the request says that we are
        return app

    async def _state(self, request: Request) -> Response:
        _query(request)
        self._watcher.asked()
        await self._watcher.refresh()
        return Response(self._state_text.get(), media_type="application/json")

    async def _senders(self, request: Request) -> Response:
        query = _query(request, "sort", "search", "limit", "offset")
        sort: Any = query.text("sort", "lost")
        if sort not in (orders := get_args(Order)):
            hint = did_you_mean(sort, orders)
            raise HTTPException(400, f"sort must be one of {', '.join(orders)}, not {sort[:50]!r}{hint}")
        limit, offset = query.number("limit", 100, MOST_SENDERS), query.number("offset", 0, 1_000_000_000)
        return _JSON(self._watcher.books.page(sort, query.text("search"), limit, offset))

    async def _errors(self, request: Request) -> Response:
        reports = self._watcher.reports
        last = reports.last(_query(request, "limit").number("limit", KEPT, KEPT))
        return _JSON({"count": reports.count, "errors": last})

    async def _history(self, request: Request) -> Response:
        seconds = _query(request, "seconds").number("seconds", STEPS, STEPS)
        names = [place.id for place in self._watcher.layout.places]
        return _JSON(self._watcher.history.last(seconds, names))

    async def _losses(self, request: Request) -> Response:
        query = _query(request, "since", "until", "node")
        asked = period(query.text("since"), query.text("until"), time.time())
        losses = self._watcher.server.losses
        if (path := losses.ledger) is None:
            raise HTTPException(404, "this node does not keep a ledger of losses: see --state_dir")
        try:
            return _JSON(await self._ledger.read(path, asked, query.text("node", losses.node)))
        except TimeoutError as error:
            raise HTTPException(
                503, "others are reading the ledger: try again later", {"Retry-After": "5"}
            ) from error

    async def _tail(self, request: Request) -> Response:
        query = _query(request, "at", "level", "field", "search", "where", "limit", repeated=("field",))
        place = self._at(query.text("at"))
        level, search, where = (query.text(name) for name in ("level", "search", "where"))
        wanted = MessageFilter.of(level, query.texts("field"), search, where)
        limit = query.number("limit", 0, _MOST_A_SECOND)
        watcher, connection = self._watcher, request.scope["connection"]
        listener, log = connection.listener, watcher.log
        if request.method == "HEAD":
            return Response(media_type=_LINES_TYPE)
        if not listener.admits_watcher():
            raise HTTPException(503, "too many live tails: try again later", {"Retry-After": "5"})
        tail = Tail(wanted, limit, lambda: watcher.governor.admit(listener.lane))

        def missed(count: int) -> None:
            log.missed += count

        async def stream() -> AsyncIterator[bytes]:
            yield b'{"alive":true}\n'  # from now on nothing is missed
            async for block in tail.lines(watcher.ended, missed):
                yield block

        @asynccontextmanager
        async def watching() -> AsyncIterator[None]:
            with listener.watching(connection):
                async with watcher.tapped(place.component, tail.tap):
                    yield

        return _Stream(stream(), watching())

    def _at(self, name: str) -> ComponentView:
        layout = self._watcher.layout
        place, hint = layout.find(name) if name else (layout.shown_at(), "")
        if place is None:
            raise HTTPException(404, f"there is no component {name[:50]!r}{hint}")
        if place.in_workers:
            raise HTTPException(409, f"{name!r} runs in the workers: tail a component before or after them")
        return place

    async def _metrics(self, request: Request) -> Response:
        await self._watcher.refresh()
        self._watcher.asked(_SCRAPED)
        if "application/openmetrics-text" in request.headers.get("accept", ""):
            return Response(self._metrics_text[openmetrics_text].get(), media_type=_OPENMETRICS_TYPE)
        return Response(self._metrics_text[plain_text].get(), media_type=_METRICS_TYPE)

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        server = self._watcher.server
        if server.stopping:
            return PlainTextResponse("the node is stopping\n", 503)
        if not server.running:
            return PlainTextResponse("the chain is not running yet\n", 503)
        return PlainTextResponse("ready\n")

    async def _page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name == "vocabulary.js":
            return Response(_vocabulary(), media_type=_TYPES["js"], headers={"Cache-Control": "no-cache"})
        file = _FILES.get(name)
        if file is None:
            raise HTTPException(404, "there is no such file")
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(file.read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})


def _vocabulary() -> bytes:
    """The tables of `message_fields`, for the page."""
    tables = (f"export const {name} = {json.dumps(table)};\n" for name, table in _TABLES.items())
    return "".join(("// Names of fields and numbers of levels, as the node knows them.\n", *tables)).encode()


class _Stream(StreamingResponse):
    """A live tail, and what is there as long as it goes on: it ends with it, not when its generator is collected."""

    def __init__(self, lines: AsyncIterator[bytes], watching: AbstractAsyncContextManager[None]) -> None:
        super().__init__(lines, media_type=_LINES_TYPE)
        self._watching = watching

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._watching:
            await super().__call__(scope, receive, send)


class _Fresh:
    """A text that is made on request, and cached for a short time."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._text, self._until = b"", 0.0

    def get(self) -> bytes:
        """The text."""
        if time.monotonic() >= self._until:
            self._text, self._until = self._make(), time.monotonic() + _FRESH
        return self._text


def _query(request: Request, *known: str, repeated: Sequence[str] = ()) -> Query:
    return Query(request.scope["query_string"], known, repeated)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _JSON({"error": error.detail}, error.status_code, error.headers)


async def _wrong(_request: Request, error: Exception) -> Response:
    return _JSON({"error": str(error)}, 400)


async def _failed(_request: Request, _error: Exception) -> Response:
    return _JSON({"error": "the node could not answer this: its standard error says why"}, 500)
