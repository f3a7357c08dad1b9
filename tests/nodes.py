"""Real processes for tests: nodes of ours and of the Perl original, started on free ports, stopped by id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from message_passing.console.client import NodeClient as RunningNode
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OURS = (sys.executable, "-W", "error", "-m", "message_passing")
# Not the installed script: where our package's scripts come first on the PATH, `message-pass` is ours.
PERL = ("perl", "-e", "use Message::Passing; Message::Passing->start;", "--")


class Node:
    """One process with a chain in it."""

    def __init__(
        self, words: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )

    def write(self, data: bytes) -> None:
        """Give it something to read, and leave its input open."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self, timeout: float = 20) -> tuple[int, bytes, bytes]:
        """Close its input, wait until it ends; its exit status and what it wrote to stdout and stderr."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, timeout: float = 20) -> tuple[int, bytes, bytes]:
        """SIGTERM, and what came of it."""
        self.signal(signal.SIGTERM)
        return self.end(timeout)


@contextmanager
def node(
    *words: str,
    command: tuple[str, ...] = OURS,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Node]:
    """A running node; killed at the end if it has not ended by then."""
    started = Node([*command, *words], cwd=cwd, env=env)
    try:
        yield started
    finally:
        process = started.process
        if process.poll() is None:
            process.kill()
        process.communicate()


def part(name: str, component: str, **options: Any) -> list[str]:
    """The words that choose a component and give its options."""
    return [f"--{name}", component, f"--{name}_options", json.dumps(options)]


def wait_for_port(port: int) -> None:
    """Wait until somebody listens there."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, timeout=20)


def wait_for_control(path: Path) -> None:
    """Wait until a node answers on its control socket: the file is there a moment before."""
    wait_for(RunningNode(str(path)).alive, timeout=20)


def beside_connecting(err: bytes) -> list[bytes]:
    """Lines of standard error, but for those of a peer that is not there yet, on a busy machine, and then is."""
    usual = (b"nobody listens there", b"connected to")
    return [line for line in err.splitlines() if not any(text in line for text in usual)]


def lines(path: Path) -> list[bytes]:
    """The lines of a file that a node writes; none if it is not there yet."""
    return path.read_bytes().splitlines() if path.exists() else []
