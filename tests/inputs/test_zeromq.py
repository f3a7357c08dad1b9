"""The ZeroMQ input, on real sockets and in a running loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq
import zmq.log.handlers

from message_passing.errors import OptionError
from message_passing.flow import Filter
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, running, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def address() -> str:
    """A free endpoint."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    """A context for the sockets on the other end."""
    with zmq.Context() as other:
        yield other
        other.destroy(0)


class Busy(Filter):
    """Takes its time over the first message, without calling into anything."""

    def on_init(self) -> None:
        """Nothing has come yet."""
        super().on_init()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def filter(self, message: Any) -> Any:
        """Wait, once, until the test says so."""
        self.begun.set()
        assert self.go_on.wait(20)
        return message


def test_a_new_publisher_is_heard_while_a_filter_is_busy(address: str) -> None:
    """A filter that works for long does not cost the first messages of a publisher that comes meanwhile."""
    kept = Kept()
    busy = Busy(output_to=kept)
    with running(ZeroMQInput(socket_bind=address, output_to=busy), timeout=30), zmq.Context() as context:
        with ZeroMQOutput(connect=address) as first:
            first.consume(b"keeps it busy")
            assert busy.begun.wait(10)
        plain = context.socket(zmq.XPUB)
        plain.connect(address)
        assert plain.poll(5000), "the subscription did not come while the filter was busy"
        plain.recv()
        plain.send(b"from the new one")
        busy.go_on.set()
        wait_for(lambda: kept.messages == [b"keeps it busy", b"from the new one"])
        plain.close(0)


async def run_until(stop: threading.Event, inputs: list[ZeroMQInput]) -> None:
    """Run inputs in one loop until told to stop."""
    tasks = [asyncio.create_task(one.run()) for one in inputs]
    await asyncio.to_thread(stop.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def flood(context: zmq.Context[Any], address: str, stop: threading.Event) -> None:
    """Send small messages as fast as they are taken."""
    with context.socket(zmq.PUSH) as sender:
        sender.linger = 0
        sender.connect(address)
        while not stop.is_set():
            if sender.poll(10, zmq.POLLOUT):
                for _ in range(500):
                    sender.send(b"x" * 50)


def test_a_flooded_input_does_not_starve_another(context: zmq.Context[Any]) -> None:
    """While one input always has more, each message of another one in the same loop is soon through."""
    addresses = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    flooded, quiet = Kept(), Kept()
    inputs = [
        ZeroMQInput(socket_bind=address, socket_type="PULL", output_to=kept)
        for address, kept in zip(addresses, (flooded, quiet), strict=True)
    ]
    stop = threading.Event()
    for one in inputs:
        one.open()
    threads = [
        threading.Thread(target=flood, args=(context, addresses[0], stop)),
        threading.Thread(target=lambda: asyncio.run(run_until(stop, inputs))),
    ]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(flooded.batches) > 50)
        with context.socket(zmq.PUSH) as sender:
            sender.connect(addresses[1])
            for n in range(20):
                before = len(flooded.batches)
                sender.send(b"%d" % n)
                wait_for(lambda n=n: len(quiet.messages) == n + 1)  # type: ignore[misc]
                assert len(flooded.batches) - before < 500
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for one in inputs:
            one.close()


def test_what_had_arrived_is_emitted_when_it_is_stopped(address: str, context: zmq.Context[Any]) -> None:
    """Messages dealt to a PULL that is told to stop are passed on, not lost."""
    kept = Kept()
    puller = ZeroMQInput(connect=address, socket_type="PULL", output_to=kept)
    pusher = context.socket(zmq.PUSH)
    pusher.bind(address)
    puller.open()
    for n in range(3000):
        pusher.send(b"%d" % n)
    wait_for(lambda: puller._receiver._socket.poll(10))

    def passed_on() -> bool:
        puller.stopped()
        return len(kept.messages) == 3000

    wait_for(passed_on)
    puller.close()
    pusher.close(0)
    assert kept.messages == [b"%d" % n for n in range(3000)]


def test_pyzmq_s_own_log_handler_can_send_to_us(address: str, context: zmq.Context[Any]) -> None:
    """Records of pyzmq's PUBHandler, a topic and a text, arrive as their texts."""
    kept = Kept()
    publisher = context.socket(zmq.XPUB)
    publisher.connect(address)
    handler = zmq.log.handlers.PUBHandler(publisher)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("tests.neighbour")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    with running(ZeroMQInput(socket_bind=address, output_to=kept)):
        assert publisher.poll(5000)
        publisher.recv()
        logger.info("it works")
        logger.error("it fails")
        wait_for(lambda: len(kept.messages) == 2)
    logger.removeHandler(handler)
    publisher.close(0)
    assert kept.messages == [b"INFO: it works", b"ERROR: it fails"]


def test_only_messages_with_a_wanted_prefix_come(address: str) -> None:
    """`subscribe` is compared with a message's first bytes."""
    kept = Kept()
    with (
        running(ZeroMQInput(socket_bind=address, subscribe=["a", "b"], output_to=kept)),
        ZeroMQOutput(connect=address) as out,
    ):
        out.consume_many([b"a1", b"c1", b"b1", b"a2"])
        wait_for(lambda: len(kept.messages) == 3)
    assert kept.messages == [b"a1", b"b1", b"a2"]


def test_a_lone_message_does_not_wait_for_others(address: str) -> None:
    """A message that comes alone is handed on alone, and soon."""
    kept = Kept()
    with (
        running(ZeroMQInput(socket_bind=address, socket_type="PULL", output_to=kept)),
        ZeroMQOutput(connect=address, socket_type="PUSH") as out,
    ):
        delays = []
        for n in range(20):
            began = time.perf_counter()
            out.consume(b"%d" % n)
            wait_for(lambda n=n: len(kept.messages) == n + 1)  # type: ignore[misc]
            delays.append(time.perf_counter() - began)
    assert sorted(delays)[10] < 0.05


def test_a_builder_makes_the_socket(address: str) -> None:
    """`socket_builder` is given the component and a context, and its socket is used as it is."""
    made = []

    def builder(component: ZeroMQInput, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = context.socket(zmq.PULL)
        socket.bind(address)
        made.append((component, socket))
        return socket

    kept = Kept()
    source = ZeroMQInput(socket_builder=builder, output_to=kept)
    with running(source), ZeroMQOutput(connect=address, socket_type="PUSH") as out:
        out.consume(b"built")
        wait_for(lambda: kept.messages == [b"built"])
    assert made[0][0] is source
    assert made[0][1].closed


def test_endpoints_that_contradict_each_other_are_told_together() -> None:
    """All faults of the endpoints are in one error."""
    with pytest.raises(OptionError) as caught:
        ZeroMQInput(connect=["tpc://a:1", "tcp://b"], socket_bind="tcp://*:1")
    assert len(caught.value.faults) == 3


def test_batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    """A batch is never larger than a thousand nor smaller than one message."""
    few = [b"a log line"] * 20
    sizes = [(16, 0.0), (900, 0.0), (100, 1.0), (1, 1.0)]
    assert [ZeroMQInput._next_size(size, few, took) for size, took in sizes] == [32, 1000, 50, 1]


def test_batches_of_large_messages_are_small() -> None:
    """About 160 KiB, and one message at least."""
    assert ZeroMQInput._next_size(1000, [bytes(65536)] * 100, 0.0) == 2
    assert ZeroMQInput._next_size(1000, [bytes(10_000_000)], 0.0) == 1
    assert ZeroMQInput._next_size(1000, [b""], 0.0) == 1000
