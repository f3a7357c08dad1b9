"""Repairing a spool that is not in use: damaged frames are set aside, and free space is released."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from message_passing.errors import OpenError
from message_passing.spool.directory import DATABASE, SpoolLock, cannot_use
from message_passing.spool.reader import SpoolReader
from message_passing.spool.rows import NewerSpoolError, NoSpoolError, SpoolFrame, is_corrupt
from message_passing.spool.store import SpoolStore

if TYPE_CHECKING:
    from pathlib import Path

_AT_ONCE = 64  # frames
_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was found and done.

    Attributes:
        frames: intact frames that are in it now.
        messages: the number of their messages.
        set_aside: damaged frames that were set aside in this database.
        rebuilt: the new path of the file if it was damaged itself; empty if not.
    """

    frames: int
    messages: int
    set_aside: int
    rebuilt: str


def repair(directory: Path) -> Repaired:
    """Set damaged frames aside, and shrink the file as far as possible.

    Raises:
        OpenError: it does not exist, is in use, or cannot be written.
    """
    if not (directory / DATABASE).exists():
        raise OpenError(
            f"there is no spool in {str(directory)!r}: name the directory given to the option spool"
        )
    lock = SpoolLock(directory)
    lock.acquire()
    store = SpoolStore(directory)
    try:
        return _repair(directory, store)
    except OSError as error:
        raise OpenError(cannot_use(directory, error)) from error
    except sqlite3.Error as error:
        raise OpenError(f"the spool {str(directory)!r} cannot be repaired: {error}") from error
    except NewerSpoolError as error:
        raise OpenError(
            f"the spool {str(directory)!r} was written by a later version of message-passing"
        ) from error
    except NoSpoolError as error:
        raise OpenError(f"{str(directory / DATABASE)!r} is not a spool") from error
    finally:
        store.close()
        lock.release()


def _repair(directory: Path, store: SpoolStore) -> Repaired:
    if _is_intact(directory):
        store.open()
        set_aside = _set_aside(store)
        with contextlib.suppress(sqlite3.OperationalError):  # there is no room for that
            store.vacuum()
        return Repaired(store.content.frames, store.content.messages, set_aside, "")
    with contextlib.suppress(OpenError), SpoolReader(directory) as old:
        store.runs, store.next = old.numbering()
    store.begin_anew()
    set_aside = 0
    with SpoolReader(store.aside) as old:
        kept: list[SpoolFrame] = []
        for frame in old.frames():
            if not isinstance(frame, SpoolFrame):
                set_aside += 1
                continue
            kept.append(frame)
            if len(kept) >= _AT_ONCE:
                store.put_back(kept)
                kept = []
        store.put_back(kept)
    return Repaired(store.content.frames, store.content.messages, set_aside, str(store.aside))


def _is_intact(directory: Path) -> bool:
    """Whether SQLite can read the whole file."""
    try:
        with SpoolReader(directory) as spool:
            return spool.check()
    except OpenError as error:
        if isinstance(error.__cause__, sqlite3.Error) and is_corrupt(error.__cause__):
            return False
        raise


def _set_aside(store: SpoolStore) -> int:
    after = count = 0
    while True:
        frames, damaged = store.read(after, _AT_ONCE, _BYTES)
        if not frames and not damaged:
            return count
        after = max([one.sequence for one in frames] + [number for number, _, _ in damaged])
        count += len(damaged)
