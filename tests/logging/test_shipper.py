"""The thread behind a handler: when it starts, sleeps, wakes, ends; who does its work where it does not run."""

from __future__ import annotations

import threading
import time
from typing import Any, cast
from unittest.mock import Mock

import pytest

from arrivals import Arrivals
from logs import free_endpoint, held, logger_with, shipping_threads
from message_passing.logging.delivery_thread import DeliveryThread
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


def test_only_the_first_record_after_a_sleep_wakes_the_thread() -> None:
    """Those that follow at once, before it runs, are an append and no more."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        logger.info("first")
        shipper = handler._shipper
        wait_for(lambda: len(arrivals.records) == 1 and shipper.due == 0)
        attended: list[None] = []
        attend = shipper.worker.attend
        shipper.worker.attend = lambda: attended.append(attend())  # type: ignore[method-assign]
        for number in range(100):
            logger.info("%d", number)
        assert (
            len(attended) < 20
        )  # it is preempted for longer than the thread is waited for perhaps, or that sleeps
        wait_for(lambda: len(arrivals.records) == 101)


def test_a_thread_is_woken_whatever_a_signal_handler_raises() -> None:
    """Records are left to it from then on."""

    class Interrupted:
        """What `wake` is interrupted in."""

        def __setattr__(self, name: str, value: object) -> None:
            raise KeyboardInterrupt

    thread = DeliveryThread(cast("Any", Interrupted()), cast("Any", Mock()))
    thread._bell.acquire()
    with pytest.raises(KeyboardInterrupt):
        thread.wake()
    assert not thread._bell.locked()


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
