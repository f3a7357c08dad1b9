"""Capturing of a record only what must be captured at once, if all of it is immutable.

Most records are a text and a few numbers and strings. Those cannot change after the call, so the text may be
put together later, by the thread that encodes the record. What can change (a list, an object, an exception) is made
text at once: see `entry`.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.logging.attributes import PLAIN, level_of_record
from message_passing.logging.entry import Entry, add_around, put_right, shortened, unformatted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.logging.ambient import Around

_UNCHANGING = frozenset({float, bool, type(None)})

_SHORT = 1000
"""Characters of all its texts above which the record is dealt with at once, and cut if need be."""

_LEAST, _MOST = -(1 << 63), 1 << 63  # of numbers: larger ones take memory, and time to be written

_MANY = 30
"""Arguments above which it is dealt with at once, too."""

WEIGHT = 1000
"""Bytes that what was taken of a record counts for. It takes 500 to 1,500; with 1,000 characters that need four bytes
each, 5,000; with as large a context as there can be, twice that."""


class CallSite(NamedTuple):
    """What is the same in every record of one log call site in one thread."""

    level: str
    level_number: int
    logger: str
    file: str
    line: int
    function: str
    thread_id: int | None
    thread: str | None
    process: str | None
    process_id: int | None


_call_site = itemgetter(
    *("levelname", "levelno", "name", "pathname", "lineno", "funcName"),
    *("thread", "threadName", "processName", "process"),
)
"""A plain tuple in the place of a `CallSite`, from a record's attributes: one call takes less time than to read each,
and a third of what it takes to make a `CallSite`."""

Snapshotted = tuple[str, tuple[Any, ...] | None, float, "Around | None", CallSite]
"""A message's template and arguments, time, what surrounds the call, and where it comes from."""

_HAVE_TASKS = "taskName" in logging.makeLogRecord({}).__dict__  # since Python 3.12


def snapshot(record: logging.LogRecord, surroundings: Around | None) -> Snapshotted | None:  # noqa: C901, PLR0912 - a call costs more than a branch
    """What `record` holds, if all of it is unchanging and short; None if it must be made an entry at once."""
    template, args, attributes = record.msg, record.args, record.__dict__
    if type(template) is not str:
        return None
    room = _SHORT - len(template)
    if (
        room < 0
        or len(attributes) > PLAIN
        or record.exc_info
        or record.exc_text is not None
        or record.stack_info
    ):
        return None
    if type(args) is not tuple:
        if args is not None:
            return None
    elif args:
        value: Any
        for value in args:
            kind = type(value)
            if kind is str:
                room -= len(value)
            elif kind is int:
                if not _LEAST < value < _MOST:
                    return None
            elif kind is not float and kind not in _UNCHANGING:
                return None
        if room < 0 or len(args) > _MANY:
            return None
    else:
        args = None
    if _HAVE_TASKS and surroundings is None and (task := record.taskName) is not None:  # type: ignore[attr-defined]
        if type(task) is not str:
            return None
        surroundings = task, 0, 0, None
    try:
        return template, args, record.created, surroundings, _call_site(attributes)
    except KeyError:  # a class of the application's keeps one of them elsewhere
        return None


def level_of_item(item: Entry | Snapshotted) -> tuple[int, str]:
    """The number and the name of a record's level."""
    if isinstance(item, tuple):
        where = item[-1]  # maybe a plain tuple
        return level_of_record(where[0], where[1])
    return level_of_record(item.level, item.level_number)


def levels_of(items: Iterable[tuple[Entry | Snapshotted, object]]) -> list[tuple[int, str]]:
    """The same of many, each with its number: one whose level is that of the one before it costs no call."""
    found: list[tuple[int, str]] = []
    name, number, level = found, found, (0, "")
    for item, _ in items:
        if isinstance(item, tuple):
            where: Any = item[-1]
            if where[0] is not name or where[1] is not number:
                name, number = where[0], where[1]
                level = level_of_record(name, number)
            found.append(level)
        else:
            found.append(level_of_record(item.level, item.level_number))
    return found


def completed(taken: Snapshotted, sequence: int | None, largest: int) -> Entry:
    """The entry of what was taken, its text put together, and cut where it has more than `largest` characters."""
    template, args, time, surroundings, where = taken
    level, number, logger, file, line, function, thread_id, thread, process, process_id = where
    entry = Entry(
        *(time, level, number, logger, template, file, line, function, thread_id, thread),
        sequence=sequence,
        process=process,
        process_id=process_id,
    )
    add_around(entry, surroundings)
    if args:
        try:
            entry.message = template % args
        except Exception as error:  # noqa: BLE001 - the caller's arguments are wrong, which is no reason to fail
            entry.message, entry.format_error = unformatted(template, args, error)
    put_right(entry)
    return shortened(entry, largest) if len(entry.message) > largest else entry
