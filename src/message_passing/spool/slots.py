"""A directory of spools, one for each process that uses it at a time: what a log handler is given as its spool.

The spools have numbers for names. A process takes the lowest that nobody uses, and goes on with what is in it; so
there are as many as processes have ever used it at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.errors import OpenError
from message_passing.spool.directory import DATABASE, LOCK, WHAT, make_private, obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SPOOLS = 1000
"""Spools of one directory."""

_DIGITS = len(str(MOST_SPOOLS))


def spools_in(directory: Path) -> list[Path]:
    """The spools of a directory, in the order of their numbers; none if it cannot be read."""
    try:
        found = [one for one in directory.iterdir() if one.name.isdecimal() and len(one.name) <= _DIGITS]
    except OSError:
        return []
    return sorted((one for one in found if (one / LOCK).exists()), key=lambda one: int(one.name))


def candidates(directory: Path) -> Iterator[Path]:
    """Where a process may have its spool, the preferred ones first; not all exist.

    Raises:
        OpenError: the directory cannot be used, or is itself the spool of an output.
    """
    _require_no_output(directory)
    make_private(directory)
    for number in range(1, MOST_SPOOLS + 1):
        yield directory / str(number)


def require_usable(directory: Path) -> None:
    """See, without changing anything, that spools can be kept in a directory.

    Raises:
        OpenError: they cannot, for a reason that is known now.
    """
    _require_no_output(directory)
    if error := obstacle(directory):
        raise OpenError(error)


def _require_no_output(directory: Path) -> None:
    if (directory / DATABASE).exists():
        raise OpenError(
            f"the {WHAT} {str(directory)!r} is that of an output: give the log handler one of its own"
        )


def owner(directory: Path) -> int | None:
    """The process that uses a spool now, found without touching its lock: see proc(5), /proc/locks.

    Returns:
        Its number; 0 if there is none, None if that cannot be found out.
    """
    try:
        number = (directory / LOCK).stat().st_ino
        text = (directory / LOCK).read_text("ascii").strip()
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return None
    try:
        locks = [one.split() for one in Path("/proc/locks").read_text("ascii").splitlines()]
    except OSError:
        return None
    held = any("FLOCK" in words and any(word.endswith(f":{number}") for word in words) for words in locks)
    return (int(text) if text.isdecimal() else None) if held else 0
