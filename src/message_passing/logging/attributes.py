"""The attributes that every record has, with the types that they should have: filters and factories may change them.

Nothing here raises, and no method of a value is called whose type is not the one that is expected, but `str`.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from message_passing.clock import wall
from message_passing.jsonable import cut
from message_passing.objects import safe

if TYPE_CHECKING:
    from collections.abc import Container

LARGEST_RECORD = 256 * 1024
"""Characters of a message, and of everything else in a record, by default."""

_NAME = 1000
"""Characters of a name: of a logger, a level, a file, a thread and so on."""

_HIGHEST = 1 << 53
"""Larger numbers are not valid in a record, and not every JSON reader accepts them."""

_ERAS = -62_135_596_800.0, 253_402_300_800.0
"""The times that a date can be made of: of the years from 1 to 9999, in seconds since 1970."""


STANDARD = frozenset(
    {
        *(
            "args",
            "asctime",
            "created",
            "exc_info",
            "exc_text",
            "filename",
            "funcName",
            "levelname",
            "levelno",
        ),
        *("lineno", "message", "module", "msecs", "msg", "name", "pathname", "process", "processName"),
        *("relativeCreated", "stack_info", "taskName", "thread", "threadName"),
    }
)
"""The attributes that every record has, or that formatting adds: all others came in by `extra`."""

PLAIN = len(logging.makeLogRecord({}).__dict__)
"""How many attributes a record has to which nothing was added."""


def free(name: str, taken: Container[str]) -> str:
    """A name like this one that is not taken: with an underscore, or with several."""
    while name in taken:
        name += "_"
    return name


def name_of(value: Any) -> str:
    """A record's name for something, as text, whatever its type."""
    text = value if type(value) is str else safe(str, value)
    return text if len(text) <= _NAME else cut(text, _NAME)


def number_of(value: Any) -> int:
    """A record's number for something; 0 if it is not a number."""
    kind = type(value)
    if issubclass(kind, int):
        found = int(value) if kind is bool else int.__int__(value)
        return found if -_HIGHEST < found < _HIGHEST else 0
    if issubclass(kind, float) and math.isfinite(real := float.__float__(value)):
        return number_of(int(real))
    return 0


def process_id_of(value: Any) -> int | None:
    """The id of the process that made a record; None if the record does not have it."""
    found = None if value is None else number_of(value)
    return found if found and found > 0 else None


def level_of_record(level: Any, number: Any) -> tuple[int, str]:
    """A level's number and name, whatever a record has in their place."""
    if type(level) is str and type(number) is int and len(level) <= _NAME and -_HIGHEST < number < _HIGHEST:
        return number, level
    known = number_of(number)
    return known, logging.getLevelName(known) if level is None else name_of(level)


def time_of(value: Any) -> float:
    """A record's time; the current time if it has no valid one."""
    kind = type(value)
    if issubclass(kind, float):
        found = float.__float__(value)
    elif issubclass(kind, int) and abs(int.__int__(value)) < _HIGHEST:
        found = float(int.__int__(value))
    else:
        return wall()
    return found if _ERAS[0] <= found < _ERAS[1] else wall()


def optional_name(value: Any) -> str | None:
    """A name that a record may lack."""
    return None if value is None else name_of(value)


def safe_text(found: Any) -> str:
    """What formatting gave, which need not be a text in a subclass of LogRecord."""
    return found if type(found) is str else safe(str, found)
