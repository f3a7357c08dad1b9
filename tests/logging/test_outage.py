"""The receiver is killed and comes back: what was queued arrives, what was dropped is told (promise 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from logs import logger_with, receiver
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Receiver
    from message_passing.logging import ZeroMQHandler


def all_moved(handler: ZeroMQHandler) -> bool:
    """Whether the handler's thread has dealt with what was logged."""
    return not handler._shipper.queue


def outage(there: Receiver, logger: Any) -> None:
    """Kill the receiver when it has got a first record."""
    logger.info("before")
    there.wait_for_messages("before")
    there.kill()


def test_what_was_logged_meanwhile_arrives(tmp_path: Path) -> None:
    """In order, once, up to the high-water mark; twice over."""
    with receiver(tmp_path / "records") as there, logger_with(there.endpoint) as (logger, handler):
        for time in range(2):
            outage(there, logger)
            for number in range(3000):
                logger.info("%d %d", time, number)
            there.start()
            there.wait_for_messages(f"{time} 2999")
        messages = [record["message"] for record in there.records() if record["message"] != "before"]
        assert messages == [f"{time} {number}" for time in range(2) for number in range(3000)]
        assert handler.stats()["dropped"] == {}


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "drop_least_severe"])
def test_what_did_not_fit_goes_by_policy_and_is_told(policy: Any, tmp_path: Path) -> None:
    """The notice precedes the next record that gets through: how many of which level, why and since when."""
    with (
        receiver(tmp_path / "records", hwm=10) as there,
        logger_with(there.endpoint, socket_hwm=100, policy=policy) as (logger, handler),
    ):
        outage(there, logger)
        # ZeroMQ's own pipe is full before the backlog is: only the backlog can choose.
        for number in range(100):
            logger.info("pipe %d", number)
            wait_for(lambda: all_moved(handler))
        for number in range(1000):
            if number % 10:
                logger.debug("debug %d", number)
            else:
                logger.error("error %d", number)
            if not number % 50:
                wait_for(lambda: all_moved(handler))
        wait_for(lambda: all_moved(handler))
        stats = handler.stats()
        lost = stats["dropped"]["queue full"]
        assert stats["dropped"] == {"queue full": lost}
        assert stats["sent"] + stats["queued"] + lost == 1101
        assert stats["queued"] == 100
        there.start()
        wait_for(lambda: handler.stats()["queued"] == 0)
        logger.error("after")
        records = there.wait_for_messages("after")
    (notice,) = (record for record in records if record["logger"] == "message_passing.logging")
    assert (
        notice["extra"]["dropped"]["DEBUG"]
        + notice["extra"]["dropped"].get("ERROR", 0)
        + notice["extra"]["dropped"].get("INFO", 0)
        == lost
    )
    assert notice["extra"]["reason"] == "queue full"
    assert re.fullmatch(
        rf"{lost} records were dropped since \S+Z \(queue full\): .*DEBUG.*", notice["message"]
    )
    assert notice["level"] == "WARNING"
    arrived = [record["message"] for record in records if record is not notice]
    where = records.index(notice)
    kept = [int(message.split()[1]) for message in arrived if message.startswith(("debug", "error"))]
    if policy == "drop_newest":
        assert kept == list(range(len(kept)))
    elif policy == "drop_oldest":
        assert kept[-100:] == list(range(900, 1000))
    else:
        errors = [message for message in arrived if message.startswith("error")]
        assert errors == [f"error {number}" for number in range(0, 1000, 10)]
    # Before the notice is what ZeroMQ had already; after it, what was kept here.
    assert 0 < where < len(records) - 100
    assert len(records) == 1102 - lost + 1
    sequences = [record["sequence"] for record in records if record is not notice]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == len(sequences)
