"""The ZeroMQ output in synchronous programs, threads, forked children and chains."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest
import zmq

from message_passing.console.watcher import ServerWatcher
from message_passing.errors import OpenError
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.lines import MultiMessage
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.runner import Server
from message_passing.testing import ListInput, free_port, running, wait_for
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def address() -> str:
    """A free endpoint."""
    return f"tcp://127.0.0.1:{free_port()}"


@contextmanager
def aggregator(address: str, socket_type: Literal["SUB", "PULL"] = "SUB") -> Iterator[Kept]:
    """An input of ours bound to the address, and what it has received."""
    kept = Kept()
    with running(ZeroMQInput(socket_bind=address, socket_type=socket_type, output_to=kept)):
        yield kept


def test_a_first_message_arrives_while_the_program_sleeps(address: str) -> None:
    """What was logged before the receiver was there arrives without another call, and nobody waited for it."""
    with ZeroMQOutput(connect=address) as out:
        began = time.perf_counter()
        out.consume(b"the only one")
        assert time.perf_counter() - began < 0.1
        with aggregator(address) as kept:
            wait_for(lambda: kept.messages == [b"the only one"])
        assert accounted_for(out)


def test_text_bytes_and_views_are_sent_and_other_things_fail(address: str) -> None:
    """A dict is a failure that names the missing encoder; what is text or bytes beside it is sent."""
    errors = Kept()
    with aggregator(address) as kept, ZeroMQOutput(connect=address, error=errors) as out:
        out.consume_many([b"bytes", "text \udc80", {"a": 1}, memoryview(b"view"), bytearray(b"array")])
        wait_for(lambda: len(kept.messages) == 4)
        assert kept.messages == [b"bytes", b"text \\udc80", b"view", b"array"]
        assert out.snapshot()["failed"] == 1
    assert "put an encoder before this output" in errors.messages[0]["exception"]


def test_threads_may_share_an_output(address: str) -> None:
    """Eight threads send through one output: every message arrives once, and is counted once."""
    count = 2000
    with (
        aggregator(address, "PULL") as kept,
        ZeroMQOutput(connect=address, socket_type="PUSH", socket_hwm=0) as out,
    ):

        def work(number: int) -> None:
            for n in range(count):
                out.consume(b"%d %d" % (number, n))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: len(kept.messages) == 8 * count, timeout=20)
        assert out.snapshot()["received"] == 8 * count
        assert len(set(kept.messages)) == 8 * count
        assert accounted_for(out)


def test_each_receiver_of_a_list_has_its_own_queue(address: str) -> None:
    """A receiver that is away holds its own messages only; both get everything."""
    other = f"tcp://127.0.0.1:{free_port()}"
    with ZeroMQOutput(connect=[address, other]) as out, aggregator(address) as here:
        out.consume_many([b"1", b"2"])
        wait_for(lambda: here.messages == [b"1", b"2"])
        with aggregator(other) as there:
            wait_for(lambda: there.messages == [b"1", b"2"])
        assert out.snapshot()["passed"] == 4


def test_what_has_passed_is_counted_by_one_rule() -> None:
    """By whoever asks, in the chain's thread or beside it, and still when the output is closed: each copy counts."""
    here, there = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    out = ZeroMQOutput(connect=[here, there])
    source = ListInput(output_to=out)
    with aggregator(here) as one, aggregator(there) as other, source, out:
        watcher = ServerWatcher(Server([source]))
        out.consume_many([b"first", MultiMessage(b"second\nthird\n", 2)])
        wait_for(lambda: len(one.messages) == len(other.messages) == 2)
        out.drop([b"fourth"], "a reason")
        watcher._refresh()
        (place,) = (place for place in watcher.layout.places if place.component is out)
        known = watcher.snapshots[place.id]
        assert known["passed"] == out.snapshot()["passed"] == 6
        assert watcher._as_they_are()[place.id] == known
    assert out.snapshot()["passed"] == 6
    assert watcher._as_they_are()[place.id] == known


def test_every_refused_address_of_a_list_is_told(address: str) -> None:
    """Opening says which addresses cannot be had, and leaves nothing open."""
    with ZeroMQOutput(socket_bind=address):
        again = ZeroMQOutput(socket_bind=[address, "tcp://none0:1"])
        with pytest.raises(OpenError) as caught:
            again.open()
        assert [fault.where for fault in caught.value.faults] == [address, "tcp://none0:1"]


def test_parent_and_child_both_send_after_a_fork(address: str) -> None:
    """Messages from before and after a fork arrive from both processes, each once; counters start again."""
    with aggregator(address) as kept, ZeroMQOutput(connect=address) as out:
        out.consume(b"before")
        child = os.fork()
        if not child:
            out.consume(b"child")
            counted = out.snapshot()["received"]
            out.close()
            os._exit(counted)
        out.consume(b"parent")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        wait_for(lambda: len(kept.messages) >= 3)
    assert sorted(kept.messages) == [b"before", b"child", b"parent"]


def test_what_the_parent_holds_is_not_sent_by_the_child(address: str) -> None:
    """A child that forks while messages are held sends its own only."""
    with ZeroMQOutput(connect=address) as out:
        out.consume(b"held by the parent")
        child = os.fork()
        if not child:
            held = out.held()
            out.consume(b"child")
            out.close()
            os._exit(held)
        with aggregator(address) as kept:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            wait_for(lambda: len(kept.messages) >= 2)
    assert sorted(kept.messages) == [b"child", b"held by the parent"]


def test_a_bound_address_stays_the_parent_s() -> None:
    """A child cannot publish on an address that its parent has bound: it counts what it would have sent."""
    with ZeroMQOutput(socket_bind=f"tcp://127.0.0.1:{free_port()}") as out:
        child = os.fork()
        if not child:
            out.consume(b"nobody can hear this")
            os._exit(out.metrics.dropped["bound by the parent process"])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


SCRIPT = """
import sys
from message_passing.outputs.zeromq import ZeroMQOutput
ZeroMQOutput(connect=sys.argv[1]).consume("one line, and the script ends")
"""


def test_a_script_that_logs_one_line_and_ends_is_heard(address: str, tmp_path: Path) -> None:
    """What a script sent and never closed goes out when the interpreter ends."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with aggregator(address) as kept:
        done = subprocess.run(
            [sys.executable, "-W", "error", script, address], capture_output=True, check=True
        )
        wait_for(lambda: kept.messages == [b"one line, and the script ends"])
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_closed_output_counts_what_it_is_still_given(address: str) -> None:
    """After closing, messages are dropped and counted, not raised."""
    out = ZeroMQOutput(connect=address, linger=0, subscribe_delay=0)
    out.open()
    out.close()
    out.consume(b"late")
    assert out.snapshot()["dropped"] == {"closed": 1}


def test_a_chain_waits_for_a_receiver_that_is_slow(address: str) -> None:
    """A hundred times what the queue holds gets through to a receiver that takes it slowly but steadily."""
    count = 20_000
    kept = Kept()

    class Slow(Kept):
        """Takes a while over each batch."""

        def write_many(self, messages: list[Any]) -> None:
            time.sleep(0.002)
            kept.write_many(messages)

    out = ZeroMQOutput(connect=address, socket_type="PUSH", socket_hwm=200, linger=5000)
    source = ListInput(messages=[b"%06d" % n + b"x" * 1000 for n in range(count)], output_to=out)
    with running(
        ZeroMQInput(socket_bind=address, socket_type="PULL", socket_hwm=10, output_to=Slow()), timeout=30
    ):
        with source:
            asyncio.run(source.run())
        wait_for(lambda: len(kept.messages) == count, timeout=30)
    assert not out.metrics.dropped


def test_a_chain_waits_a_moment_for_a_receiver_to_be_found(address: str) -> None:
    """A file is read faster than a connection is made: what would not fit is not read before."""

    async def chain(out: ZeroMQOutput, kept: list[Any]) -> None:
        out.consume_many([b"%d" % n for n in range(1500)])
        await asyncio.wait_for(out.drain(), 0.5)  # there is room for another batch
        out.consume_many([b"%d" % n for n in range(1500, 2500)])
        draining = asyncio.create_task(out.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        with aggregator(address) as receiver:
            await draining
            for start in range(2500, 5000, 500):
                out.consume_many([b"%d" % n for n in range(start, start + 500)])
                await out.drain()
            wait_for(lambda: len(receiver.messages) == 5000)
            kept += receiver.messages

    arrived: list[Any] = []
    with ZeroMQOutput(connect=address, socket_hwm=2500) as out:
        asyncio.run(chain(out, arrived))
        assert arrived == [b"%d" % n for n in range(5000)]
        assert out.snapshot()["dropped"] == {}


def test_a_chain_does_not_wait_for_a_receiver_that_stands_still(address: str) -> None:
    """Where it is to drop, messages are dropped and counted after a second, and no second is spent again."""
    with zmq.Context() as context, context.socket(zmq.PULL) as still:
        still.rcvhwm = 1
        still.bind(address)
        out = ZeroMQOutput(
            connect=address, socket_type="PUSH", socket_hwm=10, linger=0, when_full="drop_newest"
        )
        source = ListInput(messages=[b"x" * 10_000] * 20_000, output_to=out)
        began = time.monotonic()
        with source:
            asyncio.run(source.run())
            took = time.monotonic() - began
            assert out.metrics.dropped["queue full"] > 1000
            assert accounted_for(out)
    assert 0.9 < took < 5
