"""Commands in a real terminal: a pty, with its size, keys and signals."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from message_passing.testing import wait_for
from nodes import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Terminal:
    """A terminal, and the command that runs in it.

    Attributes:
        text: all that was written so far.
    """

    def __init__(
        self,
        *words: str,
        size: tuple[int, int] = (80, 24),
        stdin: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._end, inner = pty.openpty()
        self._inner = os.dup(inner)
        self.resize(*size, tell=False)
        self.text = b""
        self.process = subprocess.Popen(
            [*OURS, *words],
            stdin=stdin or inner,
            stdout=inner,
            stderr=inner,
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "COLUMNS": "",
                "LINES": "",
                "NO_COLOR": "",
                **(env or {}),
            },
            start_new_session=True,
        )
        os.close(inner)

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """Make it larger or smaller; the process is told, as a terminal does."""
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def attributes(self) -> list[object]:
        """How it treats what is typed: termios's list."""
        return termios.tcgetattr(self._inner)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._end, keys)

    def read(self) -> bytes:
        """All that was written so far."""
        while select.select([self._end], [], [], 0)[0]:
            try:
                data = os.read(self._end, 1 << 16)
            except OSError:  # nobody holds the other end any more
                break
            if not data:
                break
            self.text += data
        return self.text

    def shows(self, wanted: bytes, *, since: int = 0, timeout: float = 20) -> None:
        """Wait until this was written, after so many bytes."""
        wait_for(lambda: wanted in self.read()[since:], timeout=timeout)

    def ended(self, timeout: float = 60) -> int:
        """Wait for its end; its exit status."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            select.select([self._end], [], [], 0.05)
            self.read()
        self.process.wait(timeout=1)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        """End what has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._end)
        os.close(self._inner)


class Shown(NamedTuple):
    """What a command that has ended left on its terminal."""

    status: int
    text: bytes


@contextmanager
def terminal(
    *words: str,
    size: tuple[int, int] = (80, 24),
    stdin: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """A command in a terminal; killed at the end if it has not ended by then."""
    one = Terminal(*words, size=size, stdin=stdin, env=env)
    try:
        yield one
    finally:
        one.close()


def in_terminal(*words: str, stdin: IO[bytes] | None = None, env: Mapping[str, str] | None = None) -> Shown:
    """Run a command to its end in a terminal."""
    with terminal(*words, stdin=stdin, env=env) as one:
        return Shown(one.ended(), one.text)
