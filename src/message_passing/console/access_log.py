"""Requests that the console refuses or fails on: counted, and reported on standard error at a limited rate."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.stderr_line import make_way

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_PERIOD = 60.0
"""Seconds within which one kind of event is reported once."""

_MOST_KINDS = 50
"""Kinds of events whose last report is remembered. They come from the code; this is a bound in any case."""

_LONGEST_LINE = 300
"""Characters of a line."""


def _write(text: str) -> None:
    with contextlib.suppress(OSError, AttributeError, ValueError):
        make_way()
        sys.stderr.write(text)
        sys.stderr.flush()


class AccessLog:
    """Counters of the console, and lines about it.

    Attributes:
        refused: how many requests and connections were not served, by reason.
        failed: requests in which the console itself failed.
        watchers: live tails that are running.
        missed: messages that live tails did not show.
    """

    def __init__(
        self, title: str, write: Callable[[str], object] = _write, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing has happened.

        Args:
            title: what the command is called.
            write: takes a line.
            clock: seconds, monotonic.
        """
        self.refused: Counter[str] = Counter()
        self.failed = self.watchers = self.missed = 0
        self._title, self._write, self._clock = title, write, clock
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def described(self) -> dict[str, Any]:
        """As `GET /state` gives it."""
        return {
            "watchers": self.watchers,
            "missed": self.missed,
            "refused": dict(self.refused),
            "failed": self.failed,
        }

    def refuse(self, reason: str, *, tell: bool = False) -> None:
        """Count a request or connection that is not served.

        Args:
            reason: why, one of a few.
            tell: whether to report it to the operator.
        """
        self.refused[reason] += 1
        if tell:
            self.say(reason, f"refused: {reason}")

    def fail(self, what: str, error: BaseException) -> None:
        """Report a failure of the console itself in one line, with the place in the code."""
        self.failed += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        self.say(f"{what} {type(error).__name__}", f"{what} failed: {type(error).__name__}: {error}{place}")

    def say(self, kind: str, text: str) -> None:
        """Write a line, unless one of its kind was written just now."""
        now = self._clock()
        if kind not in self._told and len(self._told) >= _MOST_KINDS:
            kind = "others"
        if now - self._told.get(kind, -LOG_PERIOD) < LOG_PERIOD:
            self._untold[kind] += 1
            return
        self._told[kind] = now
        more = self._untold.pop(kind, 0)
        count = f" (and {more} times since it was last reported)" if more else ""
        line = ascii(text)[1:-1].replace("\\'", "'")[:_LONGEST_LINE]
        self._write(f"{self._title}: console: {line}{count}\n")


class QuietHandler(logging.Handler):
    """What the web server would write: its failures go to the access log, the rest nowhere."""

    def __init__(self, log: AccessLog) -> None:
        """Instead of standard error, where each request could have a line."""
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Note one."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.fail("the web server", error)


def quiet(log: AccessLog) -> None:
    """Redirect the web server's own log to ours."""
    logger = logging.getLogger("uvicorn.error")
    logger.handlers[:] = [QuietHandler(log)]
    logger.propagate = False
