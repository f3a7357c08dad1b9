"""Times as a person says them, in this machine's zone, also where clocks are set."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from message_passing.errors import OptionError
from message_passing.ledger.period import local, period

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks are set forward and back at 01:00 UTC."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = utc("2026-11-26 09:00")  # 10:00 in the zone


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("02:00", "03:00", "2026-11-26 01:00", "2026-11-26 02:00"),
        ("23:00", "01:00", "2026-11-25 22:00", "2026-11-26 00:00"),
        ("11:00", "12:00", "2026-11-25 10:00", "2026-11-25 11:00"),
        ("09:30", "10:30", "2026-11-26 08:30", "2026-11-26 09:30"),
        ("yesterday 22:00", "", "2026-11-25 21:00", "2026-11-26 09:00"),
        ("yesterday", "today", "2026-11-24 23:00", "2026-11-25 23:00"),
        ("2026-11-20", "2026-11-20 06:00:30", "2026-11-19 23:00", "2026-11-20 05:00:30"),
        ("2026-11-20", "06:00", "2026-11-19 23:00", "2026-11-20 05:00"),
        ("2026-11-26T02:00:00Z", "2026-11-26T04:00:00+01:00", "2026-11-26 02:00", "2026-11-26 03:00"),
        ("90m", "now", "2026-11-26 07:30", "2026-11-26 09:00"),
        ("2 h ago", "", "2026-11-26 07:00", "2026-11-26 09:00"),
        ("", "", "2026-11-25 09:00", "2026-11-26 09:00"),
        ("", "02:00", "2026-11-25 01:00", "2026-11-26 01:00"),
        ("1795654800", "@1795654860.5", "2026-11-26 01:00", "2026-11-26 01:01:00.500"),
    ],
)
def test_what_a_person_means(since: str, until: str, begin: str, end: str) -> None:
    """The last such time before now, and the first one after that; dates; times ago; other zones."""
    assert period(since, until, NOW) == (utc(begin), utc(end))


@pytest.mark.parametrize(
    "text", ["25:00", "02:99", "2026-13-01", "tomorrow", "yesterday noon", "", "-1h", "5x", "9" * 30]
)
def test_what_is_no_time(text: str) -> None:
    """It is quoted, with what would be one; a beginning without an end before it is told."""
    with pytest.raises(OptionError, match=r"must be (a time as 02:00|after the beginning)"):
        period(text or "now", text or "2h", NOW)
    with pytest.raises(OptionError, match="must be after the beginning"):
        period("1h", "2h", NOW)


def test_an_hour_that_is_there_twice_belongs_to_the_period_wholly() -> None:
    """Clocks are set back at 03:00 to 02:00: from 02:00 to 03:00 are two hours."""
    now = utc("2026-10-25 12:00")
    assert period("02:00", "03:00", now) == (utc("2026-10-25 00:00"), utc("2026-10-25 02:00"))
    assert period("02:30", "02:45", now) == (utc("2026-10-25 00:30"), utc("2026-10-25 01:45"))


def test_an_hour_that_is_not_there_is_no_error() -> None:
    """Clocks are set forward at 02:00 to 03:00: what is around 02:30 is covered."""
    begin, end = period("02:30", "03:30", utc("2026-03-29 12:00"))
    assert begin <= utc("2026-03-29 01:00") < end
    begin, end = period("01:30", "02:30", utc("2026-03-29 12:00"))
    assert begin < utc("2026-03-29 01:00") <= end


def test_a_time_is_shown_with_its_zone() -> None:
    """So that nobody has to guess."""
    assert local(NOW) == "2026-11-26 10:00:00 +0100"
    assert local(1e12) == "@1000000000000"
