"""Times as programs write them, as ISO 8601 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from message_passing.clock import iso_time, wall
from message_passing.message_fields import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

_DAY = 86_400

_SAMPLE = datetime(2019, 11, 23, 22, 47, 58, 123456, tzinfo=UTC)
"""A time of which each part shows in its place, if a form has a place for it."""

_OTHER_CODES = {
    "s": "`epoch`, alone",
    **dict.fromkeys("LNQ", "%f"),
    **dict.fromkeys("36", "%f"),
    "9": "`iso8601`: %f has six digits at most",
    "e": "%d",
    "F": "%Y-%m-%d",
    "D": "%m/%d/%y",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "k": "%H",
    "l": "%I",
    "P": "%p",
}
"""Codes of strptime(3), strftime(3) and of other log collectors, and what Python's strptime calls the same."""


def iso_in_zone(moment: datetime, zone: tzinfo) -> str:
    """ISO 8601 in UTC of a time in its zone, or in the given one."""
    return iso_time((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def latest(of_year: Callable[[int], datetime], text: str, zone: tzinfo) -> datetime:
    """The time of the last twelve months, or of the next day, that was written without a year.

    Args:
        of_year: the time in a year; raises ValueError if there is none.
        text: as it was written, for the error.
        zone: its zone, if it says none.

    Raises:
        ValueError: there is none in any year.
    """
    now = datetime.fromtimestamp(wall(), zone)
    for year in range(now.year + 1, now.year - 5, -1):
        try:
            moment = of_year(year)
        except ValueError:  # 29 February, in another year
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        if moment.timestamp() <= now.timestamp() + _DAY:
            return moment
    raise ValueError(f"{text[:80]!r} is no time")


def _latest_time(text: str, form: str, zone: tzinfo) -> datetime:
    return latest(lambda year: datetime.strptime(f"{year} {text}", f"%Y {form}"), text, zone)  # noqa: DTZ007 - it adds it


def time_by(form: str) -> Callable[[Any, tzinfo], str]:
    """A function that makes ISO 8601 in UTC of a time in that form, in the zone that it names or the given one.

    Args:
        form: of strptime; `iso8601`, or `epoch` for numbers of seconds, milliseconds and so on since 1970; empty for
            either of these two.

    Raises:
        ValueError: there is no such form.
    """
    if not form:
        return _by_itself
    if form == "epoch":
        return _by_epoch
    if form == "iso8601":
        return _by_iso8601
    if "%Z" in form:
        raise ValueError("%Z, a zone by its letters, is ambiguous: use %z, or set `timezone`")
    has_year = any(one in form for one in ("%Y", "%y", "%c", "%x", "%G"))
    _require_form(form, has_year=has_year)
    if has_year:
        return lambda value, zone: iso_in_zone(datetime.strptime(str(value), form), zone)  # noqa: DTZ007 - `_iso` adds it
    return lambda value, zone: iso_in_zone(_latest_time(str(value), form, zone), zone)


def _require_form(form: str, *, has_year: bool) -> None:
    """A form that can be read, and says a day, and the hour if any part of the day: nothing of a time is made up.

    Raises:
        ValueError: it is none.
    """
    if "%" not in form or _SAMPLE.strftime(form) == form:
        raise ValueError(
            "it has no strptime letters, such as %Y-%m-%d %H:%M:%S, and is neither `iso8601` nor `epoch` (a number "
            "of seconds, milliseconds and so on)"
        )
    whole = form if has_year else f"%Y {form}"  # a day without a year is ambiguous (Python 3.13 warns)
    try:
        found = datetime.strptime(_SAMPLE.strftime(whole), whole)  # noqa: DTZ007 - only what can be read
    except ValueError as error:
        codes = re.findall("%(.)", form.replace("%%", ""))
        hint = next((f"; for %{one}, write {_OTHER_CODES[one]}" for one in codes if one in _OTHER_CODES), "")
        raise ValueError(f"it is no form of strptime: {str(error).replace(whole, form)}{hint}") from error
    if found.date() != _SAMPLE.date():
        raise ValueError("it says no day: a time needs a day and a month (%d and %m or %b), or %j")
    if found.hour not in (_SAMPLE.hour, 0) or (found.minute and not found.hour):
        raise ValueError("it says no hour of the day: write %H, or %I with %p")


def _by_iso8601(value: Any, zone: tzinfo) -> str:
    text = str(value).strip().upper()  # RFC 3339, section 5.6: its letters may be small ones
    return iso_in_zone(datetime.fromisoformat(text.replace(",", ".")), zone)


def _by_itself(value: Any, zone: tzinfo) -> str:
    if (moment := moment_of(value, utc=False)) is not None:
        return iso_time(moment)
    try:
        return _by_iso8601(value, zone)
    except ValueError:
        text = f"{str(value)[:80]!r} is no time of ISO 8601, nor a number of seconds since 1970"
        raise ValueError(f"{text}: say with `time_format` how it is written") from None


def _by_epoch(value: Any, _zone: tzinfo) -> str:
    moment = moment_of(value, utc=False)
    if moment is None:
        raise ValueError(f"{str(value)[:80]!r} is no number of seconds since 1970")
    return iso_time(moment)
