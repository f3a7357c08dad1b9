"""The filter Aggregate."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OptionError
from message_passing.filters import _statistics
from message_passing.filters._statistics import BUCKET_BYTES, MOST_BUCKETS, Statistics
from message_passing.filters.aggregate import MOST_WINDOWS, AggregateFilter
from support import Kept, accounted_for, until

START = 1_700_000_040  # a multiple of 60


class Aggregated:
    """A filter whose clocks the test sets."""

    def __init__(self, values: Any = None, **options: Any) -> None:
        self.kept = Kept()
        self.filter = AggregateFilter(values=values or {"n": "count"}, **options, output_to=self.kept)
        self.now = float(START)
        self.filter.clock = self.filter.wall = lambda: self.now

    def passed(self, *messages: Any) -> list[Any]:
        """What passes with them, without what every result has."""
        before = len(self.kept.messages)
        self.filter.consume_many([*messages])
        assert accounted_for(self.filter)
        return [shortened(one) for one in self.kept.messages[before:]]

    def closed(self) -> list[Any]:
        """What passes at the end."""
        before = len(self.kept.messages)
        self.filter.close()
        return [shortened(one) for one in self.kept.messages[before:]]


def shortened(result: Any) -> Any:
    """A result without what every one has."""
    usual = ("event", "time", "window")
    return {k: v for k, v in result.items() if k not in usual} if isinstance(result, dict) else result


def test_what_is_counted() -> None:
    """By several fields, nested ones too; what is no number is left out."""
    values = {
        "n": "count",
        "numbers": "count(took)",
        "total": "sum( took )",
        "least": "min(took)",
        "most": "max(took)",
        "stat.mean": "mean(took)",
        "p50": "p50(took)",
    }
    one = Aggregated(values, key=["host.name", "status"])
    odd: list[Any] = ["7", None, True, float("nan"), float("inf"), 10**400, [1]]
    messages = [{"host": {"name": "a"}, "status": 200, "took": took} for took in (1, 2, 6.0, *odd)]
    assert one.passed(*messages, {"status": 200}, {"status": "200"}, "text") == ["text"]
    one.now += 65
    (first, *others) = one.passed({})
    assert first == {
        "host": {"name": "a"},
        "status": 200,
        "n": 10,
        "numbers": 3,
        "total": 9.0,
        "least": 1,
        "most": 6.0,
        "stat": {"mean": 3.0},
        "p50": pytest.approx(2, rel=0.01),
    }
    nothing = {
        "n": 1,
        "numbers": 0,
        "total": 0,
        "least": None,
        "most": None,
        "stat": {"mean": None},
        "p50": None,
    }
    assert others == [{**nothing, "status": 200}, {**nothing, "status": "200"}]
    assert one.kept.messages[1]["event"] == "aggregate"
    assert one.kept.messages[1]["time"] == "2023-11-14T22:15:00.000000Z"
    assert one.kept.messages[1]["window"] == 60


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e9])
def test_percentiles_are_within_one_percent(spread: float) -> None:
    """Of positive and negative values and zeros, in any order."""
    chance = random.Random(7)  # noqa: S311 - no secret
    values = [chance.lognormvariate(0, 2) * spread * sign for sign in (1, -1) for _ in range(2000)] + [
        0.0
    ] * 100
    chance.shuffle(values)
    statistics = Statistics(sketch=True)
    for value in values:
        statistics.add(value)
    values.sort()
    for percent in (0, 1, 10, 25, 50, 75, 90, 99, 99.9):
        expected = values[int(percent / 100 * (len(values) - 1))]
        assert statistics.percentile(percent) == pytest.approx(expected, rel=0.0101, abs=1e-9)


def test_a_sketch_is_bounded() -> None:
    """Values of any size have as many buckets, and the largest keep theirs."""
    statistics = Statistics(sketch=True)
    for exponent in range(-9000, 9000):
        statistics.add(10 ** (exponent / 31))
    assert statistics._buckets is not None
    assert len(statistics._buckets) <= MOST_BUCKETS
    assert statistics.percentile(99) == pytest.approx(10 ** (8820 / 31), rel=0.1)


def test_what_percentiles_are_computed_from_is_bounded_for_all_keys_together() -> None:
    """Whatever values are sent: those of large values stay exact, and it is noted; what has passed is forgotten."""
    one = Aggregated({"n": "count", "most": "max(x)", "p": "p99.9(x)"}, key=["k"], max_bytes=1 << 20)
    for key in range(20):
        assert one.passed(*({"k": key, "x": 1.03**power} for power in range(1000))) == []
    kept = [group.fields["x"].buckets for group in one.filter._windows[START // 60].groups.values()]
    assert sum(kept) == one.filter._buckets <= (1 << 20) / BUCKET_BYTES + 20 * 16 < 20 * 1000
    assert "raise `max_bytes`" in one.filter.notes()[0]
    for result in one.closed():
        assert (result["n"], result["most"]) == (1000, 1.03**999)
        assert result["p"] == pytest.approx(1.03**998, rel=0.011)
    assert one.filter._buckets == 0
    one.now += 61
    assert one.filter.notes() == []


def test_values_of_any_size_are_counted_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sketch that is full is put in order once for many values, not for each that has no bucket yet."""
    calls: list[int] = []

    def counted(buckets: dict[int, int]) -> list[int]:
        calls.append(len(buckets))
        return sorted(buckets)

    monkeypatch.setattr(_statistics, "sorted", counted, raising=False)
    statistics = Statistics(sketch=True)
    for number in range(12_000):
        statistics.add(10.0 ** ((number * 7919) % 600 - 300 + number / 12_000))
    assert statistics.count == 12_000
    assert 0 < len(calls) < 200


def test_sums_that_are_large_are_json() -> None:
    """No integer of more than 64 bits, and no infinity."""
    one = Aggregated({"s": "sum(a)", "m": "max(a)", "f": "sum(b)", "e": "mean(b)"})
    one.passed(*[{"a": 1 << 63, "b": 9e299}] * 2)
    assert one.closed() == [
        {"partial": True, "s": float(1 << 64), "m": float(1 << 63), "f": 1.8e300, "e": 9e299}
    ]


def test_windows_by_the_messages_own_time() -> None:
    """One that is late is in a further result; one without a time, or ahead, is of the present."""
    one = Aggregated(lateness=5)
    one.passed({"time": START - 1}, {"time": START + 1e6}, {}, {"time": "no time"})
    assert one.filter.held() == 4
    one.now = START + 6
    assert one.passed() == [{"n": 1}]
    assert one.passed({"time": START - 2}, {"time": START - 59}, {"time": START - 61}) == []
    one.now += 5
    assert one.passed() == [{"late": True, "n": 1}, {"late": True, "n": 2}]
    one.now = START + 64
    one.passed({"time": START + 30})
    one.now = START + 65
    assert one.passed() == [{"n": 4}]
    one.passed({})
    assert one.closed() == [{"partial": True, "n": 1}]
    assert accounted_for(one.filter)


def test_keys_and_windows_are_bounded() -> None:
    """Further keys are counted together; of further windows the oldest is passed on. Nothing is left out."""
    one = Aggregated(key=["k"], max_keys=3)
    one.passed(*({"k": n % 10} for n in range(100)))
    assert "counted together" in one.filter.notes()[0]
    assert one.closed() == [{"partial": True, "k": n, "n": 10} for n in range(3)] + [
        {"partial": True, "other_keys": True, "n": 70}
    ]
    many = Aggregated(lateness=60)
    found = many.passed(*({"time": START - 1000 - 60 * n} for n in range(1000)))
    assert len(found) == 1000 - MOST_WINDOWS
    found += many.closed()
    assert sum(result["n"] for result in found) == 1000
    assert many.filter._keys == 0


def test_in_a_loop_no_further_message_is_needed() -> None:
    """A timer ends the window; `flush` does not wait for it."""

    async def scenario() -> None:
        kept = Kept()
        aggregate = AggregateFilter(values={"n": "count"}, window=0.02, lateness=0, output_to=kept)
        aggregate.consume_many([{}, {}])
        await until(lambda: kept.messages)
        assert sum(one["n"] for one in kept.messages) == 2
        slow = AggregateFilter(values={"n": "count"}, window=3600, output_to=kept)
        slow.consume({})
        await slow.flush()
        assert kept.messages[-1]["n"] == 1
        assert kept.messages[-1]["partial"]

    asyncio.run(scenario())


def test_messages_are_not_acknowledged_before_their_result() -> None:
    """Each delivery waits for all windows that it is in; `acknowledge_early` does not."""
    for early in (False, True):
        one = Aggregated(acknowledge_early=early)
        outcomes: list[Outcome] = []
        with Delivery(outcomes.append, one.filter):
            one.filter.consume_many([{"time": START - 1}, {}])
        assert len(outcomes) == early
        assert one.filter.held() == (0 if early else 2)
        one.now += 6
        one.filter.consume_many([])
        assert len(outcomes) == early
        one.now += 60
        one.filter.consume_many([])
        assert [result["n"] for result in one.kept.messages] == [1, 1]
        assert outcomes == [Outcome.DELIVERED]


def test_the_last_results_are_metrics() -> None:
    """By key and field, as numbers."""
    one = Aggregated({"n": "count", "m": "max(x)"}, key=["a", "b"])
    one.passed({"a": 1, "b": "x\n"}, {"a": 1, "b": "x\n", "x": 5}, {})
    assert one.filter.info()["aggregates"] == []
    one.closed()
    assert one.filter.info()["aggregates"] == [("1, x\\n", {"n": 2, "m": 5}), ("null, null", {"n": 1})]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "values"),
        ({"values": {}}, "values"),
        ({"values": {"a": "avg(x)"}}, "values.a: 'avg(x)' is none of count"),
        ({"values": {"a": "sum()"}}, "values.a: 'sum()' is none of"),
        ({"values": {"a": "p100(x)", "b": "p5"}}, "values.b: "),
        ({"values": {"a": "count"}, "window": 0}, "window"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        AggregateFilter(**options)
    assert problem in str(caught.value)
