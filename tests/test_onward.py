"""Filters and inputs that hand messages on themselves, as the original's do: `self.output_to.consume(message)`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing import message_chain, run_message_server
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter, Input, Output
from message_passing.testing import ListInput
from support import Kept, accounted_for

if TYPE_CHECKING:
    from pathlib import Path


class Splits(Filter):
    """Hands on each item of a list, and what is no list as its result."""

    def filter(self, message: Any) -> Any:
        """One becomes several."""
        if not isinstance(message, list):
            return message
        for item in message:
            self.output_to.consume(item)
        return None


class Batches(Splits):
    """The same for a batch."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Hands on what it likes, and the rest as its result."""
        for message in messages:
            if isinstance(message, list):
                self.output_to.consume_many(message)
        return [message for message in messages if not isinstance(message, list)]


class Plain:
    """Has `consume`, and no base class of ours."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def consume(self, message: Any) -> None:
        """Keep it."""
        self.messages.append(message)


def test_what_is_handed_on_stays_in_order() -> None:
    """With what the filter returns, in the same batch."""
    end = Kept()
    splits = Splits(output_to=end)
    splits.consume_many([1, [2, 3], 4, [5], [], 6])
    assert end.messages == [1, 2, 3, 4, 5, 6]
    assert len(end.batches) == 1


def test_what_is_handed_on_is_counted_as_passed() -> None:
    """And not as filtered: nothing of it was removed."""
    end = Kept()
    splits = Splits(output_to=end)
    splits.consume_many([[1], [2], 3])
    assert splits.snapshot() == {
        "received": 3,
        "passed": 3,
        "filtered": 0,
        "dropped": {},
        "failed": 0,
        "held": 0,
    }
    assert end.metrics.received == 3


def test_a_filter_of_batches_hands_on_at_once() -> None:
    """What it returns comes after that, piece by piece, and the numbers add up."""
    end = Kept()
    batches = Batches(output_to=end)
    batches.consume_many([1])  # it is quick, so what comes now is one piece
    batches.consume_many([3, [2]])
    assert end.messages == [1, 2, 3]
    assert accounted_for(batches)
    assert batches.metrics.filtered == 0


def test_what_another_thread_hands_on_is_not_lost() -> None:
    """It goes on at once: the batch that is being filtered belongs to another thread."""
    end = Kept()
    began, done = threading.Event(), threading.Event()

    class Slow(Splits):
        def filter(self, message: Any) -> Any:
            began.set()
            assert done.wait(10)
            return message

    slow = Slow(output_to=end)

    def meanwhile() -> None:
        assert began.wait(10)
        slow.output_to.consume("other")
        done.set()

    other = threading.Thread(target=meanwhile)
    other.start()
    slow.consume("own")
    other.join()
    assert end.messages == ["other", "own"]
    assert slow.metrics.passed == 2


def test_a_failure_after_it_keeps_what_was_handed_on() -> None:
    """As in the original, where it has left already; the message counts as failed."""

    class Fails(Splits):
        def filter(self, message: Any) -> Any:
            super().filter(message)
            raise ValueError("no")

    end, errors = Kept(), Kept()
    Fails(output_to=end, error=errors).consume_many([[1], [2]])
    assert end.messages == [1, 2]
    assert len(errors.messages) == 2


@pytest.mark.parametrize("make", [Kept, Plain], ids=["component", "any object"])
def test_whatever_it_is_connected_to(make: Any) -> None:
    """A component or anything with `consume`; its other attributes are reached through `output_to` too."""
    end = make()
    splits = Splits(output_to=end)
    splits.consume([7])
    assert splits.output_to.messages == end.messages == [7]
    with pytest.raises(AttributeError):
        _ = splits.output_to.no_such_thing


def test_nothing_is_connected() -> None:
    """What is handed on to nobody is counted as dropped, and raises nothing."""
    splits = Splits()
    splits.consume([1, 2])
    assert splits.outputs()[0].metrics.dropped == {"no output_to": 2}


def test_the_output_to_of_one_can_be_given_to_another() -> None:
    """It stands for the component behind it."""
    end = Kept()
    first = NullFilter(output_to=end)
    second = Splits(output_to=TFilter(output_to=[first.output_to, Kept()]))
    third = Splits(output_to=first.output_to)
    second.consume([1])
    third.consume([2])
    assert end.messages == [1, 2]
    assert third.outputs() == (end,)
    assert first.metrics.received == 0


def test_an_input_may_hand_on_itself() -> None:
    """It counts what it takes so."""

    class Three(Input):
        async def run(self) -> None:
            for number in range(3):
                self.output_to.consume(number)

    end = Kept()
    three = Three(output_to=end)
    asyncio.run(three.run())
    assert end.messages == [0, 1, 2]
    assert three.snapshot()["received"] == three.snapshot()["passed"] == 3


def test_an_error_chain_that_ends_where_the_messages_go() -> None:
    """A report that comes while a batch is filtered is no message that the filter passed."""

    class Fails(Filter):
        def filter(self, message: Any) -> Any:
            if message == 2:
                raise ValueError("no")
            return message

    end = Kept()
    fails = Fails(output_to=end, error=end)
    fails.consume_many([1, 2, 3])
    assert fails.snapshot()["passed"] == 2
    assert [one for one in end.messages if isinstance(one, int)] == [1, 3]


def test_reports_of_ones_own_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A component that is in no chain has an error chain: standard error, as in the original."""

    class Refuses(Output):
        def write(self, message: Any) -> None:
            self.error.consume({"refused": message})

    Refuses().consume(1)
    assert capsys.readouterr().err == '{"refused": 1}\n'


def test_reports_of_ones_own_in_a_chain() -> None:
    """They go where its other reports go."""

    class Refuses(Output):
        def write(self, message: Any) -> None:
            self.error.consume({"refused": message})

    errors = Kept()
    with message_chain() as chain:
        chain.output("errors", errors)
        chain.error_log("Null", output_to="errors")
        chain.input("in", ListInput(messages=[1]), output_to="out")
        chain.output("out", Refuses)
    run_message_server(chain)
    assert errors.messages == [{"refused": 1}]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_command(workers: str, tmp_path: Path) -> None:
    """A splitter between decoder and encoder, in this process and in workers."""
    (tmp_path / "mine.py").write_text('''
from message_passing import Filter

class Split(Filter):
    """Hands on each item."""
    def filter(self, message):
        for item in message["items"]:
            self.output_to.consume({"item": item})
''')
    words = [*STDIN_TO_STDOUT, "--filter", "+mine:Split", "--workers", workers]
    done = finished(*words, given=b'{"items":[1,2]}\n{"items":[]}\n{"items":[3]}\n', cwd=tmp_path)
    assert sorted(done.out.splitlines()) == [b'{"item":1}', b'{"item":2}', b'{"item":3}']
    assert (done.status, done.err) == (0, "")
