"""`flush` says whether what was logged has left: for processes that are frozen or end at once afterwards."""

from __future__ import annotations

import logging
import math
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from arrivals import Arrivals
from logs import RECEIVER, free_endpoint, held, logger_with, read_line, receiver, run, silent, started, tell
from message_passing.errors import OptionError
from message_passing.logging import ZeroMQHandler
from message_passing.logging.delivery_thread import DeliveryThread
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path

ENDS = {
    "os._exit": "os._exit(0)",
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "execv": "os.execv('/bin/true', ['true'])",
    "abort": "os.abort()",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["PUB", "PUSH"])
def test_an_end_that_nobody_sees_after_it_loses_nothing(end: str, kind: str, tmp_path: Path) -> None:
    """Neither the first record, before there was a connection, nor any of 2,000 others."""
    program = f"""
        handler = add(socket_type={kind!r})
        for number in range(2000):
            logging.info("%d", number)
        if handler.flush(timeout=10):
            {ENDS[end]}
        print("not flushed", handler.stats())
    """
    with receiver(tmp_path / "records", kind={"PUB": "SUB", "PUSH": "PULL"}[kind]) as there:
        done = run(program, there.endpoint)
        assert (done.stdout, done.stderr) == ("", "")
        there.wait_for_messages(*map(str, range(2000)))


def test_a_frozen_process_has_sent_what_it_flushed(tmp_path: Path) -> None:
    """As a function's environment is frozen after its answer: nothing is left in it then."""
    program = """
        handler = add()
        for number in range(3):
            sys.stdin.readline()
            logging.info("%d", number)
            print(handler.flush(timeout=10), flush=True)
    """
    with receiver(tmp_path / "records") as there, started(program, there.endpoint) as process:
        for number in range(3):
            tell(process)
            assert read_line(process) == "True"
            process.send_signal(signal.SIGSTOP)
            there.wait_for_messages(str(number), timeout=5)
            process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("timeout", [0, 0.3, 1])
def test_with_nobody_there_it_ends_in_time_and_says_so(timeout: float) -> None:
    """And the records wait on."""
    with logger_with(free_endpoint(), linger=0, report_interval=0) as (logger, handler):
        logger.error("x")
        begun = time.monotonic()
        assert handler.flush(timeout) is False
        assert timeout <= time.monotonic() - begun < timeout + 0.5
        assert handler.stats()["queued"] == 1


def test_with_a_receiver_that_takes_nothing_it_says_so(tmp_path: Path) -> None:
    """A stopped process's system takes some; what is left here has not left."""
    with (
        receiver(tmp_path / "records") as there,
        logger_with(there.endpoint, linger=0, report_interval=0, queue_bytes=0) as (logger, handler),
    ):
        logger.error("first")
        assert handler.flush(10)
        there.signal(signal.SIGSTOP)
        for _ in range(300):
            logger.error("%s", "x" * 100_000)
        assert handler.flush(0.5) is False
        there.signal(signal.SIGCONT)
        assert handler.flush(20) is True


def test_what_was_lost_meanwhile_has_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be encoded, or for which there is no room any more."""

    def fields(found: dict[str, object]) -> dict[str, object]:
        if found["message"] == "bad":
            raise ValueError
        return found

    with (
        Arrivals() as arrivals,
        logger_with(arrivals.endpoint, fields=fields, report_interval=0) as (logger, handler),
    ):
        logger.error("good")
        assert handler.flush(10)
        said: list[bool] = []
        begun = threading.Event()
        hurry = DeliveryThread.hurry

        def hurries(thread: DeliveryThread, **given: bool) -> None:
            hurry(thread, **given)
            begun.set()

        monkeypatch.setattr(DeliveryThread, "hurry", hurries)
        waiting = threading.Thread(target=lambda: said.append(handler.flush(2)))
        with held(handler._shipper.worker.lock):
            waiting.start()
            wait_for(begun.is_set)
            logger.error("bad")
        waiting.join()
        assert said == [False]
        assert handler.flush(2)


def test_others_that_go_on_logging_do_not_hold_it_up() -> None:
    """It waits for what was logged before."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, linger=5000) as (logger, handler):
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.001):
                logger.info("x")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            logger.error("this one")
            begun = time.monotonic()
            assert handler.flush(10)
            assert time.monotonic() - begun < 5
            arrivals.wait_for(lambda record: record["message"] == "this one")
        finally:
            stop.set()
            thread.join()


def test_many_at_once() -> None:
    """Each caller gets an answer."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, handler):
        said: list[bool] = []

        def work(number: int) -> None:
            logger.error("%d", number)
            said.append(handler.flush(10))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == [True] * 20
        wait_for(lambda: len(arrivals.records) == 20)


@pytest.mark.parametrize("thread", ["runs", "is not to be had"])
@pytest.mark.parametrize("transport", ["tcp", "ipc", "bound"])
def test_where_no_thread_runs_and_over_other_transports(thread: str, transport: str, tmp_path: Path) -> None:
    """The caller does it all; a file's socket tells as much; and so does a handler that binds."""
    endpoint = f"ipc://{tmp_path}/socket" if transport == "ipc" else free_endpoint()
    ours = "socket_bind=" if transport == "bound" else ""
    program = f"""
        if {thread!r} != "runs":
            real = threading.Thread.start
            def start(self):
                if self.name == "message-passing-log":
                    raise RuntimeError("can't start new thread")
                real(self)
            threading.Thread.start = start
        handler = ZeroMQHandler({ours}{endpoint!r})
        logging.getLogger().addHandler(handler)
        for number in range(3):
            logging.error("%d", number)
            assert handler.flush(15), handler.stats()
    """
    path = tmp_path / "records"
    text = RECEIVER.format(kind="SUB", hwm=0, endpoint=endpoint, path=str(path))
    text = text.replace("socket.bind", "socket.connect") if transport == "bound" else text
    receiving = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.DEVNULL)
    try:
        assert silent(run(program, ""))
        wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == 3)
    finally:
        receiving.kill()
        receiving.wait()


def test_without_a_record_or_after_close() -> None:
    """Nothing is on its way then; what was lost is no secret."""
    handler = ZeroMQHandler(free_endpoint(), linger=0, report_interval=0)
    assert handler.flush(1) is True
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    handler.close()
    begun = time.monotonic()
    handler.flush(0)
    assert time.monotonic() - begun < 0.5
    assert handler.stats()["dropped"] == {"unsent at close": 1}


@pytest.mark.parametrize("timeout", ["2", None, [], True, math.nan])
def test_a_timeout_that_is_no_number_is_refused(timeout: Any) -> None:
    """In words, whatever waits."""
    with logger_with(free_endpoint(), linger=0, report_interval=0) as (log, handler):
        for _ in range(2):
            with pytest.raises(OptionError, match=r"flush: timeout must be a number of seconds, not"):
                handler.flush(timeout=timeout)
            log.error("x")


@pytest.mark.parametrize("timeout", [math.inf, pytest.param(10**400, id="400 digits")])
def test_a_timeout_of_for_ever_is_one(timeout: Any, tmp_path: Path) -> None:
    """What comes is waited for, and nothing is raised."""
    with receiver(tmp_path / "records") as there, logger_with(there.endpoint) as (log, handler):
        log.error("x")
        assert handler.flush(timeout=timeout)


def test_a_timeout_below_zero_is_none() -> None:
    """Nobody is waited for."""
    with logger_with(free_endpoint(), linger=0, report_interval=0) as (log, handler):
        log.error("x")
        assert not handler.flush(timeout=-1)


def test_within_what_is_being_sent_it_gives_up_at_once() -> None:
    """As a signal handler does in the middle of that: nothing could go on before it returns."""
    with logger_with(free_endpoint(), linger=0, report_interval=0) as (log, handler):
        log.error("x")
        begun = time.monotonic()
        assert handler._shipper.worker.lock.run(lambda: [handler.flush(30)], wait=10) == [False]
        assert time.monotonic() - begun < 10
