"""`policy` is obeyed for what nobody has taken off the queue yet, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, get_args

import pytest

from arrivals import Arrivals
from logs import INTERRUPTING, held, logger_with, run, silent
from message_passing.logging.backlog import Policy
from message_passing.logging.snapshot import level_of_item
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from message_passing.logging import ZeroMQHandler

LEVELS = [10, 20, 40, 20, 10]

EXPECTED: dict[Policy, list[int]] = {
    "drop_newest": list(range(20)),
    "drop_oldest": list(range(80, 100)),
    "drop_least_severe": list(range(2, 100, 5)),
}


def accounted(handler: ZeroMQHandler) -> int:
    """How many records it knows of."""
    stats = handler.stats()
    return int(stats["sent"] + stats["queued"] + sum(stats["dropped"].values()))


@pytest.mark.parametrize("kind", ["short", "with extras"])
@pytest.mark.parametrize("policy", get_args(Policy))
def test_while_the_thread_is_held_up(policy: Policy, kind: str) -> None:
    """The first stay, the last stay, or the severe ones do, in their order; all others are counted and told."""
    more: dict[str, Any] = {} if kind == "short" else {"extra": {"list": [1]}}
    with (
        Arrivals() as arrivals,
        logger_with(arrivals.endpoint, socket_hwm=20, policy=policy, report_interval=0) as (logger, handler),
    ):
        logger.info("first")
        arrivals.wait_for(lambda record: record["message"] == "first")
        with held(handler._shipper.worker.lock):
            for number in range(100):
                logger.log(LEVELS[number % 5], "%d", number, **more)
        wait_for(lambda: handler.stats()["sent"] == 21)
        wait_for(lambda: len(arrivals.records) == 22)
        said = [record["message"] for record in arrivals.records]
        assert [int(text) for text in said if text.isdecimal()] == EXPECTED[policy]
        assert handler.stats()["dropped"] == {"queue full": 80}
        assert accounted(handler) == 101
        (notice,) = (record for record in arrivals.records if record["logger"] == "message_passing.logging")
        if policy == "drop_least_severe":
            assert notice["extra"]["dropped"] == {"DEBUG": 40, "INFO": 40}
        last = max(record["sequence"] for record in arrivals.records if "sequence" in record)
        assert last <= 101


def test_severe_ones_after_severe_ones() -> None:
    """When nothing less severe is left, the newest goes; what was taken meanwhile makes room again."""
    with (
        Arrivals() as arrivals,
        logger_with(arrivals.endpoint, socket_hwm=10, policy="drop_least_severe", report_interval=0) as (
            logger,
            handler,
        ),
    ):
        logger.info("first")
        arrivals.wait_for(lambda record: record["message"] == "first")
        for start in (0, 100):
            with held(handler._shipper.worker.lock):
                for number in range(start, start + 10):
                    logger.debug("%d", number)
                for number in range(start + 10, start + 30):
                    logger.error("%d", number)
            wait_for(lambda: handler.stats()["queued"] == 0)
            arrivals.wait_for(lambda record: record["message"] == str(start + 19))  # noqa: B023 - called at once
        said = [int(record["message"]) for record in arrivals.records if record["message"].isdecimal()]
        assert said == [*range(10, 20), *range(110, 120)]
        assert accounted(handler) == 61


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_least_severe"])
def test_many_threads_at_once(policy: Policy) -> None:
    """None of them waits, and every record is counted once."""
    with (
        Arrivals() as arrivals,
        logger_with(arrivals.endpoint, socket_hwm=50, policy=policy, linger=0, report_interval=0) as (
            logger,
            handler,
        ),
    ):
        logger.info("first")
        arrivals.wait_for(lambda record: record["message"] == "first")

        def work(level: int) -> None:
            for number in range(1000):
                logger.log(level, "%d", number)

        with held(handler._shipper.worker.lock):
            threads = [threading.Thread(target=work, args=(level,)) for level in (10, 20, 30, 40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert accounted(handler) == 4001
            levels = {level_of_item(item)[0] for item in handler._shipper.queue}
            assert policy == "drop_oldest" or levels == {40}
            assert len(handler._shipper.queue) <= 54  # a caller looks at the length, and then appends
        handler.close()
        assert accounted(handler) == 4001


def test_a_signal_handler_that_raises_in_the_middle_of_it() -> None:
    """Whatever is taken out is counted: no record is lost but those whose calls are cut short."""
    program = (
        INTERRUPTING
        + """\
        handler = add(socket_hwm=20, linger=0, policy="drop_oldest", report_interval=0)
        logging.info("first")
        busy, over = threading.Event(), threading.Event()
        def hold():
            busy.set()
            return over.wait()
        threading.Thread(target=lambda: handler._shipper.worker.lock.run(hold, wait=5)).start()
        busy.wait()
        interruptions, number = 0, 1
        def log_all():
            global armed, number
            armed = True
            while number < 20000:
                number += 1
                logging.info("%d", number)
            armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
        while number < 20000:
            try:
                log_all()
            except Interruption:
                interruptions += 1
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        over.set()
        handler.close()
        stats = handler.stats()
        known = stats["sent"] + sum(stats["dropped"].values()) + stats["failed"]
        assert interruptions > 10
        assert number - interruptions <= known <= number, (number, interruptions, stats)
    """
    )
    assert silent(run(program, "tcp://127.0.0.1:9"))
