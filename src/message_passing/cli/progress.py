"""Progress of long work: one line on a terminal, redrawn a few times a second, and nothing anywhere else.

The text that rich formats is written here: rich would replace `sys.stderr`, and hide the cursor, which a killed
process cannot restore. All that writes to standard error calls `stderr_line.make_way` first. Without rich, which
the extra `console` brings, there is no line.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO

from message_passing.cli.terminal import is_terminal
from message_passing.errors import PackageError, needs_extra
from message_passing.graph import topological_order
from message_passing.outputs.stderr import StderrOutput
from message_passing.outputs.stdout import StdoutOutput
from message_passing.stderr_line import drawing

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import Progress

    from message_passing.component import Component
    from message_passing.runner import Server

DRAWING_INTERVAL = 0.2
"""Seconds between two drawings."""

_LONG = 2
"""Checks after which unfinished work counts as long: a followed file grows all the time."""

_ERASE = "\r\x1b[K"


def can_draw(stream: TextIO | None) -> bool:
    """Whether a redrawn line is visible there, and disturbs nothing."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def size_for_progress(source: TextIO | BinaryIO) -> int:
    """The size of a regular file, in bytes; 0 for anything else, such as a pipe."""
    found = os.fstat(source.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _in_front(stream: TextIO) -> bool:
    """Whether we are the terminal's foreground job."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls nobody
        return True


class ProgressLine:
    """The progress line, while standard error is a terminal. Any other output there replaces it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing drawn.

        Args:
            clock: seconds, monotonic.
        """
        self.wanted = can_draw(sys.stderr)
        self._clock = clock
        self._drawn_at = -DRAWING_INTERVAL
        self._stream = sys.stderr
        self._visible = False
        self._made: tuple[Progress, Console] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Erase it from now on before anything else is written."""
        self._stack.enter_context(drawing(self.erase))
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._stack.close()

    def show(self, done: int, total: int) -> None:
        """Draw it, unless it was just drawn.

        Args:
            done: the bytes done.
            total: all bytes.
        """
        now = self._clock()
        if not self.wanted or now - self._drawn_at < DRAWING_INTERVAL or not _in_front(self._stream):
            return
        self._drawn_at = now
        try:
            progress, console = self._made = self._made or self._make()
        except PackageError:
            self.wanted = False
            return
        for task in progress.task_ids or [progress.add_task("")]:
            progress.update(task, completed=done, total=total)
        with console.capture() as captured:
            console.print(progress.get_renderable())
        self._write(_ERASE + captured.get().partition("\n")[0])
        self._visible = True

    def _make(self) -> tuple[Progress, Console]:
        """The formatter of the figures.

        Raises:
            PackageError: rich is not installed.
        """
        with needs_extra("console"):
            from rich import console, progress  # noqa: PLC0415 - an extra, for long work on a terminal only
        columns = (
            progress.TaskProgressColumn(),
            progress.BarColumn(bar_width=20),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        )
        screen = console.Console(file=self._stream)
        screen.width -= 1  # a terminal may wrap after its last column
        return progress.Progress(*columns, console=screen, auto_refresh=False, get_time=self._clock), screen

    def restart(self) -> None:
        """Reset the rate for other work."""
        if self._made:
            for task in list(self._made[0].task_ids):
                self._made[0].remove_task(task)
        self.erase()

    def erase(self) -> None:
        """Erase it until it is drawn again."""
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
    """Progress of the inputs of a running chain that have an end.

    Nothing is shown where the chain itself writes to the terminal.
    """

    def __init__(self, server: Server) -> None:
        """Prepare it.

        Args:
            server: runs the chain.
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
        isinstance(component, StdoutOutput) and can_draw(sys.stdout)
    )
