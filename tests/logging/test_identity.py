"""Who sent it, and which one it is: a receiver can tell what is missing (promise 9)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from arrivals import Arrivals
from logs import free_endpoint, logger_with, receiver, run, silent
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_each_record_carries_its_sender_and_number() -> None:
    """Host, process and start; from 1, without a gap."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, _):
        for number in range(100):
            logger.info("%d", number)
        wait_for(lambda: len(arrivals.records) == 100)
        assert [record["sequence"] for record in arrivals.records] == list(range(1, 101))
        (sender,) = {record["sender"] for record in arrivals.records}
        host, process, start = sender.rsplit(":", 2)
        assert (host, int(process)) == (socket.gethostname(), os.getpid())
        assert int(start, 16) > 0
        assert arrivals.records[0]["host"] == host
        assert arrivals.records[0]["process_id"] == os.getpid()


def test_both_can_be_switched_off() -> None:
    """For receivers that take no strangers."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, identity=False) as (logger, _):
        logger.info("x")
        wait_for(lambda: len(arrivals.records) == 1)
        assert not {"sender", "sequence"} & arrivals.records[0].keys()


def test_two_runs_of_one_program_are_two_senders() -> None:
    """Though the system may give the same process id again."""
    with Arrivals() as arrivals:
        for _ in range(2):
            assert silent(run("add(); logging.info('x')", arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) == 2)
        assert len({record["sender"] for record in arrivals.records}) == 2
        assert {record["sequence"] for record in arrivals.records} == {1}


def test_missing_numbers_are_exactly_the_dropped_records(tmp_path: Path) -> None:
    """What the statistics count as lost is what the receiver misses."""
    with (
        receiver(tmp_path / "records", running=False) as there,
        logger_with(there.endpoint, socket_hwm=50) as (logger, handler),
    ):
        for number in range(500):
            logger.info("%d", number)
        wait_for(lambda: not handler._shipper.queue)
        there.start()
        wait_for(lambda: handler.stats()["queued"] == 0, 10)
        logger.info("last")
        records = there.wait_for_messages("last")
        stats = handler.stats()
        sequences = {record["sequence"] for record in records if "sequence" in record}
        missing = set(range(1, 502)) - sequences
        assert len(missing) == sum(stats["dropped"].values()) > 0
        assert stats["sent"] == len(sequences)


def test_statistics_add_up_at_every_moment() -> None:
    """Sent, queued and dropped are what was logged, with nobody there and after the end."""
    with logger_with(free_endpoint(), socket_hwm=100, linger=0) as (logger, handler):
        for number in range(1, 1001):
            logger.info("x")
            if not number % 100:
                wait_for(lambda: not handler._shipper.queue)
                stats = handler.stats()
                assert stats["sent"] + stats["queued"] + sum(stats["dropped"].values()) == number
        handler.close()
        stats = handler.stats()
        assert (stats["sent"], stats["queued"]) == (0, 0)
        assert stats["dropped"] == {"queue full": 900, "unsent at close": 100}
