"""Times as people write them: `02:00`, `yesterday 22:00`, `2026-11-26T02:00Z`, `90m`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from message_passing.errors import Fault, OptionError

_DAY = timedelta(days=1)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])(?:\s+ago)?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_SECONDS = re.compile(r"@?(\d{9,11}(?:\.\d{1,9})?)", re.ASCII)
_ALLOWED = "02:00, yesterday 22:00, 2026-11-26, 2026-11-26 02:00, 2026-11-26T02:00:00Z, 90m (ago) or now"

DEFAULT_PERIOD = 86400.0
"""The default length of a period, in seconds."""


class Period(NamedTuple):
    """From `since` until `until`, in seconds since 1970."""

    since: float
    until: float


def period(since: str, until: str, now: float) -> Period:
    """The period between two times, either of which may be omitted.

    Times without a zone are this machine's. A time of day is the last one before now; as an end, the first one
    after the beginning. Where the clocks are set back or forward, an hour that is there twice, or not at all, belongs
    to the period wholly.

    Args:
        since: the beginning; empty for a day before the end.
        until: the end; empty for now.
        now: seconds since 1970.

    Raises:
        OptionError: one is malformed, or the end is not after the beginning.
    """
    clock = _CLOCK.fullmatch(until.strip())
    begin = _moment(since, now, "since", later=False) if since else None
    if clock and begin is not None:
        end = _clock_after(clock, begin)
    else:
        end = _moment(until, now, "until", later=True) if until else now
    if begin is None:
        begin = end - DEFAULT_PERIOD
    if end <= begin:
        text = f"must be after the beginning: it is {local(end)}, and the beginning {local(begin)}"
        raise OptionError(Fault(text, "until"))
    return Period(begin, end)


def local(seconds: float, form: str = "%Y-%m-%d %H:%M:%S %z") -> str:
    """A time as this machine's clock shows it, with its distance from UTC: `2026-11-26 02:00:00 +0100`."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime(form)
    except (ValueError, OverflowError, OSError):  # a node may send anything
        return f"@{seconds:.0f}"


def _moment(text: str, now: float, which: str, *, later: bool) -> float:
    words, today = text.strip(), datetime.fromtimestamp(now)  # noqa: DTZ006 - the machine's own time is meant
    if words.lower() == "now":
        return now
    if found := _AGO.fullmatch(words):
        return now - int(found[1]) * _UNITS[found[2].lower()]
    if found := _SECONDS.fullmatch(words):
        return float(found[1])
    try:
        if found := _CLOCK.fullmatch(words):
            when = _at(today, found)
            return _as_seconds(when if when.timestamp() <= now else when - _DAY, later=later)
        day, _, clock = words.partition(" ")
        if day.lower() in ("today", "yesterday"):
            date = today if day.lower() == "today" else today - _DAY
            given = _CLOCK.fullmatch(clock.strip() or "00:00")
            if given:
                return _as_seconds(_at(date, given), later=later)
        return _as_seconds(datetime.fromisoformat(words), later=later)
    except (ValueError, OverflowError, OSError) as error:
        raise OptionError(Fault(f"must be a time as {_ALLOWED}, not {text[:50]!r}", which)) from error


def _clock_after(found: re.Match[str], begin: float) -> float:
    day = datetime.fromtimestamp(begin)  # noqa: DTZ006 - the machine's own time is meant
    try:
        when = _at(day, found)
    except ValueError as error:
        raise OptionError(Fault(f"must be a time as {_ALLOWED}, not {found[0]!r}", "until")) from error
    end = _as_seconds(when, later=True)
    return end if end > begin else _as_seconds(when + _DAY, later=True)


def _at(day: datetime, found: re.Match[str]) -> datetime:
    return day.replace(
        hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=0, fold=0
    )


def _as_seconds(when: datetime, *, later: bool) -> float:
    """The later or the earlier of the two moments that a local time may be (PEP 495)."""
    if when.tzinfo:
        return when.timestamp()
    both = [when.replace(fold=fold).timestamp() for fold in (0, 1)]
    return max(both) if later else min(both)
