"""How old messages are when they come, of one a second."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from message_passing.console.message_age import LATENCIES, MessageAge, _Trend
from message_passing.filters.null import NullFilter
from message_passing.message_fields import message_time
from message_passing.outputs.null import NullOutput

AT = 1_764_000_000.25


@pytest.mark.parametrize(
    ("message", "when"),
    [
        ({"time": AT}, AT),
        ({"time": 1_764_000_000_250}, AT),
        ({"time": 1_764_000_000_250_000}, AT),
        ({"time": "1764000000250000000"}, AT),
        ({"time": "1612010412345"}, 1612010412.345),
        ({"time": "2025-11-24T16:00:00.250Z"}, AT),
        ({"time": "2025-11-24T17:00:00.250000+01:00"}, AT),
        ({"@timestamp": "2025-11-24T16:00:00.250"}, AT),
        ({"Timestamp": "2025-11-24T16:00:00.250Z"}, AT),
        ({"epochtime": AT}, AT),
        ({"time": "2025-11-24T16:00:00.250"}, None),
        ({"time": "yesterday", "epochtime": AT}, AT),
        ({"time": True}, None),
        ({"time": 5}, None),
        ({"time": math.nan}, None),
        ({"time": math.inf}, None),
        ({"time": 10**400}, None),
        ({"time": "9" * 10_000}, None),
        ({"time": ["2025"]}, None),
        ({"time": {"a": 1}}, None),
        ({}, None),
        (b"{", None),
        (None, None),
    ],
)
def test_a_message_s_own_time(message: Any, when: float | None) -> None:
    """In every field set that is known, and nothing for what is no time, or not known to be of which zone."""
    found = message_time(message)
    assert found is None if when is None else found == pytest.approx(when, abs=1e-3)


def sampled(*batches: list[Any]) -> MessageAge:
    """What is known after these batches, each in a second of its own."""
    age, one = MessageAge(), NullFilter(output_to=NullOutput())
    for batch in batches:
        age.arm([one])
        one.consume_many(batch)
        assert not one.observers, "nobody looks any more after one batch"
    age.look()
    return age


@pytest.mark.parametrize("form", [lambda n: {"time": n}, lambda n: b'{"time":%f}' % n])
def test_the_newest_is_the_last_of_a_batch(form: Any) -> None:
    """Whether it is decoded in the chain or not."""
    now = time.time()
    age = sampled([form(now - 60), form(now - 5)], [form(now - 50), form(now - 2)])
    assert age.newest() == pytest.approx(now - 2, abs=0.01)
    assert sum(age.counts) == 2
    assert age.total == pytest.approx(7, abs=1)


@pytest.mark.parametrize(
    "message", [b"no JSON", b"\xff", b"[" * 100_000, b'{"time":' + b" " * 300_000 + b"1764000000}", {}, 5]
)
def test_what_has_no_time_is_not_known(message: Any) -> None:
    """And is not taken for what came before it."""
    age = sampled([{"time": time.time()}], [message])
    assert age.newest() is None
    assert sum(age.counts) == 1


def test_a_clock_that_is_ahead_makes_no_negative_latency() -> None:
    """A histogram's sum never falls; the newest message's time is told as it is."""
    ahead = time.time() + 100
    age = sampled([{"time": ahead}])
    assert age.newest() == ahead
    assert (age.counts[0], age.total) == (1, 0.0)


def test_a_histogram_is_cumulative() -> None:
    """As Prometheus has it."""
    now = time.time()
    age = sampled(*([{"time": now - seconds}] for seconds in (0.2, 3, 3, 10_000)))
    found = dict(age.cumulative())
    assert [*found.values()] == sorted(found.values())
    assert (found["0.1"], found["0.5"], found["5.0"], found["3600.0"], found["+Inf"]) == (0, 1, 3, 3, 4)
    assert len(found) == len(LATENCIES) + 1


def test_another_chain_is_sampled_elsewhere() -> None:
    """What is no part of it is looked at no more, and its newest message is forgotten."""
    age, old, new = MessageAge(), NullFilter(output_to=NullOutput()), NullFilter(output_to=NullOutput())
    age.arm([old])
    old.consume({"time": AT})
    age.arm([old])
    age.look()
    assert age.newest() == AT
    age.arm([new])
    age.look()
    assert (old.observers, age.newest()) == ((), None)
    age.leave()
    assert new.observers == ()


def test_samples_that_nobody_takes_are_bounded() -> None:
    """The console's thread may be late."""
    age, one = MessageAge(), NullFilter(output_to=NullOutput())
    for _ in range(1000):
        age.arm([one])
        one.consume({"time": AT})
    assert len(age._samples) == 100


def trend(*ages: float, every: float = 1.0) -> float | None:
    """How far behind an input is found to be whose messages came at this age, one after the other."""
    found = _Trend()
    for number, age in enumerate(ages):
        found.add(AT + number * every, AT + number * every - age)
    return found.behind(AT + (len(ages) - 1) * every)


def test_what_comes_older_and_older_is_behind() -> None:
    """From 5 s on, until it has caught up; slowly too, and whoever else is late by himself."""
    assert trend(*(5 + number / 2 for number in range(8))) == pytest.approx(8.5)
    assert trend(*(5 + number / 8 for number in range(30))) == pytest.approx(8.625)
    assert trend(*(5 + number / 2 for number in range(8)), 8.0, 7.0, 6.0) == pytest.approx(6)
    assert trend(*(5 + number / 2 for number in range(8)), 8.0, 4.0) is None
    assert trend(*(number / 2 for number in range(8))) is None


@pytest.mark.parametrize(
    "ages",
    [
        [86_400.0] * 20,  # of a sender whose clock is wrong
        [86_400.0 + number for number in range(20)],  # all are of one time: replayed
        [86_400.0 - 10 * number for number in range(20)],  # replayed faster than they were made
        [30.0 - number for number in range(20)],  # catching up after it was away
        [5.0, 9.0, 13.0],  # too few to tell
    ],
)
def test_age_alone_is_not_behind(ages: list[float]) -> None:
    """Old messages are well, as long as they do not come ever older."""
    assert trend(*ages) is None


def test_nothing_comes_so_nothing_is_behind() -> None:
    """It is idle, and what was before counts no more."""
    found = _Trend()
    for number in range(8):
        found.add(AT + number, AT + number / 2 - 5)
    assert found.behind(AT + 17) is not None
    assert found.behind(AT + 18) is None
    found.add(AT + 30, AT)
    assert found.behind(AT + 30) is None
