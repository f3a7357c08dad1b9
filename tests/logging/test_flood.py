"""Many records at once, with a receiver that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logs import receiver, run, silent
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path


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
