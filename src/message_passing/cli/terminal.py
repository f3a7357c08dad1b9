"""Writing lines to standard output and standard error, without control characters for a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO, cast

from message_passing.errors import OpenError
from message_passing.escaping import escape_json, escape_lines
from message_passing.failures import has_room
from message_passing.stderr_line import make_way

TELLING = 1.0
"""Seconds that writing waits for a reader of standard error that reads nothing."""


def tell(text: str) -> None:
    """Write lines to standard error, if it is open, with control characters escaped."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if has_room(sys.stderr, TELLING):
            make_way()
            sys.stderr.write(escape_lines(text))
            sys.stderr.flush()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether it is a terminal."""
    try:
        return cast("TextIO", stream).isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def is_watched(stream: TextIO | None) -> bool:
    """Whether it is a terminal, or systemd's journal (JOURNAL_STREAM of systemd.exec(5)), which people read."""
    try:
        number = cast("TextIO", stream).fileno()
        found = os.fstat(number)
        return os.isatty(number) or os.environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"
    except (OSError, AttributeError, ValueError):
        return False


def let_go(stream: TextIO | None) -> None:
    """Keep Python from writing it again when the process ends, which would change the exit status."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        try:
            cast("TextIO", stream).flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast("TextIO", stream).fileno())
            os.close(nowhere)


def print_out(text: str, *, safe: bool = False) -> None:
    """Write to standard output, ignoring a reader that has gone. Characters it cannot encode are escaped.

    Args:
        text: lines; control and unprintable characters are written as JSON escapes.
        safe: it contains our own control sequences, such as colours, and is escaped already.

    Raises:
        OpenError: it cannot be written.
    """
    if not safe:
        text = escape_json(text)
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError as error:
            sys.stdout.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)
    except (OSError, AttributeError) as error:
        let_go(sys.stdout)
        reason = error.strerror if isinstance(error, OSError) else "it is closed"
        raise OpenError(f"standard output cannot be written: {reason}") from error
