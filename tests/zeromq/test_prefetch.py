"""What a PULL worker has been dealt is its own: nobody else gets it, also when it is killed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.testing import free_port, wait_for
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = bytes(200_000)
JOBS = 100
STILL = 0.3


@contextmanager
def distributor(hwm: int) -> Iterator[tuple[Sender, str]]:
    """A binding PUSH, and where it is."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    one = Sender(SocketSettings("PUSH", bind=(endpoint,), linger=0, hwm=hwm))
    one.open()
    try:
        yield one, endpoint
    finally:
        one.close_socket(0)


@contextmanager
def worker(endpoint: str, hwm: int) -> Iterator[zmq.Socket[bytes]]:
    """One that takes nothing unless it is asked to; gone at the end with all it has, as if it were killed."""
    context: zmq.Context[Any] = zmq.Context()
    one = context.socket(zmq.PULL)
    one.rcvhwm = hwm
    one.connect(endpoint)
    try:
        yield one
    finally:
        context.destroy(0)


def dealt(sender: Sender, most: int) -> int:
    """How many jobs are taken, of so many, until none is for a while."""
    count, since = 0, time.monotonic()
    while count < most and time.monotonic() - since < STILL:
        if sender.offer([JOB]):
            count, since = count + 1, time.monotonic()
    return count


def test_by_default_one_worker_is_dealt_all_that_there_is() -> None:
    """A second one gets none of it, and when the first is killed it is gone."""
    hwm = SocketSettings("PULL").hwm
    with distributor(hwm) as (sender, endpoint):
        with worker(endpoint, hwm):
            wait_for(lambda: sender.offer([JOB]))
            assert dealt(sender, JOBS) == JOBS
            with worker(endpoint, hwm) as second:
                assert not second.poll(int(STILL * 1000))
        with worker(endpoint, hwm) as third:
            assert not third.poll(int(STILL * 1000))


def test_with_a_high_water_mark_of_one_only_what_the_system_keeps_is_dealt() -> None:
    """The others wait in the distributor, and a second worker gets the next one at once."""
    with distributor(1) as (sender, endpoint), worker(endpoint, 1):
        wait_for(lambda: sender.offer([JOB]))
        assert 1 <= dealt(sender, JOBS) < JOBS * 2 / 3
        with worker(endpoint, 1) as second:
            wait_for(lambda: sender.offer([JOB]))
            assert second.poll(5000)
