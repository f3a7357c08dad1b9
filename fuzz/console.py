"""A node's console and somebody who sends it anything: he is answered or refused, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from message_passing.console.access_log import AccessLog, quiet
from message_passing.console.bounded_server import BoundedServer
from message_passing.console.connections import HttpConnection, ListenerConnections
from message_passing.console.governor import Governor, Lane
from message_passing.console.guard import Guard
from message_passing.console.routes import Routes
from message_passing.console.watcher import ServerWatcher
from message_passing.filters.follow import FollowFilter
from message_passing.inputs.null import NullInput
from message_passing.node_identity import NodeIdentity
from message_passing.outputs.null import NullOutput
from message_passing.runner import Server

if TYPE_CHECKING:
    from collections.abc import Callable

_BETWEEN = b"\xff\x00"
"""What stands between two things that are sent one after the other."""

_TURNS = 30
"""Turns of the event loop after which an answer is under way, or never comes."""

_STATUSES = {200, 400, 403, 404, 405, 409, 414, 431, 503, 505}
_FIRST = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n")


class _Idle(Server):
    """A server of a chain that does nothing: what it is asked to call is called at once."""

    def call(self, function: Callable[[], object]) -> None:
        """Call it."""
        function()


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._closing = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """No more."""
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing."""
        del name
        return default

    def get_write_buffer_size(self) -> int:
        """All is read."""
        return 0

    def pause_reading(self) -> None:
        """It is given in any case."""

    def resume_reading(self) -> None:
        """As `pause_reading`."""


class Victim:
    """A console without sockets, with time for everything."""

    def __init__(self) -> None:
        """Prepare it."""
        self._runner = asyncio.Runner()
        self._runner.run(self._prepare())

    async def _prepare(self) -> None:
        self._log = AccessLog("fuzz", write=lambda _: None)
        quiet(self._log)
        head = NullInput(output_to=FollowFilter(output_to=NullOutput()), error=NullOutput())
        self._watcher = ServerWatcher(_Idle([head]), None, self._log)
        self._watcher.governor = Governor(1000.0)
        self._listener = ListenerConnections(Lane.REQUEST, self._watcher.governor, self._log)
        app = Guard(Routes(self._watcher, NodeIdentity("fuzz")).app(), self._listener)
        self._server = BoundedServer(self._listener, app)
        self._server.config.load()

    def survives(self, data: bytes) -> None:
        """Send it these bytes, and see what it makes of them."""
        self._runner.run(self._survives(data))

    async def _survives(self, data: bytes) -> None:
        transport = _Transport()
        connection = HttpConnection(self._listener, self._server)
        connection.connection_made(transport)
        for part in data.split(_BETWEEN):
            if part and not transport.is_closing():
                connection.data_received(part)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        connection.connection_lost(None)
        tasks = list(self._server.server_state.tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=5)
            assert not left, "a request goes on after its connection was lost"
        assert not self._log.failed, "the console has failed"
        assert self._listener.requests == 0
        assert not self._listener.watchers
        if transport.written:
            first = _FIRST.match(transport.written)
            assert first, transport.written[:100]
            assert int(first[1]) in _STATUSES, first[0]

    def close(self) -> None:
        """Let go of it."""
        self._runner.close()


_victims: list[Victim] = []


def console(data: bytes) -> None:
    """Raw bytes on one connection."""
    if not _victims:
        _victims.append(Victim())
    _victims[0].survives(data)


def close() -> None:
    """Let go of what the target needs."""
    while _victims:
        _victims.pop().close()
