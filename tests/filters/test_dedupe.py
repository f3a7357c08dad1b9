"""The filter Dedupe."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OptionError
from message_passing.filters.dedupe import DedupeFilter
from message_passing.flow import Output
from support import Kept, accounted_for, until


class Deduped:
    """A filter whose clock the test sets."""

    def __init__(self, **options: Any) -> None:
        self.kept = Kept()
        self.filter = DedupeFilter(**options, output_to=self.kept)
        self.now = 1000.0
        self.filter.clock = lambda: self.now

    def passed(self, *messages: Any) -> list[Any]:
        """Which of them pass, and events that come with them."""
        before = len(self.kept.messages)
        self.filter.consume_many(list(messages))
        return self.kept.messages[before:]


def test_the_whole_message_or_some_fields() -> None:
    """The order of fields is nothing, their types are something; text and bytes are compared, too."""
    whole = Deduped(events=False)
    one, other = {"a": 1, "b": {"c": [1], "d": None}}, {"b": {"d": None, "c": [1]}, "a": 1}
    different = [{**one, "a": "1"}, {**one, "a": True}, {**one, "a": 1.0}, "text", b"text", ["text"], 1, None]
    assert whole.passed(one, other, *different, *different) == [one, *different]
    assert accounted_for(whole.filter)

    ignoring = Deduped(ignore=["time", "b.c"], events=False)
    assert ignoring.passed({**one, "time": 1}, {"a": 1, "b": {"c": 2, "d": None}, "time": 2}) == [
        {**one, "time": 1}
    ]

    keyed = Deduped(key=["b.d", "a"], events=False)
    assert keyed.passed(one, {"a": 1, "x": 1}, {"a": 2}) == [one, {"a": 2}]
    long = [{"a": "x" * 10_000 + end} for end in "pqp"]
    assert keyed.passed(*long) == long[:2]


def test_what_has_no_key_passes() -> None:
    """Two messages without the field are not the same message, and somebody is told."""
    deduped = Deduped(key=["msg"])
    messages = [{"message": "a"}, {"message": "b"}, {"msg": None}, "text"]
    assert deduped.passed(*messages) == messages
    assert deduped.filter.notes() == ["messages pass that have none of the fields msg"]
    deduped.now += 61
    assert deduped.filter.notes() == []


def test_values_that_are_no_json() -> None:
    """A message without a digest passes; one that is deep or cyclic is no danger."""
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    messages = [{"a": 10**5000}, {"a": object()}, deep, cyclic]
    deduped = Deduped()
    passed = deduped.passed(*messages, *messages)
    assert len(passed) == 8
    keyed = Deduped(key=["a"])
    assert len(keyed.passed(*messages[:3])) == 3
    while deep:  # it is taken apart, since Python would do so recursively
        deep = deep.popitem()[1]


def test_the_window_begins_with_what_passed() -> None:
    """What is repeated without end passes once in each window, and the number of repetitions follows."""
    deduped = Deduped(window=60, key=["host", "message"])
    message = {"host": 7, "message": "disk full", "time": 1}
    seen = []
    for _ in range(181):
        seen += deduped.passed(message)
        deduped.now += 1
    events = [one for one in seen if one.get("event") == "repeated"]
    assert [one for one in seen if one not in events] == [message] * 4
    assert [one["repeated"] for one in events] == [59] * 3
    assert events[0]["host"] == 7
    assert events[0]["message"] == "disk full"
    deduped.filter.close()
    assert deduped.kept.messages[-1] is message  # it was not repeated in its last window
    assert deduped.filter.summary() == ["177 messages repeated others"]


def test_the_end_counts_too() -> None:
    """What was repeated until then is passed on when the filter is closed; in a loop, a timer does it."""
    deduped = Deduped()
    deduped.passed({"a": 1}, {"a": 1})
    deduped.filter.close()
    assert deduped.kept.messages[-1]["repeated"] == 1

    async def scenario() -> None:
        kept = Kept()
        dedupe = DedupeFilter(window=0.02, output_to=kept)
        dedupe.consume_many([{}, {}, {}])
        await until(lambda: len(kept.messages) == 2)
        assert kept.messages[-1]["repeated"] == 2

    asyncio.run(scenario())


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten, with its event; repetitions of it pass, and that is noted."""
    deduped = Deduped(max_keys=2)
    assert len(deduped.passed({"n": 1}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 1})) == 5
    assert next(one for one in deduped.kept.messages if "event" in one)["repeated"] == 1
    assert len(deduped.filter._seen) == 2
    assert "forgotten before the window of 60 s ends" in deduped.filter.notes()[0]
    assert accounted_for(deduped.filter) is False  # the event is one more
    assert deduped.filter.snapshot()["passed"] == 5


class Losing(Output):
    """Loses all for a while."""

    def on_init(self) -> None:
        """At first it loses."""
        self.loses = True
        self.messages: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Lose a batch, or keep it."""
        if self.loses:
            self.drop(messages, "disk full")
        else:
            self.messages += messages


def test_what_was_lost_is_no_repetition_when_it_is_delivered_again() -> None:
    """Otherwise a message that is sent again would be removed here, and reported as delivered."""
    end = Losing()
    dedupe = DedupeFilter(output_to=end)
    outcomes: list[Outcome] = []

    def deliver() -> None:
        with Delivery(outcomes.append, dedupe, comes_again=True):
            dedupe.consume_many([{"a": 1}, {"a": 1}])

    deliver()
    assert outcomes == [Outcome.LOST]
    assert end.metrics.lost_for_good().total() == 0
    end.loses = False
    deliver()
    deliver()
    assert outcomes == [Outcome.LOST, Outcome.DELIVERED, Outcome.DELIVERED]
    assert end.messages == [{"a": 1}]


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"window": 0}, "window"), ({"key": ["a"], "ignore": ["b"]}, "`ignore` has no effect with `key`")],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        DedupeFilter(**options)
    assert problem in str(caught.value)
