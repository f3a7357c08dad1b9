"""Who comes back is found soon, however long he was away, and not by all at the same moment."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import zmq

from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port
from message_passing.zeromq.monitor import Monitor
from message_passing.zeromq.settings import Limits, SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS, SETTINGS = Limits(), SocketSettings("SUB", connect=("tcp://127.0.0.1:9",))
DELAY = ZeroMQOutput(connect="tcp://127.0.0.1:9").subscribe_delay


def intervals(count: int, limits: Limits) -> list[int]:
    """The first so many waits, in milliseconds, of one socket that nobody answers."""
    opened = OpenSocket(SocketSettings("SUB", connect=(f"tcp://127.0.0.1:{free_port()}",), limits=limits))
    monitor = Monitor(opened, int(zmq.EVENT_CONNECT_RETRIED))
    opened.attach()
    found: list[int] = []
    while len(found) < count:
        assert monitor.events.poll(5000)
        found += [event.value for event in monitor.read()]
    monitor.end()
    monitor.close()
    opened.close(0)
    return found[:count]


def test_the_default_finds_who_is_back_before_it_matters() -> None:
    """Every wait is less than `subscribe_delay` and well under `linger`, the tenth as well, and no two are alike."""
    found = intervals(10, LIMITS)
    assert min(found) >= LIMITS.reconnect_ivl
    assert max(found) < 2 * LIMITS.reconnect_ivl <= DELAY * 1000 / 2 < SETTINGS.linger
    assert len(set(found)) > 1


def test_intervals_that_grow_stay_within_their_bound_and_differ_between_sockets() -> None:
    """ZeroMQ itself adds no random time to these."""
    limits = Limits(reconnect_ivl=10, reconnect_ivl_max=80)
    found = [intervals(6, limits) for _ in range(8)]
    for one in found:
        assert one == sorted(one)
        assert one[0] >= 10
        assert 60 <= one[-1] <= 80
    assert len({tuple(one) for one in found}) > 1


def published_to(waiting: float, count: int, runs: int) -> list[Sequence[bytes]]:
    """What five SUB inputs receive of several binding PUBs, one after the other, after they have waited for each."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    kept = [Kept() for _ in range(5)]

    async def serve() -> None:
        with ExitStack() as stack:
            heads = [stack.enter_context(ZeroMQInput(connect=endpoint, output_to=one)) for one in kept]
            tasks = [asyncio.create_task(head.run()) for head in heads]
            for run in range(runs):
                await asyncio.sleep(waiting)
                with ZeroMQOutput(socket_bind=endpoint) as output:
                    for n in range(count):
                        output.consume(b"%d.%d" % (run, n))
                        await asyncio.sleep(0.01)
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    while min(len(one.messages) for one in kept) < count * runs:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(serve())
    return [one.messages for one in kept]


def test_a_subscriber_that_waits_for_a_binding_publisher_gets_its_first_messages() -> None:
    """Twelve of twelve, though it had long tried in vain, and again when another publisher comes."""
    expected = [b"%d.%d" % (run, n) for run in range(2) for n in range(12)]
    assert published_to(1.5, 12, 2) == [expected] * 5
