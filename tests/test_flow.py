"""The contract of inputs, filters and outputs: batches, counters, failures, connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.errors import OptionError, OutputClosedError
from message_passing.filters.all import AllFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter, Input, Output
from message_passing.outputs.socket_udp import SocketUDPOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import TestOutput
from support import Kept, accounted_for


class Odd(Filter):
    """Drops even numbers, and fails on what is no number."""

    def filter(self, message: Any) -> Any:
        """Drop it or not."""
        return message if message & 1 else None


class Gone(Output):
    """Its reader has gone."""

    def write_many(self, messages: list[Any]) -> None:
        """Say so."""
        raise OutputClosedError("nobody reads")


class Full(Output):
    """Takes some of a batch, and then fails as a whole."""

    def write_many(self, messages: list[Any]) -> None:
        """Fail."""
        raise OSError("disk full")


class Slow(Kept):
    """Counts how often it was waited for."""

    drained = 0

    async def drain(self) -> None:
        """Count."""
        self.drained += 1


class Source(Input):
    """Emits two batches."""

    async def run(self) -> None:
        """Emit them."""
        self.emit([1, 2])
        await self.drain()
        self.emit([])
        self.emit([3])


@pytest.mark.parametrize("message", [b"", b"0", "", "0", 0, False, 0.0, {}, []])
def test_empty_and_zero_messages_are_messages(message: Any) -> None:
    """Only None is dropped: the original lost every false value at every filter."""
    end = Kept()
    NullFilter(output_to=Echo(output_to=end)).consume(message)
    assert end.messages == [message]


class Echo(Filter):
    """Passes messages on one by one."""

    def filter(self, message: Any) -> Any:
        """The message."""
        return message


def test_a_batch_stays_a_batch() -> None:
    """What goes on of a batch goes on together, and an empty rest is not handed on."""
    end = Kept()
    odd = Odd(output_to=end)
    odd.consume_many([1, 2, 3])
    odd.consume_many([2])
    assert end.batches == [[1, 3]]


@given(st.lists(st.lists(st.one_of(st.integers(), st.text(), st.none()))))
def test_every_message_is_counted_exactly_once(batches: list[list[Any]]) -> None:
    """Whatever comes in, received is the sum of what became of it, and the order is kept."""
    end, errors = Kept(), Kept()
    odd = Odd(output_to=end, error=errors)
    for batch in batches:
        odd.consume_many(batch)
    messages = [message for batch in batches for message in batch]
    numbers = [message for message in messages if isinstance(message, int)]
    assert end.messages == [number for number in numbers if number % 2]
    assert odd.metrics.received == len(messages)
    assert odd.metrics.failed == len(messages) - len(numbers)
    assert odd.metrics.filtered == sum(1 for number in numbers if not number % 2)
    assert accounted_for(odd)
    assert accounted_for(end)
    odd.close()
    reports = [report for report in errors.messages if {"packed_data", "stringified_data"} & report.keys()]
    suppressed = sum(report.get("suppressed", 0) for report in errors.messages)
    assert odd.metrics.failed == len(reports) + suppressed


def test_a_failing_message_does_not_keep_the_next_from_going_on() -> None:
    """The one is told, with what it was; the others pass."""
    end, errors = Kept(), Kept()
    Odd(output_to=end, error=errors).consume_many([1, "x", 3])
    assert end.messages == [1, 3]
    assert errors.messages[0]["packed_data"] == "x"


def test_an_output_that_fails_a_whole_batch_reports_it_once() -> None:
    """A full disk is one report with a count, not one for each line."""
    errors = Kept()
    full = Full(error=errors)
    full.consume_many([b"a", b"b", b"c"])
    assert errors.messages[0]["count"] == 3
    assert full.metrics.failed == 3
    assert accounted_for(full)


def test_a_reader_that_has_gone_is_told_to_the_input() -> None:
    """`OutputClosedError` reaches the head of the chain; the loss is counted once, where it happened."""
    gone = Gone()
    head = NullFilter(output_to=Odd(output_to=gone))
    with pytest.raises(OutputClosedError):
        head.consume_many([1, 2, 3])
    assert gone.snapshot()["dropped"] == {"closed": 2}
    for component in (head, head.outputs()[0], gone):
        assert accounted_for(component), component.snapshot()
    assert head.metrics.lost() == 0


def test_without_output_to_messages_are_counted_as_lost() -> None:
    """They are not kept, and not lost in silence."""
    null = NullFilter()
    null.consume_many([1, 2])
    assert null.outputs()[0].metrics.dropped == {"no output_to": 2}


def test_an_output_may_be_any_object_with_consume() -> None:
    """It is called for each message, and is counted for like a component."""

    class Plain:
        def __init__(self) -> None:
            self.got: list[Any] = []

        def consume(self, message: Any) -> None:
            if message == "bad":
                raise ValueError("bad")
            self.got.append(message)

    plain, errors = Plain(), Kept()
    null = NullFilter(output_to=plain, error=errors)
    null.outputs()[0].error = errors
    null.consume_many(["a", "bad", "b"])
    assert plain.got == ["a", "b"]
    assert errors.messages[0]["exception"] == "bad"


def test_a_class_is_an_output_by_defining_write() -> None:
    """It is called for each of a batch, behind the counted door."""

    class Printer(Output):
        def on_init(self) -> None:
            self.got: list[Any] = []

        def write(self, message: Any) -> None:
            self.got.append(message)

    printer = Printer()
    printer.consume_many([1, 2])
    printer.consume(3)
    assert printer.got == [1, 2, 3]
    assert printer.metrics.received == 3
    assert Printer.write_many is Output.write_many, "nothing is rewritten behind the author's back"


@pytest.mark.parametrize(
    ("base", "wanted"),
    [
        (Output, "write(message) or write_many(messages)"),
        (Kept, "write(message) or write_many(messages)"),
        (Filter, "filter(message), filter_many(messages), or `reads` and keeps(fields)"),
        (NullFilter, "filter(message), filter_many(messages), or `reads` and keeps(fields)"),
    ],
)
@pytest.mark.parametrize("door", ["consume", "consume_many"])
def test_a_class_that_defines_the_door_is_refused(base: type[Output], door: str, wanted: str) -> None:
    """It would not be counted: the class statement says what to define, also where a mixin brings the door."""
    doors: dict[str, Any] = {door: print}
    mixin = type("Mixin", (), doors)
    for bases, own in (((base,), doors), ((mixin, base), {})):
        with pytest.raises(TypeError) as caught:
            type("Wrong", bases, own)
        assert f"Wrong defines {door}" in str(caught.value)
        assert str(caught.value).endswith(f"define {wanted} instead")


def test_the_hook_of_a_mixin_counts_as_the_classs_own() -> None:
    """The most derived definition is found wherever it stands."""

    class Negates:
        def filter(self, message: Any) -> Any:
            return -message

    end = Kept()
    type("Negated", (Negates, NullFilter), {})(output_to=end).consume_many([1, 2])
    assert end.messages == [-1, -2]


def test_a_filter_for_one_message_of_a_class_that_hands_batches_on_itself() -> None:
    """Its own `filter` is called, though its base has a `write_many` and a `filter_many`."""

    class Marked(JSONLinesDecoder):
        def filter(self, message: Any) -> Any:
            return message + b"!"

    end = Kept()
    Marked(output_to=end).consume_many([b"1", b"2"])
    assert end.messages == [b"1!", b"2!"]


def test_a_subclass_that_defines_only_filter_is_called_message_by_message() -> None:
    """The most derived definition wins, although its base works by the batch."""

    class Doubled(NullFilter):
        def filter(self, message: Any) -> Any:
            return message * 2

    end = Kept()
    Doubled(output_to=end).consume_many([1, 2])
    assert end.messages == [2, 4]


def test_a_subclass_that_defines_only_write_is_called_message_by_message() -> None:
    """The same for an output."""

    class Reversed(Kept):
        def write(self, message: Any) -> None:
            self.batches.append([-message])

    end = Reversed()
    end.consume_many([1, 2])
    assert end.messages == [-1, -2]


def test_a_filter_that_says_nothing_is_an_error_for_each_message() -> None:
    """What is missing is told by name."""

    class Empty(Filter):
        pass

    errors = Kept()
    Empty(error=errors, output_to=Kept()).consume(1)
    assert (
        errors.messages[0]["exception"]
        == "Empty must define filter(message), filter_many(messages), or `reads` and keeps(fields)"
    )


def test_an_output_that_says_nothing_is_an_error_for_each_message() -> None:
    """What is missing is told by name."""

    class Empty(Output):
        pass

    errors = Kept()
    Empty(error=errors).consume(1)
    assert errors.messages[0]["exception"] == "Empty must define write(message) or write_many(messages)"


def test_an_input_that_says_nothing_is_an_error() -> None:
    """What is missing is told by name."""

    class Empty(Input):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define run"):
        asyncio.run(Empty().run())


def test_an_output_to_that_is_no_output_is_refused() -> None:
    """The message says what is needed."""
    with pytest.raises(OptionError, match="output_to must have a `consume` method, not 5"):
        NullFilter(output_to=5)


def test_a_list_of_outputs_is_refused_with_a_hint_at_t() -> None:
    """The one filter that takes a list is named."""
    with pytest.raises(OptionError, match="put a T filter between"):
        NullFilter(output_to=[Kept()])


def test_output_to_can_be_set_later() -> None:
    """A declared chain connects what it has made."""
    end = Kept()
    null = NullFilter()
    null.connect_to(end)
    null.consume(1)
    assert end.messages == [1]
    assert null.outputs() == (end,)


def test_an_input_counts_what_it_takes_and_hands_on() -> None:
    """An empty batch is none."""
    end = Slow()
    source = Source(output_to=end)
    asyncio.run(source.run())
    assert end.batches == [[1, 2], [3]]
    assert accounted_for(source)
    assert source.metrics.received == 3


def test_drain_waits_for_everything_downstream() -> None:
    """Through filters, and on every branch."""
    left, right = Slow(), Slow()
    source = Source(output_to=NullFilter(output_to=TFilter(output_to=[left, right])))
    asyncio.run(source.run())
    assert (left.drained, right.drained) == (1, 1)


def test_what_arrives_after_closing_is_counted_as_dropped() -> None:
    """It is not an error: a peer may still send while a chain is closed."""
    end = Kept()
    end.close()
    end.consume_many([1, 2])
    assert end.messages == []
    assert end.snapshot()["dropped"] == {"closed": 2}
    assert accounted_for(end)


def test_opening_on_demand_that_fails_fails_the_batch() -> None:
    """It is told in the error chain, and tried again with the next batch."""

    class Shut(Kept):
        tries = 0

        def on_open(self) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("not yet")

    errors = Kept()
    shut = Shut(error=errors)
    shut.consume(1)
    shut.consume(2)
    assert shut.messages == [2]
    assert errors.messages[0]["exception"] == "not yet"


class Acknowledges(Input):
    """Delivers, and what is settled is gone."""

    acknowledges = True


@pytest.mark.parametrize("between", [lambda one: one, lambda one: JSONEncoder(output_to=one)])
def test_an_input_that_acknowledges_what_may_be_lost_is_warned_of(between: Any) -> None:
    """Of every end that confirms before anybody has it, whatever stands between; of no other input or end."""
    udp = SocketUDPOutput(hostname="127.0.0.1", port=9)
    zmq = ZeroMQOutput(connect="tcp://127.0.0.1:9")
    head = Acknowledges(output_to=TFilter(output_to=[between(udp), Kept(), between(zmq)]))
    assert sorted(head.warnings()) == [
        f"the Acknowledges input acknowledges what the {name} output has handed to the network: "
        "what is lost after that is not sent again"
        for name in ("Socket::UDP", "ZeroMQ")
    ]
    assert Acknowledges(output_to=between(Kept())).warnings() == []
    assert type("Emits", (Input,), {})(output_to=between(udp)).warnings() == []


def test_a_filter_that_removes_everything_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute and a hundred messages of which none passed; no longer once one has; never where it is meant."""
    now = 0.0
    monkeypatch.setattr("message_passing.flow.monotonic", lambda: now)
    wanted = KeyFilter(key="level", match="error", output_to=TestOutput())
    nothing = AllFilter(output_to=TestOutput())
    for now in (0.0, 30.0, 59.0):  # noqa: B007 - the clock reads it
        for one in (wanted, nothing):
            one.consume_many([{"level": "info"}] * 50)
            assert one.notes() == []
    now = 61.0
    assert ["removed every message" in text for text in wanted.notes()] == [True]
    assert nothing.notes() == []
    wanted.consume({"level": "error"})
    assert wanted.notes() == []
    now = 200.0
    assert wanted.notes() == []  # and nothing came


def test_every_filter_can_be_asked_for_notes() -> None:
    """Also one whose `on_init` does not call that of its base."""
    assert TFilter(output_to=[TestOutput()]).notes() == []
    assert NullFilter(output_to=TestOutput()).notes() == []


class Popping(Filter):
    """Takes what it handles off the batch, and fails on the number 2."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Empty the batch."""
        passing = []
        while messages:
            passing.append(messages.pop(0))
            if passing[-1] == 2:
                raise ValueError("two")
        return passing


class PoppingOutput(Output):
    """The same for an output."""

    def write_many(self, messages: list[Any]) -> None:
        """Empty the batch."""
        while messages:
            if messages.pop(0) == 2:
                raise ValueError("two")


class Refusing(Filter):
    """Fails as a whole on the number 2, without changing anything."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Pass all, or raise."""
        if 2 in messages:
            raise ValueError("two")
        return messages


class Shedding(Filter):
    """Loses some by its own decision, with a reason, and fails on the number 2."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Drop the first one."""
        self.drop(messages[:1], "shed")
        if 2 in messages:
            raise ValueError("two")
        return messages[1:]


class SheddingOutput(Output):
    """The same for an output."""

    def write_many(self, messages: list[Any]) -> None:
        """Drop the first one."""
        self.drop(messages[:1], "shed")
        raise ValueError("two")


class SheddingOne(Filter):
    """Loses odd numbers one by one."""

    def filter(self, message: int) -> int | None:
        """Drop it or not."""
        if message % 2:
            self.drop([message], "shed")
            return None
        return message


@pytest.mark.parametrize(
    ("cls", "in_pieces", "passed", "failed", "dropped"),
    [
        (Popping, True, 1, 4, 0),  # the first message is a piece of its own: see `Pace.most`
        (Popping, False, 0, 5, 0),
        (PoppingOutput, False, 0, 5, 0),
        (Refusing, True, 1, 4, 0),
        (Refusing, False, 0, 5, 0),
        (Shedding, True, 0, 3, 2),
        (Shedding, False, 0, 4, 1),
        (SheddingOutput, False, 0, 4, 1),
        (SheddingOne, True, 3, 0, 2),
    ],
)
def test_whatever_a_batch_method_does_each_message_is_counted_once(
    cls: type[Output], in_pieces: bool, passed: int, failed: int, dropped: int
) -> None:
    """It may change its batch though it should not, lose some, and raise in the middle, or all of these."""
    end, errors = Kept(), Kept()
    given: dict[str, Any] = {"output_to": end} if issubclass(cls, Filter) else {}
    component = cls(error=errors, **given)
    if not in_pieces:
        component._pace.most = float("inf")
    component.consume_many([0, 1, 2, 3, 4])
    counted = component.snapshot()
    assert (counted["received"], counted["passed"], counted["failed"]) == (5, passed, failed)
    assert counted["dropped"] == ({"shed": dropped} if dropped else {})
    assert accounted_for(component)
    assert sum(one.get("count", 1) for one in errors.messages) == failed
    assert len(end.messages) == (passed if given else 0)
