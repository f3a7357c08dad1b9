"""The acknowledged hop whose nodes are killed and stand still: nothing accepted is missing, and all is in order."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from audit import LONG, SEED, Job, chances, stopped
from faulty import FAULT_SECONDS, local
from message_passing.testing import free_port

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("FAULT_KILLS", "100" if LONG else "3"))


@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("remembers", [False, True], ids=["as typed", "state_file"])
def test_nodes_are_killed_at_random(remembers: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SIGKILL of senders, the receiver or both, at any moment of their lives: what is accepted arrives."""
    chance, began = chances(), time.monotonic()
    given = {"state_file": str(tmp_path / "state")} if remembers else {}
    with Job(tmp_path, local(free_port()), senders=2, receiving=given) as job:
        for _ in range(KILLS):
            if chance.random() < 0.7:  # under load, and otherwise perhaps while it starts
                job.flows(chance.randint(1, 2000))
            job.last(chance.uniform(0, 0.5))
            victims = [job.receiver] if chance.random() < 0.4 else [chance.choice(job.senders)]
            victims = job.nodes if chance.random() < 0.2 else victims
            for node in victims:
                node.kill()
            job.last(chance.uniform(0, 0.3))
            job.start()
        audit = job.settled()
        job.figures(request, seed=SEED, kills=KILLS, seconds=round(time.monotonic() - began))
    # A killed receiver may have written a window of each sender, a killed sender has read what was not yet noted.
    assert audit.duplicates <= KILLS * 2 * 64 * 300, f"seed {SEED}"


@pytest.mark.timeout(300 + 4 * FAULT_SECONDS)
def test_nodes_stand_still(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SIGSTOP of either, for longer than a receiver is waited for: nothing comes twice."""
    with Job(tmp_path, local(free_port()), sending={"ack_timeout": min(10, FAULT_SECONDS / 2)}) as job:
        for node in (job.receiver, *job.senders):
            job.flows()
            stopped(node, FAULT_SECONDS, job)
        job.flows()
        audit = job.settled()
        job.figures(request)
    assert audit.duplicates == 0
    assert audit.torn == 0


def test_the_receivers_memory_is_deleted(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Its state file, while it runs and while it does not: nothing is missing, and it keeps a new one."""
    state = tmp_path / "state"
    with Job(tmp_path, local(free_port()), receiving={"state_file": str(state)}) as job:
        job.flows()
        job.until(state.exists)
        state.unlink()
        job.until(state.exists)
        job.receiver.kill()
        state.unlink()
        job.receiver.start()
        job.flows()
        job.until(state.exists)
        job.settled()
        job.figures(request)
