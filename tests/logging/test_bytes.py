"""What waits is bounded in bytes, wherever it waits (promise 1: the application never pays)."""

from __future__ import annotations

import gc
import json
import signal
import tracemalloc
from typing import TYPE_CHECKING, Any, get_args

import pytest

from arrivals import Arrivals
from logs import free_endpoint, logger_with, read_line, receiver, started, tell
from message_passing.errors import OptionError
from message_passing.logging import ZeroMQHandler
from message_passing.logging.backlog import Policy
from message_passing.testing import wait_for
from message_passing.zeromq.progress import QueuedBytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from message_passing.logging.intake import Intake

BOUND = 8 << 20

RECORDS: dict[str, Callable[[int], tuple[str, tuple[Any, ...], dict[str, Any]]]] = {
    "long messages": lambda number: (f"{number} " + "x" * 100_000, (), {}),
    "long arguments": lambda number: ("%d %s", (number, "x" * 100_000), {}),
    "wide characters": lambda number: (f"{number} " + "\U0001f600" * 100_000, (), {}),
    "control characters": lambda number: (f"{number} " + "\0" * 100_000, (), {}),
    "extras": lambda number: ("%d", (number,), {"extra": {f"key{n}": "y" * 1000 for n in range(100)}}),
    "many values": lambda number: ("%d", (number,), {"extra": {"values": list(range(4000))}}),
    "short ones": lambda number: ("%d %s", (number, chr(0x1F600) * 900), {}),
}


def intake_of(handler: ZeroMQHandler) -> Intake:
    """What was taken off the queue."""
    assert handler._shipper.worker.transmitter
    return handler._shipper.worker.transmitter._intake


@pytest.mark.parametrize(
    ("policy", "socket_type"), [("drop_newest", "PUB"), ("drop_oldest", "PUSH"), ("drop_least_severe", "PUB")]
)
@pytest.mark.parametrize("kind", RECORDS)
def test_memory_at_the_bound(kind: str, policy: Policy, socket_type: Any) -> None:
    """With nobody there, ever more records take no more than `queue_bytes`, and a little; the rest is counted."""
    count = 12_000 if kind == "short ones" else 500 if kind == "many values" else 200
    tracemalloc.start()
    try:
        with logger_with(
            free_endpoint(), queue_bytes=BOUND, policy=policy, socket_type=socket_type, linger=0
        ) as (logger, handler):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(count):
                message, arguments, more = RECORDS[kind](number)
                logger.error(message, *arguments, **more)
            wait_for(lambda: not handler._shipper.queue and not intake_of(handler).items)
            used = tracemalloc.get_traced_memory()[0] - before
            stats = handler.stats()
            assert stats["sent"] + stats["queued"] + sum(stats["dropped"].values()) == count
            assert stats["dropped"].keys() == {"queue full"}
            peak = 2 if kind == "short ones" else 1.3  # those are counted as 1000 bytes each
            assert used < BOUND * peak, used
            assert stats["queued"] > 5
            handler.close()
            stats = handler.stats()
            assert stats["sent"] + sum(stats["dropped"].values()) == count
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("policy", get_args(Policy))
def test_what_goes_when_there_are_too_many_bytes_is_what_the_policy_says(policy: Policy) -> None:
    """The first stay, the last stay, or the severe ones stay, as when there are too many records."""
    with Arrivals() as arrivals:
        endpoint = free_endpoint()
        with logger_with(endpoint, queue_bytes=1 << 20, policy=policy, linger=0) as (logger, handler):
            for number in range(40):
                level = 40 if number % 4 == 0 else 20
                logger.log(level, "%d %s", number, "x" * 50_000)
                handler.flush()
            assert handler._shipper.worker.transmitter
            kept = [json.loads(text) for text in handler._shipper.worker.transmitter._kept.next.first(100)]
            numbers = [int(record["message"].split()[0]) for record in kept]
            assert 5 < len(numbers) < 15
            expected = {
                "drop_newest": list(range(len(numbers))),
                "drop_oldest": list(range(40 - len(numbers), 40)),
                "drop_least_severe": list(range(0, 40, 4)),
            }
            assert numbers == sorted(numbers)
            if policy == "drop_least_severe":
                assert set(expected[policy][: len(numbers)]) <= set(numbers)
            else:
                assert numbers == expected[policy]
        assert not arrivals.records


@pytest.mark.parametrize("socket_type", ["PUB", "PUSH"])
def test_a_receiver_that_stands_still(tmp_path: Path, socket_type: str) -> None:
    """ZeroMQ's own queue is bounded in bytes, too; when it goes on, all that was not dropped arrives, whole."""
    program = f"""
        import resource
        def used():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        handler = add(queue_bytes=8 << 20, linger=10000, socket_type={socket_type!r})
        logging.info("first")
        while not handler.stats()["sent"]:
            time.sleep(0.01)
        time.sleep(0.3)
        print("ready", flush=True)
        sys.stdin.readline()
        before = used()
        for number in range(600):
            logging.info("%d %s", number, "x" * 200_000)
            time.sleep(0.001)
        print(used() - before, flush=True)
        sys.stdin.readline()
        handler.close()
        stats = handler.stats()
        assert stats["sent"] + sum(stats["dropped"].values()) == 601, stats
        print(stats["sent"], stats["dropped"].get("queue full", 0), flush=True)
    """
    with (
        receiver(tmp_path / "records", kind={"PUB": "SUB", "PUSH": "PULL"}[socket_type]) as there,
        started(program, there.endpoint) as process,
    ):
        assert read_line(process) == "ready"
        there.signal(signal.SIGSTOP)
        tell(process)
        used = int(read_line(process))
        there.signal(signal.SIGCONT)
        tell(process)
        sent, dropped = map(int, read_line(process).split())
        assert used < 24 << 20, used  # 8 MiB, what is being dealt with, and what the allocator keeps
        assert dropped > 400
        wait_for(
            lambda: len([one for one in there.records() if "were dropped" not in one["message"]]) == sent
        )


def test_long_records_flow() -> None:
    """A receiver that keeps up gets them all, many times more than the bound."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, queue_bytes=8 << 20) as (logger, handler):
        for number in range(200):
            logger.info("%d %s", number, "x" * 200_000)
            wait_for(lambda: handler.stats()["queued"] < 10)
        wait_for(lambda: len(arrivals.records) == 200, 20)
        assert handler.stats()["dropped"] == {}


def test_short_records_after_long_ones_flow() -> None:
    """Nothing is held up by what was sent before."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, queue_bytes=8 << 20) as (logger, handler):
        for number in range(30):
            logger.info("%d %s", number, "x" * (200_000 if number % 3 == 0 else 10))
        for _ in range(5000):
            logger.info("short")
        wait_for(lambda: len(arrivals.records) == 5030, 20)
        assert handler.stats()["dropped"] == {}


def room(queued: QueuedBytes, records: list[bytes]) -> int:
    """How many of these may be sent."""
    return queued.room_for(records, sum(map(len, records)), ())


def test_what_zeromq_may_have() -> None:
    """The sizes of the last messages, as many as it may have; one alone fits always."""
    queued = QueuedBytes(3, 100)
    assert room(queued, [b"x" * 30] * 5) == 3
    queued.sent([b"x" * 30] * 3, 3)
    assert room(queued, [b"x" * 30]) == 0
    assert room(queued, [b"x" * 10]) == 1
    queued.sent([b"x"] * 3, 3)
    assert room(queued, [b"x" * 97, b"x"]) == 1
    assert room(QueuedBytes(3, 100), [b"x" * 1000, b"x"]) == 1
    assert room(QueuedBytes(3, 0), [b"x" * 1000] * 9) == 9


@pytest.mark.parametrize("given", [-1, 1.5, "64 MiB", None, True])
def test_a_bound_that_is_none_is_refused(given: Any) -> None:
    """Where it is given."""
    with pytest.raises(OptionError, match="option 'queue_bytes' must be int >= 0, not"):
        ZeroMQHandler("tcp://127.0.0.1:9", queue_bytes=given)


@pytest.mark.parametrize("given", [1, 2, 3, 999])
@pytest.mark.parametrize("policy", get_args(Policy))
def test_the_least_bound_is_one_too(given: int, policy: Policy) -> None:
    """A part of it is not 0, which would be no bound: with nobody there, next to nothing waits."""
    with logger_with(free_endpoint(), queue_bytes=given, policy=policy, linger=0) as (logger, handler):
        for number in range(50):
            logger.error(
                "%d %s", number, "x" * (number % 2 * 10_000), extra={"number": number} if number % 3 else {}
            )
            handler.flush()
        stats = handler.stats()
        assert stats["queued"] <= 1
        assert stats["dropped"].keys() == {"queue full"}
        assert stats["sent"] + stats["queued"] + sum(stats["dropped"].values()) == 50
