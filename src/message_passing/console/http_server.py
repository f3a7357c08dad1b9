"""The console's thread and its sockets: opened before the chain runs, closed after it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from message_passing.console.access_log import AccessLog, quiet
from message_passing.console.bounded_server import BoundedServer
from message_passing.console.connections import ListenerConnections
from message_passing.console.governor import Lane
from message_passing.console.guard import Guard
from message_passing.console.listening import http_address, is_loopback, listen_control, listen_http
from message_passing.console.routes import Routes
from message_passing.console.watcher import ServerWatcher
from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError
from message_passing.file_identity import file_identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from message_passing.component import Component
    from message_passing.node_identity import NodeIdentity
    from message_passing.runner import Server

_END = 3.0
"""Seconds that shutting down may take."""


class ConsoleServer:
    """Serves a control socket and a TCP address, from its own thread."""

    def __init__(self, node: NodeIdentity, *, control: str = "", http: str = "", token: str = "") -> None:
        """Check the options.

        Args:
            node: what is watched.
            control: path of the control socket, or `DEFAULT`; empty for none.
            http: `HOST:PORT`; empty for none.
            token: what clients must send over HTTP, or `env:NAME`; every address except loopback needs one.

        Raises:
            OptionError: `http` is not an address, or needs a token.
        """
        self._node = node
        self._log = AccessLog(node.title)
        self._control = control
        self._address = http_address(http) if http else None
        self._token = from_environment(token)
        if self._address and not is_loopback(self._address[0]) and not self._token:
            text = f"{http} can be reached from other machines: a token is required (--http_token)"
            raise OptionError(Fault(text, "--http"))
        self.watcher: ServerWatcher | None = None
        self._listening: list[tuple[socket.socket, str]] = []
        self._path: tuple[Path, tuple[int, int] | None] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self, server: Server, names: Mapping[str, Component]) -> Self:
        """Open the sockets, and serve from now on. Call it before the chain runs, from its thread.

        Args:
            server: what is watched.
            names: what its components are called.

        Raises:
            OpenError: an address cannot be opened.
        """
        try:
            if self._control:
                opened, path = listen_control(self._control)
                self._path = path, file_identity(path)
                self._listening.append((opened, ""))
            if self._address:
                self._listening.append((listen_http(*self._address), self._token))
            self.watcher = ServerWatcher(server, names, self._log)
            quiet(self._log)
        except BaseException:
            self._close_sockets()
            raise
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._answer, args=(started,), name="message-passing console", daemon=True
        )
        self._thread.start()
        started.wait()
        return self

    def _answer(self, started: threading.Event) -> None:
        try:
            asyncio.run(self._run(started))
        finally:
            started.set()  # whatever went wrong, nothing waits for it forever

    async def _run(self, started: threading.Event) -> None:
        assert self.watcher  # noqa: S101 - `start` has made it
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._fault)
        app = Routes(self.watcher, self._node).app()
        serving = [(self._server(app, opened, token), opened) for opened, token in self._listening]
        watching = asyncio.create_task(self.watcher.run())
        tasks = [asyncio.create_task(one.serve(sockets=[opened])) for one, opened in serving]
        started.set()
        await self._stop.wait()
        watching.cancel()
        for one, _ in serving:
            one.should_exit = True
        await asyncio.gather(watching, *tasks, return_exceptions=True)

    def _server(self, app: Any, opened: socket.socket, token: str) -> BoundedServer:
        assert self.watcher  # noqa: S101 - `start` has made it
        is_control = opened.family == socket.AF_UNIX
        lane = Lane.CONTROL if is_control else Lane.REQUEST
        listener = ListenerConnections(lane, self.watcher.governor, self._log)
        return BoundedServer(listener, Guard(app, listener, token, browsers=not is_control))

    def _fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an exception that nothing in the console's loop has caught."""
        self._log.fail("the console", context.get("exception") or RuntimeError(context["message"]))

    def relayout(self, names: Mapping[str, Component]) -> None:
        """The chains are others now. From their thread."""
        if self.watcher:
            self.watcher.relayout(names)

    def close(self) -> None:
        """Stop serving."""
        if self._loop and self._stop and self._thread:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_END)
        if self.watcher:
            self.watcher.leave()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for opened, _ in self._listening:
            opened.close()
        self._listening.clear()
        if self._path:
            path, own = self._path
            # Otherwise, somebody has removed it, and perhaps put another one there.
            if file_identity(path) == own:
                with contextlib.suppress(OSError):
                    path.unlink()
            self._path = None
