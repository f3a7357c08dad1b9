"""A web server on one listening socket that accepts no more connections than it can look after."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from message_passing.console.connections import CONNECTIONS, HEAD_TIMEOUT, MOST_HEAD, HttpConnection
from message_passing.console.governor import Lane
from message_passing.errors import needs_extra

with needs_extra("console"):
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from message_passing.console.connections import ListenerConnections

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = [
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
]
"""Of every response: what a browser may do with it. No other site may show the page in a frame."""

_SEND_BUFFER = 128 * 1024
"""Bytes that the system may keep of an answer that is not read (SO_SNDBUF, socket(7))."""

_GRACE = 0.8
"""Seconds that responses in progress may take at the end."""

_TOGETHER = 16
"""Connections that are accepted at a time before other work has its turn."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
)


class BoundedServer(uvicorn.Server):
    """A web server on one listening socket that accepts no more connections than it can look after."""

    def __init__(self, listener: ListenerConnections, app: Any) -> None:
        """Prepare it.

        Args:
            listener: what its connections share.
            app: answers, an ASGI application.
        """
        config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=_HEADERS,
            h11_max_incomplete_event_size=MOST_HEAD,
            timeout_keep_alive=int(HEAD_TIMEOUT),
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._listener = listener
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections from now on, on the one socket."""
        (opened,) = sockets or []
        await self.lifespan.startup()
        self.servers = []
        self.started = True
        self._accepting = asyncio.create_task(self._accept(opened))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and end those that are open."""
        if self._accepting:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        connections: list[Any] = list(self.server_state.connections)
        for one in connections:
            if one.stalled_since < float("inf"):
                one.transport.abort()  # it would not read the end either
            else:
                one.shutdown()
        await self._tasks_end(_GRACE)
        connections = list(self.server_state.connections)
        for one in connections:
            one.transport.abort()
        await self._tasks_end(_GRACE)
        await super().shutdown(sockets)

    async def _tasks_end(self, seconds: float) -> None:
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=seconds)

    async def _accept(self, opened: socket.socket) -> None:
        loop, listener = asyncio.get_running_loop(), self._listener
        lane = min(listener.lane, Lane.ACCEPT)
        while True:
            await listener.governor.admit(lane)
            try:
                accepted, _ = await loop.sock_accept(opened)
                await self._take(accepted)
                for _ in range(_TOGETHER):
                    accepted, _ = opened.accept()
                    await self._take(accepted)
            except BlockingIOError:  # these were all
                continue
            except OSError as error:  # no descriptor is left
                listener.log.say("accept", f"cannot accept a connection: {error.strerror}")
                await asyncio.sleep(1)

    async def _take(self, accepted: socket.socket) -> None:
        """Serve a connection, or close it."""
        log = self._listener.log
        with contextlib.suppress(OSError):
            accepted.setblocking(False)
            if _has_left(accepted):
                log.refuse("connection without a request")
            elif not self._make_room():
                log.refuse("too many connections", tell=True)
                accepted.send(_FULL)
            else:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: HttpConnection(self._listener, self), accepted
                )
                return
        accepted.close()

    def _make_room(self) -> bool:
        """Whether there is room for one more connection, after closing another one if need be."""
        connections: list[Any] = list(self.server_state.connections)
        if len(connections) < CONNECTIONS:
            return True
        first = min(connections, key=lambda one: one.waiting_since)
        if first.waiting_since == float("inf"):
            return False
        first.give_way()
        self.server_state.connections.discard(first)
        return True


def _has_left(accepted: socket.socket) -> bool:
    """Whether the client has already disconnected without sending anything."""
    try:
        return not accepted.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
