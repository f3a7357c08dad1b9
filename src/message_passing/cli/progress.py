"""How far long work has got: one line on a terminal, redrawn a few times a second, and nothing anywhere else."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Self, TextIO

from message_passing.graph import topological_order
from message_passing.outputs.stderr import StderrOutput
from message_passing.outputs.stdout import StdoutOutput

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.component import Component
    from message_passing.runner import Server

DRAWING_INTERVAL = 0.2
"""Seconds between two drawings."""

_SETTLED = 1.0
"""Seconds after which there is a rate worth telling."""

_LONG = 2
"""Looks after which a work that still has an end ahead is long: a file that is followed grows all the time."""

_ERASE = "\r\x1b[K"


def size(count: float) -> str:
    """A number of bytes for a person: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """A time for a person: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def sentence(done: int, total: int, rate: float | None) -> str:
    """What the line says.

    Args:
        done: bytes.
        total: bytes, of which `done` are done.
        rate: bytes a second, if it is known.
    """
    share = 100 * done // total if total else 100
    text = f"{share:3}%  {size(done)} of {size(total)}"
    if rate:
        text += f", {size(rate)}/s, {span(max(0, total - done) / rate)} left"
    return text


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a line that is drawn again and again can be seen there, and disturbs nobody."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # it is closed
        return False


def _in_front(stream: TextIO) -> bool:
    """Whether the terminal is ours at the moment, and no job's that was started after us."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls nobody
        return True


class ProgressLine:
    """The line, while standard error is a terminal. Whatever else is written there takes its place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is drawn.

        Args:
            clock: seconds, monotonic.
        """
        self.wanted = on_terminal(sys.stderr)
        self._clock = clock
        self._drawn_at = -DRAWING_INTERVAL
        self._first: tuple[float, int] | None = None
        self._stream = sys.stderr
        self._visible = False

    def __enter__(self) -> Self:
        """Begin to see to what others write."""
        if self.wanted:
            sys.stderr = _Aside(self._stream, self.erase)
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self.erase()
        if isinstance(sys.stderr, _Aside):
            sys.stderr = self._stream

    def show(self, done: int, total: int) -> None:
        """Draw it, unless it was drawn just now."""
        now = self._clock()
        if not self.wanted or now - self._drawn_at < DRAWING_INTERVAL or not _in_front(self._stream):
            return
        self._drawn_at = now
        self._first = self._first or (now, done)
        elapsed, moved = now - self._first[0], done - self._first[1]
        text = sentence(done, total, moved / elapsed if elapsed >= _SETTLED else None)
        self._write(f"{_ERASE}{text[: shutil.get_terminal_size().columns - 1]}")
        self._visible = True

    def restart(self) -> None:
        """Other work begins: its rate is its own."""
        self._first = None
        self.erase()

    def erase(self) -> None:
        """Take it away until it is drawn again."""
        if self._visible:
            self._visible = False
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal has gone
            self.wanted = False


class ChainProgress:
    """How far the inputs of a running chain are, those of them whose work has an end.

    Nothing is shown where the chain itself writes to the terminal.
    """

    def __init__(self, server: Server) -> None:
        """Prepare it.

        Args:
            server: what runs.
        """
        self._server = server
        self._line = ProgressLine()
        self._line.wanted = self._line.wanted and not any(map(_disturbed, topological_order(server.heads)))
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0

    def start(self) -> None:
        """Begin, in the chain's event loop."""
        if self._line.wanted and self._timer is None:
            self._line.__enter__()
            self._look()

    def stop(self) -> None:
        """Take it away."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
            self._line.__exit__()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(DRAWING_INTERVAL, self._look)
        found = [one for head in self._server.heads if (one := head.progress())]
        self._looks = self._looks + 1 if found else 0
        if self._looks > _LONG:
            self._line.show(sum(done for done, _ in found), sum(total for _, total in found))
        else:
            self._line.restart()


def _disturbed(component: Component) -> bool:
    """Whether it writes where the line would be."""
    return isinstance(component, StderrOutput) or (
        isinstance(component, StdoutOutput) and on_terminal(sys.stdout)
    )


class _Aside:
    """Standard error, before each use of which something is done."""

    def __init__(self, stream: TextIO, before: Callable[[], None]) -> None:
        self._stream = stream
        self._before = before

    def write(self, text: str) -> int:
        """Write, once the way is free."""
        self._before()
        return self._stream.write(text)

    def flush(self) -> None:
        """Who is about to write to the descriptor itself flushes first."""
        self._before()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
