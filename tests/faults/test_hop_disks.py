"""The acknowledged hop on disks that become full, and whose power is cut: nothing accepted is missing."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from audit import LONG, SEED, Job, chances
from disks import disks, fill, small_disk
from faulty import FAULT_SECONDS, local
from message_passing.testing import free_port

if TYPE_CHECKING:
    from pathlib import Path

CUTS = 20 if LONG else 2


@pytest.mark.timeout(120 + 20 * CUTS)
def test_power_is_cut_at_random(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of the sender's machine or the receiver's, under load: what had not been synced is gone, and all arrives."""
    chance, began = chances(), time.monotonic()
    with disks(tmp_path, 2) as (here, there):
        state = str(there.place / "state")
        port = local(free_port())
        with Job(
            tmp_path, port, rate=1000, here=here.place, there=there.place, receiving={"state_file": state}
        ) as job:
            for number in range(CUTS):
                job.flows(chance.randint(1, 2000))
                job.last(chance.uniform(0, 1))
                node, disk = [(job.receiver, there), (job.senders[0], here)][(number + SEED) % 2]
                finds_errors = chance.random() < 0.5  # for a moment, before it ends too
                node.stand_still()  # see `Disk.cut`
                disk.cut()
                if finds_errors:
                    node.signal(signal.SIGCONT)
                    job.last(chance.uniform(0, 0.3))
                node.kill()
                disk.power()
                job.audit.again()
                node.start()
            job.settled()
            job.figures(request, seed=SEED, cuts=CUTS, seconds=round(time.monotonic() - began))


def test_the_receivers_disk_frees_little_by_little(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Full again and again, it takes what there is room for, each order once, and the rest when there is room."""
    with small_disk(tmp_path / "disk", 4096) as disk:
        (disk / "audit.log").touch()
        ballast = disk / "ballast"
        fill(ballast)
        size = ballast.stat().st_size
        with Job(
            tmp_path, local(free_port()), there=disk, receiving={"state_file": str(disk / "state")}
        ) as job:
            job.until(lambda: job.orders[0].count > 3000)
            job.orders[0].stop()
            wanted = 0
            for _ in range(6):
                size -= 20 << 10
                with ballast.open("r+b") as file:
                    file.truncate(size)
                wanted += 50
                job.until(lambda wanted=wanted: job.audit.total() >= wanted)  # type: ignore[misc]
            ballast.unlink()
            audit = job.settled()
            job.figures(request)
            assert audit.duplicates == 0
            assert "No space left" in job.receiver.told()


def test_the_senders_disk_is_full(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Neither the spool nor the position finds room: orders wait in their file, and go on when there is some."""
    with small_disk(tmp_path / "disk", 8192) as disk, Job(tmp_path, local(free_port()), here=disk) as job:
        job.flows()
        job.receiver.signal(signal.SIGSTOP)
        fill(disk / "ballast")
        job.last(FAULT_SECONDS / 2)
        job.receiver.signal(signal.SIGCONT)
        job.last(FAULT_SECONDS / 2)
        (disk / "ballast").unlink()
        job.flows()
        audit = job.settled()
        job.figures(request)
        assert audit.duplicates == 0
