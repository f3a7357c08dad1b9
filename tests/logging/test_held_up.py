"""Clocks that stand still, a standard error that nobody reads, functions that tests replace: nothing waits for it."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest

from arrivals import Arrivals
from logs import free_endpoint, run, script, silent
from message_passing.testing import wait_for

FROZEN = """
import datetime, sys, time
real = {name: getattr(time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")}
def freeze(moment):
    # As freezegun does: in the module, and in each module that has a reference.
    fakes = {id(function): (lambda value: lambda: value)(moment * (10**9 if name.endswith("_ns") else 1))
             for name, function in real.items()}
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()) if hasattr(module, "__dict__") else ():
            if id(value) in fakes:
                setattr(module, name, fakes[id(value)])
"""

MOCKED = """
import time, unittest.mock
def freeze(moment):
    for name in ("time", "time_ns", "monotonic", "perf_counter", "sleep"):
        unittest.mock.patch(f"time.{name}", return_value=moment).start()
"""


@pytest.mark.parametrize("moment", [0, 1_000_000_000, 4_000_000_000])
@pytest.mark.parametrize("how", ["FROZEN", "MOCKED"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_clocks_that_stand_still(how: str, moment: int, when: str) -> None:
    """Whether they do from the first record on or later: all arrives, and neither `flush` nor `close` hangs."""
    program = f"""
        wait = threading.Lock()
        wait.acquire()
        if {when!r} == "before":
            freeze({moment})
        handler = add(linger=500)
        if {when!r} == "between":
            freeze({moment})
        for number in range(5):
            logging.info("%d", number)
        if {when!r} == "after":
            freeze({moment})
        handler.flush()
        wait.acquire(timeout=0.2)
        logging.info("5")
        handler.close()
        stats = handler.stats()
        assert stats["sent"] == 6, stats
        if {how!r} == "MOCKED":
            assert not time.sleep.called
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint, timeout=15, before={"FROZEN": FROZEN, "MOCKED": MOCKED}[how])
        assert silent(done)
        wait_for(lambda: len(arrivals.records) == 6)


@pytest.mark.parametrize("how", ["FROZEN", "MOCKED"])
def test_clocks_that_stand_still_and_nobody_there(how: str) -> None:
    """`close` takes as long as `linger` says, and what was not sent is counted; also after a receiver went away."""
    program = """
        import zmq
        handler = add(linger=300, report_interval=0)
        logging.info("x")
        freeze(1_000_000_000)
        handler.close()
        assert handler.stats()["dropped"] == {"unsent at close": 1}, handler.stats()
        there = zmq.Context().socket(zmq.SUB)
        there.subscribe(b"")
        port = there.bind_to_random_port("tcp://127.0.0.1")
        other = ZeroMQHandler(f"tcp://127.0.0.1:{port}", linger=300, report_interval=0)
        logging.getLogger().addHandler(other)
        logging.info("x")
        there.recv()
        there.close(0)
        logging.info("y")
        other.close()
    """
    before = {"FROZEN": FROZEN, "MOCKED": MOCKED}[how]
    assert silent(run(program, free_endpoint(), timeout=15, before=before))


def test_a_standard_error_that_nobody_reads() -> None:
    """A full pipe, and much to say of losses and of a socket that cannot be opened: nothing waits, all is counted."""
    program = """
        handler = ZeroMQHandler(socket_bind=TAKEN, socket_hwm=10, linger=0, report_interval=0)
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(1)
        began = time.monotonic()
        for number in range(100_000):
            logging.info("%d", number)
        while sum(handler.stats()["dropped"].values()) < 100_000 - 10:
            time.sleep(0.01)
        handler._shipper.worker.transmitter._notices.say("x", "y" * 10_000)
        time.sleep(0.2)
        handler.close()
        stats = handler.stats()
        assert sum(stats["dropped"].values()) == 100_000, stats
        assert time.monotonic() - began < 20
        print("closed", flush=True)
        os._exit(0)
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    with Arrivals() as arrivals:
        words = script(program, arrivals.endpoint, before=f"TAKEN = {arrivals.endpoint!r}\n")
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=writing, timeout=30, check=False)
    os.close(writing)
    os.close(reading)
    assert (done.returncode, done.stdout) == (0, b"closed\n")


@pytest.mark.parametrize("stream", ["None", "open(os.devnull)", "Broken()", "1", "io.StringIO()"])
def test_a_standard_error_that_is_none(stream: str) -> None:
    """Whatever a program has put in its place."""
    program = f"""
        import io
        class Broken:
            def __getattr__(self, name):
                raise ValueError("no")
        handler = add(socket_hwm=5, linger=0, report_interval=0.001)
        errors, sys.stderr = sys.stderr, {stream}
        for number in range(100):
            logging.info("%d", number)
        time.sleep(0.1)
        handler.close()
        sys.stderr = errors
        assert sum(handler.stats()["dropped"].values()) == 100, handler.stats()
        os._exit(0)
    """
    assert silent(run(program, free_endpoint()))
