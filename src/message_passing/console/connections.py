"""One listening socket of the console and its connections: how many, how long each may take, and who gives way.

uvicorn bounds none of these: it waits forever for a request to begin or end, and for a response to be read.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from message_passing.errors import needs_extra

with needs_extra("console"):
    from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    import uvicorn

    from message_passing.console.access_log import AccessLog
    from message_passing.console.governor import Governor, Lane

CONNECTIONS = 100
"""Connections of one listening socket. For one more, the one that has been idle longest is closed."""

REQUESTS = 60
"""Requests of one listening socket that are answered at a time; the rest is for `/health` and `/ready`."""

WATCHERS = 10
"""Live tails of one listening socket. For one more, one that has not been read for `STALLED` is closed."""

HEAD_TIMEOUT = 5.0
"""Seconds from the connection, or the last answer, to the end of a request's head."""

STALLED = 10.0
"""Seconds after which a response that is not read is abandoned; a live tail, when another one needs its place."""

HEALTH_CHECKS = 20
"""Requests for `/health` and `/ready` in one second, of one listening socket, that go ahead of all others."""

MOST_HEAD = 16 * 1024
"""Bytes of a request's head."""

MOST_UNREAD = 64 * 1024
"""Bytes that a connection may send before they are looked at."""

_HEALTH = (b"GET /health", b"GET /ready", b"HEAD /health", b"HEAD /ready")
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class ListenerConnections:
    """What the connections of one listening socket share.

    Attributes:
        lane: theirs.
        requests: how many are being answered, live tails included.
        watchers: the connections of live tails.
    """

    def __init__(self, lane: Lane, governor: Governor, log: AccessLog) -> None:
        """Start without connections.

        Args:
            lane: when their requests go first.
            governor: lets work begin.
            log: counts what is refused.
        """
        self.lane, self.governor, self.log = lane, governor, log
        self.requests = 0
        self.watchers: list[HttpConnection] = []
        self._checks, self._second = 0, 0

    def checks_left(self) -> int:
        """How many health checks may go before all others in this second."""
        if (second := int(time.monotonic())) != self._second:
            self._checks, self._second = 0, second
        return HEALTH_CHECKS - self._checks

    def admits_check(self) -> bool:
        """Whether one more may go before all others; it is counted."""
        self._checks += 1
        return self.checks_left() >= 0

    def admits_watcher(self) -> bool:
        """Whether there is room for one more live tail; one that is not read may lose its place to it."""
        if len(self.watchers) < WATCHERS:
            return True
        since, stalled = min(((one.stalled_since, one) for one in self.watchers), key=lambda pair: pair[0])
        if time.monotonic() - since < STALLED:
            self.log.refuse("too many live tails", tell=True)
            return False
        self.log.refuse("live tail that was not read")
        self.watchers.remove(stalled)
        stalled.transport.abort()
        return True

    @contextlib.contextmanager
    def watching(self, connection: HttpConnection) -> Any:
        """Within the block, this is the connection of a live tail."""
        self.watchers.append(connection)
        self.log.watchers += 1
        try:
            yield
        finally:
            self.log.watchers -= 1
            with contextlib.suppress(ValueError):  # it has lost its place
                self.watchers.remove(connection)


class HttpConnection(H11Protocol):
    """One connection.

    Attributes:
        waiting_since: when it began to wait for a request; infinite while it waits for us.
        stalled_since: when it stopped to read an answer; infinite while it reads.
    """

    def __init__(self, listener: ListenerConnections, server: uvicorn.Server) -> None:
        super().__init__(server.config, server.server_state, {})
        self.listener = listener
        self.app = self._asked
        self.waiting_since = self.stalled_since = float("inf")
        self._head_since = 0.0
        self._answering = False
        self._is_new = True  # nothing of the next request has come
        self._unread = b""
        self._timer: asyncio.TimerHandle | None = None

    async def _asked(self, scope: Any, receive: Any, send: Any) -> None:
        """A request's head has come."""
        self._stop_timer()
        if self.flow.write_paused:  # the answer before this one is not read yet (pipelining)
            self._watch_reading()
        self._answering = True
        self.waiting_since = float("inf")
        await self.config.loaded_app({**scope, "connection": self}, receive, send)

    def connection_made(self, transport: Any) -> None:
        """It begins."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._stop_timer()
        self._unread = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come when there is room for looking at it."""
        listener, queued = self.listener, bool(self._unread)
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self._unread = b""
            self._refuse(_TOO_LARGE, "request too large")
        elif not queued:
            is_check = self._is_new and data.startswith(_HEALTH) and listener.checks_left() > 0
            self._is_new = False
            if is_check or listener.governor.has_room(listener.lane):
                self._read()
            else:
                self.waiting_since = float("inf")
                self.flow.pause_reading()
                listener.governor.call(listener.lane, self._read)

    def _read(self) -> None:
        data, self._unread = self._unread, b""
        if data and not self.transport.is_closing():
            if not self._answering:
                self.waiting_since = self._head_since
            self.flow.resume_reading()
            super().data_received(data)

    def on_response_complete(self) -> None:
        """An answer has been written."""
        self._answering, self._is_new = False, True
        self._wait_for_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What has come is not HTTP."""
        self.listener.log.refuse("malformed request")
        self._wait_for_head()
        # The library h11 refuses when an answer has begun: there is nothing to say then.
        with contextlib.suppress(Exception):
            super().send_400_response(msg)
        self.transport.close()
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:  # what came before was a request's head
            cycle.disconnected = True
            cycle.message_event.set()

    def pause_writing(self) -> None:
        """It reads more slowly than we write."""
        super().pause_writing()
        self.stalled_since = time.monotonic()
        if self not in self.listener.watchers:
            self._watch_reading()

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self.stalled_since = float("inf")
        if self._answering:
            self._stop_timer()

    def give_way(self) -> None:
        """Another one has more use for its place."""
        self._refuse(b"", "connection without a request")

    def _wait_for_head(self) -> None:
        self.waiting_since = self._head_since = time.monotonic()
        self._start_timer(HEAD_TIMEOUT, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._unread:  # it is we who are late
            self._start_timer(HEAD_TIMEOUT, self._head_is_late)
        elif self.transport.get_write_buffer_size():
            self._watch_reading()
        else:
            begun = bool(self.conn.trailing_data[0])
            self._refuse(_TIMED_OUT if begun else b"", "request that did not come")

    def _watch_reading(self) -> None:
        self._start_timer(STALLED, lambda: self._refuse(b"", "answer that was not read"))

    def _refuse(self, answer: bytes, reason: str) -> None:
        """End it, whatever it is about."""
        self.listener.log.refuse(reason)
        if answer and not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
            self._start_timer(HEAD_TIMEOUT, self.transport.abort)
        else:
            self.transport.abort()

    def _start_timer(self, seconds: float, function: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, function)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
