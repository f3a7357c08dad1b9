"""What messages call their level, time, text and the like in the field sets that are known, and the levels' numbers.

The one table for whoever shows messages or chooses among them: the console, its page, `tail` and `send`.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError, did_you_mean

LEVELS = {
    "TRACE": 5,
    **logging.getLevelNamesMapping(),
    "NOTICE": 25,
    "ERR": 40,
    "ALERT": 60,
    "EMERGENCY": 70,
    "EMERG": 70,
}
"""Python's, and those of Log::Dispatch and syslog that Python has not."""

SPELLED = {
    spelling: number for name, number in LEVELS.items() for spelling in (name, name.lower(), name.title())
}
"""The levels' numbers by their usual spellings."""

NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "@timestamp", "Timestamp", "epochtime"),
    "level": ("level", "log.level", "SeverityText", "@fields.level", "levelname", "severity"),
    "logger": ("logger", "log.logger", "logger_name", "InstrumentationScope.Name", "@fields.logger", "name"),
    "message": ("message", "@message", "Body", "event"),
    "host": ("host", "host.name", "hostname", "@source_host", "Resource.host.name"),
    "service": ("service", "service.name", "Resource.service.name"),
    "traceback": (
        "exception.traceback",
        "error.stack_trace",
        "Attributes.exception.stacktrace",
        "@fields.exception.traceback",
    ),
}
"""By our plain form's names what the forms `ecs`, `otel`, `logstash` and other programs call the same."""

_NAME = 100
"""Characters of a service or host that are kept."""

_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)


def level_number(text: str) -> int:
    """The number of a level given by its name or number.

    Raises:
        OptionError: there is none of that name.
    """
    if _NUMBER.fullmatch(text):
        return int(text)
    if (number := LEVELS.get(text.upper())) is None:
        hint = did_you_mean(text[:50], LEVELS)
        raise OptionError(Fault(f"there is no level {text[:50]!r}{hint}", "level"))
    return number


def level_of(message: Any) -> float | None:
    """The number of a message's level; None if it says none that is known."""
    for path in ("level_number", *NAMES["level"]):
        found = value_at(message, path)
        if isinstance(found, str):
            found = LEVELS.get(found.upper())
        if isinstance(found, (int, float)):
            return found
    return None


def field(message: Any, name: str) -> Any:
    """What a message says of itself under a name of ours, or under another field set's name for it."""
    for path in NAMES.get(name, (name,)):
        if (value := value_at(message, path)) is not None:
            return value
    return None


_UNITS = ((1e8, 1e11, 1.0), (1e11, 1e14, 1e3), (1e14, 1e17, 1e6), (1e17, 1e20, 1e9))
"""Numbers from, to, and how many of their unit a second has: each unit's are of the years 1973 to 5138."""

_LONGEST_TIME = 64


def message_time(message: Any) -> float | None:
    """When a message says that it was made, in seconds since 1970; None if it does not, or in no known way.

    A number is in seconds, milliseconds, microseconds or nanoseconds, by its size. A text is ISO 8601 with a zone, or
    a number; in `@timestamp`, which is UTC by definition (logstash's event format), the zone may be missing.
    """
    for path in NAMES["time"]:
        if (found := moment_of(value_at(message, path), utc=path == "@timestamp")) is not None:
            return found
    return None


def moment_of(value: Any, *, utc: bool) -> float | None:
    """The time that a value is, in seconds since 1970; None if it is none that is known. See `message_time`.

    Args:
        value: anything.
        utc: whether a text without a zone is UTC.
    """
    if isinstance(value, str) and len(value) <= _LONGEST_TIME:
        value = _time_of_text(value, utc=utc)
    if type(value) in (int, float):
        for low, high, parts in _UNITS:
            if low <= value < high:
                return float(value / parts)
    return None


def _time_of_text(text: str, *, utc: bool) -> float | None:
    if _DECIMAL.fullmatch(text) and float(text) >= _UNITS[0][0]:
        return float(text)  # though some milliseconds are ISO 8601 too, for Python: 1612-01-04, and 23:45
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            return found.replace(tzinfo=UTC).timestamp() if utc else None
        return found.timestamp()
    except (ValueError, OverflowError):
        return float(text) if _DECIMAL.fullmatch(text) else None


def origin_of(message: Any) -> str:
    """Who logged a message, as `service@host` or `service`; an empty text where it names no service."""
    service, host = field(message, "service"), field(message, "host")
    if not isinstance(service, str) or not service:
        return ""
    parts = (service, host) if isinstance(host, str) and host else (service,)
    return "@".join(part[:_NAME] for part in parts)
