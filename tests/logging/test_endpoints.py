"""Several receivers: each gets every record with PUB, and one after the other with PUSH."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from arrivals import Arrivals
from logs import free_endpoint, receiver, run, silent
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def log(handler: ZeroMQHandler, first: int, last: int, **more: Any) -> None:
    """Log these numbers."""
    for number in range(first, last):
        handler.handle(logging.makeLogRecord({"msg": str(number), **more}))


def test_each_receiver_gets_every_record(tmp_path: Path) -> None:
    """Also one that comes later, and while another stands still; each sees a sequence without a gap."""
    with (
        receiver(tmp_path / "one") as one,
        receiver(tmp_path / "two") as two,
        receiver(tmp_path / "late", running=False) as late,
    ):
        handler = ZeroMQHandler([one.endpoint, two.endpoint, late.endpoint], linger=5000)
        try:
            log(handler, 0, 1000)
            one.wait_for_messages("999")
            two.signal(signal.SIGSTOP)
            log(handler, 1000, 2000, args=None, extra={"list": [1]})
            one.wait_for_messages("1999")
            two.signal(signal.SIGCONT)
            late.start()
            for there in (one, two, late):
                records = there.wait_for_messages("1999")
                assert [record["message"] for record in records] == [str(number) for number in range(2000)]
                assert [record["sequence"] for record in records] == list(range(1, 2001))
            assert handler.flush(5)
            assert handler.stats() == {"sent": 6000, "queued": 0, "dropped": {}, "failed": 0}
        finally:
            handler.close()


def test_one_that_is_away_costs_the_others_nothing() -> None:
    """What waits for it is counted; closing takes `linger` once, not for each, and the others get all."""
    with Arrivals() as arrivals:
        handler = ZeroMQHandler(
            [free_endpoint(), arrivals.endpoint, free_endpoint()],
            socket_hwm=10,
            linger=400,
            report_interval=0,
        )
        log(handler, 0, 1)
        arrivals.wait_for(lambda record: record["message"] == "0")
        for number in range(1, 100):
            log(handler, number, number + 1)
            handler.flush()
        begun = time.monotonic()
        handler.close()
        assert time.monotonic() - begun < 1.2
        stats = handler.stats()
        assert stats["sent"] == 100
        assert sum(stats["dropped"].values()) == 200
        wait_for(lambda: len(arrivals.records) == 100)


def test_what_calls_emit_reaches_them_all() -> None:
    """As a subclass's own `emit` does, past `handle`."""
    with Arrivals() as one, Arrivals() as two:
        handler = ZeroMQHandler([one.endpoint, two.endpoint])
        try:
            handler.emit(logging.makeLogRecord({"msg": "x"}))
            for there in (one, two):
                there.wait_for(lambda record: record["message"] == "x")
        finally:
            handler.close()


def test_pushed_records_are_dealt_out() -> None:
    """Every record to one of them, by one socket."""
    context = zmq.Context()
    pulls = [context.socket(zmq.PULL) for _ in range(2)]
    try:
        ports = [pull.bind_to_random_port("tcp://127.0.0.1") for pull in pulls]
        handler = ZeroMQHandler([f"tcp://127.0.0.1:{port}" for port in ports], socket_type="PUSH")
        log(handler, 0, 1)
        assert handler.flush(5)
        log(handler, 1, 100)
        assert handler.flush(5)
        handler.close()
        assert handler.stats()["sent"] == 100
        count = 0
        for pull in pulls:
            while pull.poll(200):
                pull.recv()
                count += 1
        assert count == 100
    finally:
        context.destroy(0)


@pytest.mark.parametrize("way", ["os.fork", "exit"])
def test_all_of_them_in_a_child_and_at_the_end(way: str) -> None:
    """Each has its own queue there, too, and the end of the program sends them all."""
    program = f"""
        handler = ZeroMQHandler(connect=ENDPOINTS, linger=5000)
        logging.getLogger().addHandler(handler)
        logging.warning("parent")
        if {way!r} == "os.fork":
            if not os.fork():
                logging.warning("child")
                logging.shutdown()
                os._exit(0)
            os.wait()
    """
    with Arrivals() as one, Arrivals() as two:
        before = f"ENDPOINTS = {[one.endpoint, two.endpoint]!r}\n"
        assert silent(run(program, "", before=before))
        expected = {"parent", "child"} if way == "os.fork" else {"parent"}
        for there in (one, two):
            wait_for(lambda: {record["message"] for record in there.records} == expected)  # noqa: B023 - called at once


def test_a_record_that_is_too_big_is_not_sent() -> None:
    """A receiver with such a limit would disconnect us: it is counted, said once, and told to the receiver."""
    with Arrivals() as arrivals:
        handler = ZeroMQHandler(arrivals.endpoint, maxmsgsize=1000, report_interval=0)
        try:
            for text in ("first", "x" * 600, "y" * 10_000, "after"):
                handler.handle(logging.makeLogRecord({"msg": text}))
            arrivals.wait_for(lambda record: record["message"] == "after")
            assert handler.stats()["dropped"] == {"too big": 1}
            assert handler.stats()["sent"] == 3
            wait_for(lambda: any("too big" in record["message"] for record in arrivals.records))
        finally:
            handler.close()
