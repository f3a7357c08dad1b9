"""Taking of a record no more than must be taken at once, when all of it is unchanging.

Most records are a text and a few numbers and strings. Those cannot change after the call, so the text may be
put together later, by whoever encodes the record. What can change (a list, an object, an exception) is made
text at once: see `entry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.logging.entry import PLAIN, Entry, shortened, unformatted

if TYPE_CHECKING:
    import logging

_UNCHANGING = frozenset({int, float, bool, type(None)})

_SHORT = 1000
"""Characters of a text above which the record is dealt with at once, and cut if need be."""


class Where(NamedTuple):
    """What is the same in every record of one log call in one thread."""

    level: str
    level_number: int
    logger: str
    file: str
    line: int
    function: str
    thread_id: int | None
    thread: str | None
    process: str | None


Taken = tuple[str, tuple[Any, ...] | None, float, int | None, str | None, Where]
"""A message's template and arguments, time, sequence, asyncio task, and where it comes from."""


def taken(record: logging.LogRecord, sequence: int | None, task: str | None) -> Taken | None:
    """What `record` holds, if all of it is unchanging and short; None if it must be made an entry at once."""
    template, args = record.msg, record.args
    if (
        type(template) is not str
        or len(template) > _SHORT
        or len(record.__dict__) > PLAIN
        or record.exc_info
        or record.stack_info
    ):
        return None
    if args:
        if type(args) is not tuple:
            return None
        for value in args:
            if type(value) is str:
                if len(value) > _SHORT:
                    return None
            elif type(value) not in _UNCHANGING:
                return None
    else:
        args = None
    # A plain tuple in the place of a `Where`: making one of those takes three times as long.
    where = (
        record.levelname,
        record.levelno,
        record.name,
        record.pathname,
        record.lineno,
        record.funcName,
        record.thread,
        record.threadName,
        record.processName,
    )
    return template, args, record.created, sequence, task, where  # type: ignore[return-value]


def level_of(item: Entry | Taken) -> tuple[int, str]:
    """The number and the name of a record's level."""
    if isinstance(item, tuple):
        name, number, *_ = item[-1]
        return number, name
    return item.level_number, item.level


def completed(taken: Taken, largest: int) -> Entry:
    """The entry of what was taken, its text put together, and cut where it has more than `largest` characters."""
    template, args, time, sequence, task, where = taken
    level, number, logger, file, line, function, thread_id, thread, process = where
    entry = Entry(
        *(time, level, number, logger, template, file, line, function, thread_id, thread),
        sequence=sequence,
        process=process,
        task=task,
    )
    if args:
        try:
            entry.message = template % args
        except Exception as error:  # noqa: BLE001 - the caller's arguments are wrong, which is no reason to fail
            entry.message, entry.format_error = unformatted(template, args, error)
    return shortened(entry, largest) if len(entry.message) > largest else entry
