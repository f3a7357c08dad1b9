"""Times as programs write them, as ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from message_passing.clock import iso_time, wall
from message_passing.message_fields import moment_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

_DAY = 86_400


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
        return lambda value, zone: iso_in_zone(datetime.fromisoformat(str(value).replace(",", ".")), zone)
    if "%Z" in form:
        raise ValueError("%Z, a zone by its letters, is ambiguous: use %z, or set `timezone`")
    now = datetime.now().astimezone()
    has_year = any(one in form for one in ("%Y", "%y", "%c", "%x", "%G"))
    whole = form if has_year else f"%Y {form}"  # a day without a year is ambiguous (Python 3.13 warns)
    try:
        datetime.strptime(now.strftime(whole), whole)  # noqa: DTZ007 - only whether it can be read
    except ValueError as error:
        raise ValueError(f"it is no form of strptime: {error}") from error
    if "%" not in form or now.strftime(form) == form:
        raise ValueError("it has no strptime letters, such as %Y-%m-%d %H:%M:%S")
    if has_year:
        return lambda value, zone: iso_in_zone(datetime.strptime(str(value), form), zone)  # noqa: DTZ007 - `_iso` adds it
    return lambda value, zone: iso_in_zone(_latest_time(str(value), form, zone), zone)


def _by_itself(value: Any, zone: tzinfo) -> str:
    if (moment := moment_of(value, utc=False)) is not None:
        return iso_time(moment)
    try:  # RFC 3339, section 5.6: its letters may be small ones
        return iso_in_zone(datetime.fromisoformat(str(value).strip().upper().replace(",", ".")), zone)
    except ValueError:
        text = f"{str(value)[:80]!r} is no time of ISO 8601, nor a number of seconds since 1970"
        raise ValueError(f"{text}: say with `time_format` how it is written") from None


def _by_epoch(value: Any, _zone: tzinfo) -> str:
    moment = moment_of(value, utc=False)
    if moment is None:
        raise ValueError(f"{str(value)[:80]!r} is no number of seconds since 1970")
    return iso_time(moment)
