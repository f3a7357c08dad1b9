"""The acknowledged hop between two machines: cut, lossy and long connections, and clocks that are set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from audit import Job
from cable import THERE, cable
from clocks import HOUR, Clock
from faulty import FAULT_SECONDS, local
from message_passing.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cable import Cable


@pytest.fixture
def wire() -> Iterator[Cable]:
    """Two machines with a cable."""
    with cable() as made:
        yield made


@pytest.mark.timeout(300 + 20 * FAULT_SECONDS)
def test_the_network_is_cut_lossy_and_long(
    wire: Cable, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """10 % of packets lost, 200 ms each way, and nothing at all for longer than a receiver is waited for."""
    with Job(
        tmp_path,
        f"tcp://{THERE[0]}:5558",
        bind="tcp://*:5558",
        prefixes=(wire.here, wire.there),
        rate=500,
        sending={"ack_timeout": min(10, FAULT_SECONDS)},
    ) as job:
        job.flows()
        wire.tell("loss 0.1")
        job.last(FAULT_SECONDS / 2)
        assert wire.lost() > 0
        wire.tell("loss 0")
        job.flows(100)
        wire.tell("delay 0.2")
        job.last(FAULT_SECONDS / 2)
        job.flows(100)
        wire.tell("delay 0")
        wire.tell("cut")
        job.last(max(3, FAULT_SECONDS))
        wire.tell("mend")
        job.flows()
        audit = job.settled()
        job.figures(request, packets_lost=wire.lost())
    assert audit.duplicates == 0
    assert audit.torn == 0


@pytest.mark.timeout(120 + 2 * FAULT_SECONDS)
def test_clocks_are_set(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Those of both machines, forward and back, by hours and a year: nothing is lost, late or twice."""
    clock = Clock(tmp_path / "clock")
    state = {"state_file": str(tmp_path / "state")}
    env = {**os.environ, **clock.env}
    with Job(tmp_path, local(free_port()), env=env, receiving=state, sending={"spool_age": 3600}) as job:
        for jump in (HOUR / 2, -HOUR, 23 * HOUR, 0.0, -365 * 24 * HOUR, 365 * 24 * HOUR):
            job.flows(300)
            clock.set(jump)
        job.flows(300)
        audit = job.settled()
        job.figures(request)
    assert audit.duplicates == 0
