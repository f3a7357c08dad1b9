"""A real Redis: the broker of Celery, and an engine."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from message_passing.testing import free_port
from nodes import wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_redis = pytest.mark.program("redis-server")

REDIS = "redis://127.0.0.1:6379"
"""Where the examples' Redis is."""


class RedisServer:
    """Debian's. It keeps its port and its folder when it is started again.

    Attributes:
        port: where it listens.
        url: its address.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        """Prepare one; `start` starts it.

        Args:
            folder: of its own.
            options: of its configuration, with `_` for `-`.
        """
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self.options = {"appendonly": "no", **options}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        given = {"port": self.port, "bind": "127.0.0.1", "save": "", "dir": self._folder, **self.options}
        words = [
            word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [shutil.which("redis-server") or "redis-server", *words], stdout=log, stderr=log
            )
        wait_for_port(self.port)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL as a power cut would, as far as the process is concerned."""
        if self._process:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(20)
            self._process = None

    def ask(self, *words: Any, **options: Any) -> Any:
        """What it answers to a command."""
        with Redis(port=self.port, **options) as client:
            return client.execute_command(*words)

    def entries(self, stream: str = "logs") -> list[dict[bytes, bytes]]:
        """All entries of a stream."""
        with Redis(port=self.port) as client:
            return [fields for _, fields in client.xrange(stream)]

    def lines(self, stream: str = "logs") -> list[bytes]:
        """All messages of a stream."""
        return [
            line
            for fields in self.entries(stream)
            for value in fields.values()
            for line in value.split(b"\n")
        ]

    def groups(self, stream: str = "logs") -> list[dict[str, Any]]:
        """The groups of a stream."""
        with Redis(port=self.port) as client:
            return client.xinfo_groups(stream) if client.exists(stream) else []

    def consumers(self, group: str = "archive", stream: str = "logs") -> int:
        """How many consumers a group has."""
        with Redis(port=self.port) as client:
            return len(client.xinfo_consumers(stream, group))

    def age_of_the_oldest(self, group: str = "archive", stream: str = "logs") -> int:
        """Milliseconds since the oldest entry that is not acknowledged was delivered, or told to be worked on."""
        with Redis(port=self.port) as client:
            found: int = client.xpending_range(stream, group, "-", "+", 1)[0]["time_since_delivered"]
            return found


@contextmanager
def redis_server(folder: Path, **options: Any) -> Iterator[str]:
    """One with nothing on disk, while the block runs; its URL."""
    server = RedisServer(folder, **options)
    server.start()
    try:
        yield server.url
    finally:
        server.end()
