"""The filter Throttle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters.throttle import OTHER_KEYS, ThrottleFilter
from support import Kept, accounted_for, until


class Throttled:
    """A filter whose clock the test sets."""

    def __init__(self, **options: Any) -> None:
        self.kept = Kept()
        self.filter = ThrottleFilter(**{"report_interval": 0, **options}, output_to=self.kept)
        self.now = 1000.0
        self.filter.clock = lambda: self.now

    def passed(self, *messages: Any) -> list[Any]:
        """Which of them pass."""
        before = len(self.kept.messages)
        self.filter.consume_many(list(messages))
        return self.kept.messages[before:]


def test_a_burst_and_then_the_rate() -> None:
    """Ten at once, then two a second; a pause gives the burst back, and no more."""
    throttled = Throttled(rate=2, burst=10)
    messages = [{"n": n} for n in range(30)]
    assert throttled.passed(*messages) == messages[:10]
    throttled.now += 1
    assert throttled.passed(*messages) == messages[:2]
    throttled.now += 1000
    assert len(throttled.passed(*messages)) == 10
    assert accounted_for(throttled.filter)
    assert throttled.filter.summary() == ["68 messages suppressed"]


@pytest.mark.parametrize(
    ("rate", "burst", "most"), [(10, 0, 10), (0.1, 0, 1), (1000, 1000, 1000), (3, 1, 1), (7.7, 0, 7)]
)
def test_the_size_of_a_burst(rate: float, burst: int, most: int) -> None:
    """As many as in a second, at least one, and exactly that however the numbers are rounded."""
    throttled = Throttled(rate=rate, burst=burst)
    assert len(throttled.passed(*range(2000))) == most


def test_the_rate_over_a_long_time() -> None:
    """Of ten a second, three a second pass."""
    throttled = Throttled(rate=3)
    count = 0
    for _ in range(1000):
        throttled.now += 0.1
        count += len(throttled.passed({}))
    assert 300 <= count <= 303


def test_each_key_has_its_own_limit() -> None:
    """By one field or several; a missing one is a value, and a number is not its text."""
    throttled = Throttled(rate=1, key=["a.b", "c"])
    messages = [
        {"a": {"b": 1}, "c": 2},
        {"a": {"b": "1"}, "c": 2},
        {"a": {"b": True}, "c": 2},
        {"a.b": 1},
        {},
        "text",
    ]
    assert throttled.passed(*messages, *messages) == messages[:5]


def test_what_always_passes_counts_towards_no_limit() -> None:
    """Errors pass beside the others."""
    throttled = Throttled(rate=1, always='level >= "ERROR"')
    error, info = {"level": "ERROR"}, {"level": "INFO"}
    assert throttled.passed(error, error, info, info, error) == [error, error, info, error]


def test_a_flood_of_keys_stays_within_memory_and_limits() -> None:
    """Idle keys are forgotten; if none is idle, new ones share one limit, and that is said for a while."""
    throttled = Throttled(rate=1, burst=2, key=["k"], max_keys=100)
    assert len(throttled.passed(*({"k": str(n)} for n in range(10_000)))) == 102
    assert len(throttled.filter._whole_at) == 101
    assert "new keys share one limit, since there are more than 100" in throttled.filter.notes()[-1]
    throttled.now += 100
    assert len(throttled.passed(*({"k": f"new {n}"} for n in range(99)))) == 99
    assert throttled.filter.notes() == []


def test_an_event_says_what_was_suppressed() -> None:
    """While it happens and at the end, by the keys with most; not of messages that are no objects, or with 0."""
    throttled = Throttled(rate=1, key=["k"], max_keys=3, report_interval=10)
    throttled.passed(*[{"k": "a"}] * 5, *[{"k": "b\n"}] * 3, {"k": None}, {"k": None})
    throttled.now += 10
    throttled.passed({"k": "a"})
    event = throttled.kept.messages[-2]
    assert event["event"] == "throttled"
    assert event["suppressed"] == 7
    assert event["suppressed_by_key"] == {"a": 4, "b\\n": 2, "null": 1}
    throttled.passed({"k": "a"})
    throttled.filter.close()
    assert throttled.kept.messages[-1]["suppressed_by_key"] == {"a": 1}

    silent = Throttled(rate=1, report_interval=0)
    silent.passed({"n": 1}, {"n": 2})
    silent.filter.close()
    assert silent.kept.messages == [{"n": 1}]
    assert silent.filter.summary() == ["1 message suppressed"]

    text = Throttled(rate=1, report_interval=10)
    text.passed(b"a", b"a")
    text.filter.close()
    assert text.kept.messages == [b"a"]
    assert text.filter.summary() == ["1 message suppressed"]


def test_counts_of_suppressed_keys_are_bounded() -> None:
    """Those beyond are counted together."""
    throttled = Throttled(rate=0.001, key=["k"], max_keys=2, report_interval=10)
    for n in range(10):
        throttled.passed({"k": n}, {"k": n}, {"k": n})
        throttled.now += 2000
    assert len(throttled.filter._new) <= 3
    throttled.filter.close()
    found = [one for one in throttled.kept.messages if "event" in one]
    assert sum(one["suppressed"] for one in found) == 20
    assert all(set(one["suppressed_by_key"]) <= {*map(str, range(10)), OTHER_KEYS} for one in found)


def test_in_a_loop_the_event_comes_without_a_further_message() -> None:
    """A timer passes it on."""

    async def scenario() -> None:
        kept = Kept()
        throttle = ThrottleFilter(rate=0.1, report_interval=0.02, output_to=kept)
        throttle.consume_many([{}, {}, {}])
        await until(lambda: len(kept.messages) == 2)
        assert kept.messages[-1]["suppressed"] == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 0}, "rate"),
        ({}, "rate"),
        ({"rate": 1, "always": "a ="}, "always: "),
        ({"rate": 1, "max_keys": 0}, "max_keys"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        ThrottleFilter(**options)
    assert problem in str(caught.value)
