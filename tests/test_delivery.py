"""What became of a batch: deliveries, holds, and outcomes through real components."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing import registry
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.null import NullEncoder
from message_passing.delivery import AMBIENT, NO_HOLD, Hold, Outcome, Several
from message_passing.errors import DecodingError, OutputClosedError
from message_passing.filters.delay import DelayFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter, Input, Output
from message_passing.logging.chain_handler import MessagePassingHandler
from message_passing.outputs.file import FileOutput
from message_passing.outputs.stdout import StdoutOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DELIVERED, REJECTED, LOST = Outcome


class Source(Input):
    """Delivers what a test says."""


class Waits(Output):
    """Keeps batches until somebody says so."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.waiting: list[tuple[list[Any], Hold]] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep a batch."""
        self.waiting.append((list(messages), self.hold()))

    def held(self) -> int:
        """What waits."""
        return sum(len(messages) for messages, _ in self.waiting)


class Refuses(Output):
    """Fails with what it is told to."""

    raised: BaseException | None = None

    def write_many(self, messages: list[Any]) -> None:
        """Raise."""
        raise self.raised or ValueError(messages)


def refuses(error: BaseException) -> Refuses:
    """One of them."""
    output = Refuses(error=Kept())
    output.raised = error
    return output


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go round until something is true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.001)


def outcome_of(chain: Any, messages: list[Any]) -> list[Outcome]:
    """What a delivery to a chain settles with at once: nothing if it does not."""
    found: list[Outcome] = []
    Source(output_to=chain, error=Kept()).deliver(messages, found.append)
    return found


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (Kept, DELIVERED),
        (lambda: KeyFilter(key="a", match="never", output_to=Kept()), DELIVERED),
        (lambda: JSONDecoder(output_to=Kept(), error=Kept()), REJECTED),
        (lambda: JSONDecoder(output_to=TFilter(output_to=[Kept(), None]), error=Kept()), LOST),
        (NullFilter, LOST),
        (lambda: refuses(OSError(errno.ENOSPC, "full")), LOST),
        (lambda: refuses(DecodingError("bad")), REJECTED),
        (lambda: TFilter(output_to=[refuses(DecodingError("bad")), NullFilter()]), LOST),
        (lambda: JSONEncoder(output_to=Kept(), error=NullFilter()), REJECTED),
    ],
)
def test_the_outcome_is_the_worst_in_the_batch(make: Callable[[], Any], outcome: Outcome) -> None:
    """Delivered or filtered, rejected, lost: also where branches differ, and whatever became of the report."""
    itself: list[Any] = []
    itself.append(itself)
    chain = make()
    batch = [b'{"a":1}', b"{"] if isinstance(chain, JSONDecoder) else [{"a": 1}, {"b": itself}]
    assert outcome_of(chain, batch) == [outcome]


def test_an_empty_batch_is_delivered() -> None:
    """There is nothing to wait for."""
    assert outcome_of(Kept(), []) == [DELIVERED]


def test_a_reader_that_has_gone_is_a_loss() -> None:
    """Whoever delivers learns of both: the exception, and the outcome."""
    found: list[Outcome] = []
    source = Source(output_to=NullFilter(output_to=refuses(OutputClosedError())), error=Kept())
    with pytest.raises(OutputClosedError):
        source.deliver([1], found.append)
    assert found == [LOST]
    assert AMBIENT.fate is None


def test_it_is_settled_when_nobody_holds_any_of_it() -> None:
    """By any thread, once, and what is done meanwhile is no part of it."""
    waits, found = Waits(), list[Outcome]()
    source = Source(output_to=TFilter(output_to=[waits, Kept(), waits]), error=Kept())
    source.deliver([1, 2], found.append)
    (_, first), (_, second) = waits.waiting
    waits.drop(1, "another's")
    first.release()
    first.release()
    assert not found
    thread = threading.Thread(target=second.release)
    thread.start()
    thread.join()
    assert found == [DELIVERED]


def test_what_is_handed_on_later_is_that_deliverys_again() -> None:
    """Not the one that is on its way at the moment, and not those that come after."""
    first, second = list[Outcome](), list[Outcome]()

    class Batches(Filter):
        def on_init(self) -> None:
            super().on_init()
            self.kept: list[tuple[list[Any], Hold]] = []

        def write_many(self, messages: list[Any]) -> None:
            if self.kept:
                kept, hold = self.kept.pop()
                with hold.resumed(last=True):
                    self.emit(kept)
            self.kept.append((messages, self.hold()))

    batches = Batches(output_to=JSONDecoder(output_to=Kept(), error=Kept()))
    source = Source(output_to=batches)
    source.deliver([b"{"], first.append)
    source.deliver([b"1"], second.append)
    assert (first, second) == ([REJECTED], [])
    batches.close()
    assert second == [LOST], "what a component holds when it is closed is lost, though it has forgotten it"


def test_a_component_that_is_closed_with_messages_counts_them() -> None:
    """An output that queues and sends no more: 2,000 messages do not vanish."""
    waits, found = Waits(), list[Outcome]()
    source = Source(output_to=waits)
    for _ in range(2):
        source.deliver([0] * 1000, found.append)
    source.open()
    source.close()
    assert waits.snapshot()["dropped"] == {"unsent at close": 2000}
    assert (waits.snapshot()["held"], waits.snapshot()["passed"]) == (0, 0)
    assert found == [LOST, LOST]
    assert accounted_for(waits)
    waits.close()
    assert waits.metrics.dropped.total() == 2000, "once"


def test_nobody_who_asks_costs_nothing() -> None:
    """What is emitted is no delivery's, and a hold of it is one for all."""
    waits = Waits()
    Source(output_to=waits).emit([1])
    assert waits.waiting[0][1] is NO_HOLD
    with NO_HOLD.resumed(last=True):
        waits.drop(1, "why not")


def test_another_input_within_the_call_is_on_its_own() -> None:
    """What an output logs, or a callback emits, is not the delivery's: its loss is another matter."""
    other = Source(output_to=NullFilter())
    handler = MessagePassingHandler(NullFilter())

    class Talks(Output):
        def write_many(self, messages: list[Any]) -> None:
            other.emit(messages)
            handler.handle(handler_record())

    assert outcome_of(Talks(), [1]) == [DELIVERED]
    assert other.outputs()[0].outputs()[0].metrics.dropped == {"no output_to": 1}
    assert handler.output.outputs()[0].metrics.dropped == {"no output_to": 1}


def handler_record() -> Any:
    """A record for a log handler."""
    import logging  # noqa: PLC0415

    return logging.makeLogRecord({"msg": "hello", "levelno": 20, "levelname": "INFO"})


def test_a_task_that_is_made_within_the_call_is_on_its_own() -> None:
    """What an output's task loses much later counts for no delivery in whose call it was made."""

    class Background(Output):
        task: Any = None

        def write_many(self, messages: list[Any]) -> None:
            self.task = asyncio.create_task(self.lose())
            asyncio.get_running_loop().call_soon(self.drop, 1, "by a timer")

        async def lose(self) -> None:
            self.drop(1, "by a task")

    async def run() -> list[Outcome]:
        output, found = Background(), list[Outcome]()
        with Hold(None).resumed():
            Source(output_to=TFilter(output_to=[output, waits])).deliver([1], found.append)
        await output.task
        for _, hold in waits.waiting:
            hold.release()
        return found

    waits = Waits()
    assert asyncio.run(run()) == [DELIVERED]


def test_it_is_settled_in_the_loop_of_who_delivers() -> None:
    """Also where a thread of an output's own is the last that holds it; what that raises is reported."""
    waits, errors = Waits(), Kept()
    where: list[int] = []

    def settled(outcome: Outcome) -> None:
        where.append(threading.get_ident())
        raise ValueError(outcome.name)

    async def run() -> None:
        Source(output_to=waits, error=errors).deliver([1], settled)
        await asyncio.to_thread(waits.waiting.pop()[1].release)
        await until(lambda: where)
        Source(output_to=waits, error=errors).deliver([1], settled)

    asyncio.run(run())
    thread = threading.Thread(target=waits.waiting.pop()[1].release)  # the loop is closed by now
    thread.start()
    thread.join()
    assert where == [threading.get_ident(), thread.ident]
    assert [one["exception"] for one in errors.messages] == ["DELIVERED", "DELIVERED"]


def test_many_threads_settle_once() -> None:
    """A thousand holds released by eight threads at once."""
    waits, found = Waits(), list[Outcome]()
    source = Source(output_to=TFilter(output_to=[waits] * 1000, copy=False))
    source.deliver([1], found.append)
    holds = [hold for _, hold in waits.waiting]

    def release(part: list[Hold]) -> None:
        for hold in part:
            hold.note(REJECTED)
            hold.release()

    threads = [threading.Thread(target=release, args=(holds[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [REJECTED]


def test_several_deliveries_share_a_fate() -> None:
    """Where it is not known whose a message is, it is everybody's."""
    waits, found = Waits(), list[Outcome]()
    source = Source(output_to=waits)
    source.deliver([1], found.append)
    source.deliver([2], found.append)
    fates = [hold.fate for _, hold in waits.waiting if hold.fate]
    both = Hold(Several([*fates, fates[0]]))
    for _, hold in waits.waiting:
        hold.release()
    assert not found
    with both.resumed(last=True):
        waits.drop(1, "whose?")
    assert found == [LOST, LOST]


def test_a_filter_may_deliver_again() -> None:
    """One that tries a second way holds the outer delivery until the inner one is settled."""

    class Fallback(Filter):
        other: Any = None

        def write_many(self, messages: list[Any]) -> None:
            hold = self.hold()

            def settled(outcome: Outcome) -> None:
                with hold.resumed(last=True):
                    if outcome is LOST:
                        self.other.consume_many(messages)

            self.deliver(messages, settled)

    fallback = Fallback(output_to=refuses(OSError("full")))
    fallback.other = Kept()
    assert outcome_of(fallback, [1, 2]) == [DELIVERED]
    assert fallback.other.messages == [1, 2]
    fallback.other = refuses(OSError("full too"))
    assert outcome_of(fallback, [1]) == [LOST]


# The components that keep messages


@pytest.mark.parametrize("late", [True, False])
def test_delay_settles_when_it_has_passed_on(late: bool) -> None:
    """Whether the time was up, or the chain ended before."""
    found: list[Outcome] = []

    async def run() -> None:
        delay = DelayFilter(
            delay_for=0.01 if late else 60, output_to=JSONDecoder(output_to=Kept(), error=Kept())
        )
        source = Source(output_to=TFilter(output_to=[delay, Kept()]))
        with source:
            source.deliver([b"{"], found.append)
            source.deliver([b"1"], found.append)
            assert not found
            await until(lambda: not late or not delay.held())

    asyncio.run(run())
    assert found == [REJECTED, DELIVERED]


def test_a_pipe_that_takes_nothing_settles_as_it_is_read(tmp_path: Path) -> None:
    """Each batch with its own outcome, and what is left at the end is lost."""
    path, found = tmp_path / "pipe", list[str]()

    def note(number: int, outcome: Outcome) -> None:
        found.append(f"{number} {outcome.name}")

    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def run() -> None:
        output = FileOutput(filename=str(path), error=Kept())
        source = Source(output_to=NullEncoder(output_to=output))
        with source:
            for number in range(4):
                source.deliver([b"%d" % number * 50_000], partial(note, number))
            assert found == ["0 DELIVERED"]
            assert output.held() == 3
            os.read(reader, 65_536)
            await until(lambda: len(found) > 1)
            os.close(reader)

    asyncio.run(run())
    assert found == ["0 DELIVERED", "1 DELIVERED", "2 LOST", "3 LOST"]


def test_standard_output_without_a_reader_loses_what_it_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever delivers what finds that out, and all those before."""
    reader, writer = os.pipe()
    monkeypatch.setattr(StdoutOutput, "fd", writer)
    found: list[Outcome] = []

    async def run() -> None:
        source = Source(output_to=StdoutOutput(error=Kept()), error=Kept())
        with source:
            source.deliver([b"x" * 200_000], found.append)
            source.deliver([b"y"], found.append)
            os.close(reader)
            with pytest.raises(OutputClosedError):
                source.deliver([b"z"], found.append)

    asyncio.run(run())
    os.close(writer)
    assert found == [LOST, LOST, LOST]


def test_zeromq_settles_when_it_has_handed_over() -> None:
    """What waits for a receiver is held; what there is no room for is lost, with all that wait there."""
    endpoint, found = f"tcp://127.0.0.1:{free_port()}", list[Outcome]()
    output = ZeroMQOutput(connect=endpoint, socket_type="PUSH", socket_hwm=3, linger=0)
    source = Source(output_to=output)
    with source, zmq.Context() as context, context.socket(zmq.PULL) as worker:
        source.deliver([b"1", b"2"], found.append)
        assert not found
        assert output.held() == 2
        worker.bind(endpoint)
        wait_for(lambda: found)
        assert found == [DELIVERED]
        source.deliver([b"3"], found.append)
        assert found == [DELIVERED, DELIVERED]


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
def test_zeromq_with_nobody_there_loses(when_full: str) -> None:
    """Whether the new or the old messages had to go, and at the end all that are left."""
    found: list[Outcome] = []
    output = ZeroMQOutput(
        connect=f"tcp://127.0.0.1:{free_port()}",
        socket_type="PUSH",
        socket_hwm=3,
        linger=0,
        subscribe_delay=0,
    )
    output.when_full = when_full  # type: ignore[assignment]
    source = Source(output_to=output)
    with source:
        source.deliver([b"1", b"2"], found.append)
        source.deliver([b"3", b"4"], found.append)
        assert not found, "some of both still waits, or the loss is known and the rest waits"
    assert found == [LOST, LOST]
    assert accounted_for(output)


def test_every_output_says_what_it_confirms() -> None:
    """What DELIVERED means is another thing for a file than for a socket."""
    for name in registry.names("output"):
        cls = registry.find("output", name)
        assert issubclass(cls, Output)
        assert cls.confirms != Output.confirms, name
    assert ZeroMQOutput.confirms == "handed to the network"
