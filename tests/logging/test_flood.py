"""Many records at once, with a receiver that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logs import receiver, run, silent
from message_passing.logging import ZeroMQHandler
from message_passing.logging.delivery_thread import DeliveryThread
from message_passing.logging.tuning import TICK
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.alone("a receiver without a processor does not take it")
def test_a_flood_loses_nothing_while_the_receiver_takes_it(tmp_path: Path) -> None:
    """Ten times what may wait is logged as fast as Python can, and all of it arrives: callers help."""
    program = """
        from message_passing.testing import wait_for
        handler = add(linger=20000)
        logging.info("somebody listens once this has gone")
        wait_for(lambda: handler.stats()["sent"])
        for number in range(99_999):
            logging.info("record %d of a flood", number)
        logging.shutdown()
        assert handler.stats() == {"sent": 100_000, "queued": 0, "dropped": {}, "failed": 0}, handler.stats()
    """
    with receiver(tmp_path / "records") as there:
        assert silent(run(program, there.endpoint, timeout=60))
        wait_for(lambda: there.path.read_bytes().count(b"\n") >= 100_000, 20)
        assert [record["sequence"] for record in there.records()] == list(range(1, 100_001))


@pytest.mark.parametrize("limit", [1, 2, 5, 100, 10_000, 1_000_000])
def test_callers_help_before_the_queue_is_full(limit: int) -> None:
    """However little it holds: the last record for which there is room finds it crowded."""
    handler = ZeroMQHandler(connect="tcp://127.0.0.1:9", socket_hwm=limit, linger=0)
    assert handler._shipper.crowded < limit - 1
    handler.close()


def test_the_thread_may_begin_in_the_middle_of_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """When callers are already at it at the thread's first look, it leaves the work to them, and lives."""
    handler = ZeroMQHandler(connect="tcp://127.0.0.1:9", linger=0)
    shipper = handler._shipper
    thread = DeliveryThread(shipper, shipper.worker)
    looks = []

    class Bell:
        def acquire(self, *, blocking: bool = True, timeout: float = 0) -> None:
            if blocking:
                looks.append(timeout)
                shipper.closed = True

    monkeypatch.setattr(shipper.worker, "thread", thread)
    monkeypatch.setattr(shipper.worker, "taken", lambda: 200)
    monkeypatch.setattr(shipper, "crowded", -1)
    monkeypatch.setattr(thread, "_bell", Bell())
    monkeypatch.setattr(thread, "_empty", None)
    thread._run()
    assert looks == [TICK]
    shipper.worker.thread = None
    handler.close()
