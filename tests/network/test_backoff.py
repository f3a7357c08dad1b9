"""How long to wait until a request is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from message_passing.network.backoff import RetryPolicy, pause_after, seconds_of


def test_it_doubles_up_to_the_longest_and_half_of_it_is_chance() -> None:
    """So that not all come back at once."""
    for attempt, full in ((1, 1), (2, 2), (3, 4), (4, 5), (10_000, 5)):
        found = {pause_after(attempt, 1, 5) for _ in range(50)}
        assert len(found) > 10
        assert all(full / 2 <= one <= full for one in found)


def test_what_the_peer_asks_for_is_obeyed_within_bounds() -> None:
    """Not for ever."""
    assert pause_after(1, 0.1, 60, at_least=20) == 20
    assert pause_after(1, 0.1, 60, at_least=1e9) == 60


def test_retry_after_is_seconds_or_a_date() -> None:
    """Anything else is nothing."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < seconds_of(soon) <= 90
    assert seconds_of("120") == 120
    for odd in (None, "", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "1e5", "nan"):
        assert seconds_of(odd) == 0


def test_attempts_end_by_number_or_by_age() -> None:
    """Whichever comes first; 0 is no limit."""
    assert RetryPolicy(1, 5, 0, 0).pause(10_000, 1e9) is not None
    assert [RetryPolicy(1, 5, 3, 0).pause(n, 0) is None for n in (1, 2, 3)] == [False, False, True]
    assert [RetryPolicy(1, 1, 0, 60).pause(1, age) is None for age in (0, 59, 60)] == [False, False, True]
