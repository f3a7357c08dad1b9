"""The thread behind a handler: when it starts, sleeps, wakes, ends; who does its work where it does not run."""

from __future__ import annotations

import threading
import time

from arrivals import Arrivals
from logs import free_endpoint, held, logger_with, shipping_threads
from message_passing.testing import wait_for


def test_it_starts_with_the_first_record_and_ends_with_close() -> None:
    """And there is one, however many threads log first."""
    with logger_with(free_endpoint(), linger=0) as (logger, handler):
        assert not shipping_threads()
        start = threading.Barrier(16)

        def log() -> None:
            start.wait()
            logger.info("x")

        threads = [threading.Thread(target=log) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(shipping_threads()) == 1
        handler.close()
        assert not shipping_threads()


def test_it_sleeps_when_nothing_is_logged_and_wakes_for_the_next_record() -> None:
    """Each time; nothing runs meanwhile."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        for number in range(3):
            logger.info("%d", number)
            wait_for(lambda: len(arrivals.records) == number + 1)  # noqa: B023 - called at once
            wait_for(lambda: handler._shipper.due == 0)


def test_a_caller_helps_when_the_thread_gives_no_sign() -> None:
    """It does not wait for whoever is at it."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        logger.info("first")
        wait_for(lambda: len(arrivals.records) == 1)
        shipper = handler._shipper
        with held(shipper.worker.lock):
            begun = time.monotonic()
            shipper.worker.attend()
            shipper.worker.help()
            logger.info("second")
            assert time.monotonic() - begun < 0.2
        wait_for(lambda: len(arrivals.records) == 2)


def test_two_threads_may_close_at_once() -> None:
    """Nothing is opened again by the second."""
    with logger_with(free_endpoint(), linger=1000) as (logger, handler):
        logger.info("x")
        threads = [threading.Thread(target=handler.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert handler._shipper.worker.transmitter
        assert handler._shipper.worker.transmitter.socket.sender is None
        assert handler.stats()["dropped"] == {"unsent at close": 1}


def test_flush_sends_what_there_is() -> None:
    """Without waiting for the thread, nor for a receiver that is away."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        logger.info("first")
        wait_for(lambda: len(arrivals.records) == 1)
        logger.info("second")
        handler.flush()
        assert handler.stats()["sent"] == 2
    with logger_with(free_endpoint(), linger=0) as (logger, handler):
        logger.info("x")
        begun = time.monotonic()
        handler.flush()
        assert time.monotonic() - begun < 0.5
