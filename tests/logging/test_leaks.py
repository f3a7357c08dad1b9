"""Handlers and forks leave nothing behind: file descriptors, threads, memory (promise 8)."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals
from logs import free_endpoint, logger_with, open_files, run, shipping_threads, silent
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    gc.collect()
    before = open_files(), shipping_threads()
    yield
    gc.collect()
    wait_for(lambda: (open_files(), shipping_threads()) == before)


def test_1000_handlers_opened_and_closed() -> None:
    """Every tenth sends a record, every twentieth to nobody."""
    nobody = free_endpoint()

    def use(numbers: range) -> None:
        for number in numbers:
            with logger_with(nobody if number % 20 == 10 else arrivals.endpoint, linger=0) as (
                logger,
                handler,
            ):
                if number % 10:
                    continue
                logger.info("%d", number)
                if not number % 20:
                    wait_for(lambda: handler.stats()["sent"] == 1)

    with Arrivals() as arrivals:
        use(range(100))
        gc.collect()
        tracemalloc.start()
        files, threads = open_files(), shipping_threads()
        try:
            base = tracemalloc.get_traced_memory()[0]
            use(range(1000))
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - base < 300_000
        finally:
            tracemalloc.stop()
        assert shipping_threads() == threads
        wait_for(lambda: open_files() <= files + 1)


def test_a_handler_that_nobody_keeps_is_closed() -> None:
    """What it had taken is sent; who collects the garbage does not wait."""
    with Arrivals() as arrivals:
        logger = logging.Logger("forgotten")  # noqa: LOG001 - nobody else's
        logger.addHandler(ZeroMQHandler(arrivals.endpoint))
        logger.error("kept")
        del logger
        gc.collect()
        arrivals.wait_for(lambda record: record["message"] == "kept")
        wait_for(lambda: not shipping_threads())


def test_a_forgotten_handler_with_records_left_is_closed_at_the_end() -> None:
    """The interpreter's end waits for it as for others."""
    program = """
        import gc
        def use():
            logger = logging.Logger("forgotten")
            logger.addHandler(ZeroMQHandler(ENDPOINT))
            logger.error("kept")
        use()
        gc.collect()
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        arrivals.wait_for(lambda record: record["message"] == "kept")


def test_100_forks() -> None:
    """Neither the parent nor a child of a child of a child has more than before."""
    program = """
        import gc, resource
        def files(): return len(os.listdir("/proc/self/fd"))
        handler = add(linger=5000)
        def fork(number):
            process = os.fork()
            if not process:
                logging.info("child %d", number)
                logging.shutdown()
                os._exit(0)
            assert os.waitpid(process, 0)[1] == 0
            logging.info("parent %d", number)
        for number in range(20): fork(number)
        while handler.stats()["queued"]: time.sleep(0.01)
        gc.collect()
        before = files(), threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(20, 120): fork(number)
        gc.collect()
        after = files(), threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after[:2] == before[:2], (before, after)
        assert after[2] - before[2] < 2000, (before, after)
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) >= 240, 10)
        expected = {f"{who} {number}" for who in ("parent", "child") for number in range(120)}
        assert {record["message"] for record in arrivals.records} == expected


def test_generations_of_forks_do_not_pile_up_threads() -> None:
    """A child that logs and forks, ten times over: each has one thread of its own."""
    program = """
        add(linger=5000)
        logging.info("0")
        for generation in range(1, 10):
            process = os.fork()
            if process:
                assert os.waitpid(process, 0)[1] == 0
                break
            logging.info("%d", generation)
            assert threading.active_count() == 2, threading.enumerate()
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) >= 10)
        assert sorted(record["message"] for record in arrivals.records) == [str(n) for n in range(10)]


def test_memory_is_bounded_by_the_high_water_mark() -> None:
    """200,000 records for nobody take no more than 10,000."""
    program = """
        import resource
        handler = add(linger=0, report_interval=0)
        def log(count):
            for number in range(count):
                logging.info("%d %s", number, "x" * 100)
        log(40_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log(160_000)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 10_000, (before, after)
        stats = handler.stats()
        assert stats["queued"] <= 20_000, stats
        assert stats["sent"] + stats["queued"] + sum(stats["dropped"].values()) == 200_000, stats
    """
    assert silent(run(program, free_endpoint()))
