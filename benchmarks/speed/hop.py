"""Acknowledged hops and the spool, beside a bare pyzmq loop that sends single messages by PUSH to PULL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregators import OURS
from speed.contenders import HERE, loop
from speed.latency import summary, watched
from speed.measures import (
    FailedError,
    Stage,
    figures,
    filled,
    first_number,
    peak_megabytes,
    processor_seconds,
)
from speed.samples import problem

from message_passing.testing import free_port
from spool import AT_ONCE, FRAMES, plain, store

if TYPE_CHECKING:
    from speed.samples import Sample

BARE = "pyzmq, PUSH to PULL, single messages"
HOP, SYNCED, SPOOLED = (
    "frames, acknowledged",
    "frames, synced before acknowledging",
    "frames, spooled and synced",
)
COMPRESSED, SINGLE = "the same, the spool compressed", "single messages, acknowledged"
RATE, SECONDS = 1000, 10.0


@dataclass(frozen=True)
class Hop:
    """One pair of a sender and a receiver.

    Attributes:
        how: what `hop_sender.py` does.
        least: how many times as fast as the bare loop it is to be.
        synced: the receiver writes to a disk, and syncs it before it acknowledges.
        spooled: the sender has everything on a disk before it sends.
        share: of the lines.
    """

    how: str
    least: float | None = None
    synced: bool = False
    spooled: bool = False
    share: float = 1.0


HOPS = {
    BARE: Hop("pyzmq"),
    HOP: Hop("frames", 2),
    SYNCED: Hop("frames", 1.2, synced=True),
    SPOOLED: Hop("frames", 0.6, synced=True, spooled=True),
    COMPRESSED: Hop("compressed", synced=True, spooled=True),
    SINGLE: Hop("single", 0.1, share=0.2),
}
SPOOL_LEAST = {"put and trim": 0.8, "drain": 0.8}
"""Million messages a second."""


def receiver(one: Hop, port: int, file: Path) -> list[str]:
    """The words of the receiver's command."""
    if one.how.endswith("pyzmq"):
        return loop(port, file)
    listen = {"socket_bind": f"tcp://127.0.0.1:{port}", "socket_type": "ROUTER"}
    write = {"filename": str(file), "fsync": "batch" if one.synced else "never"}
    return [
        *(*OURS, "--input", "ZeroMQ", "--input_options", json.dumps(listen)),
        *("--decoder", "Null", "--encoder", "Null"),
        *("--output", "File", "--output_options", json.dumps(write)),
    ]


def sender(how: str, port: int, sent: Sample, *more: str) -> list[str]:
    """The words of the sender's command."""
    return [
        sys.executable,
        str(HERE / "hop_sender.py"),
        how,
        f"tcp://127.0.0.1:{port}",
        str(sent.path),
        *more,
    ]


def through(stage: Stage, one: Hop, sent: Sample) -> dict[str, Any]:
    """Send a sample by a hop.

    Returns:
        lines a second, processor seconds of both ends a million lines, the receiver's peak memory in MiB; or `error`.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(dir=stage.folder) as spool:
        words = sender(one.how, port, sent, *([spool] if one.spooled else []))
        try:
            with stage.receiver(lambda port, file: receiver(one, port, file), port) as pid:
                with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
                    try:
                        began = first_number(process)
                        before = processor_seconds(process.pid) + processor_seconds(pid)
                        seconds = filled(stage, sent.size) - began / 1e9
                        used = processor_seconds(process.pid) + processor_seconds(pid) - before
                        process.wait(timeout=30)
                    finally:
                        process.terminate()
                memory = peak_megabytes(pid)
            trouble = problem(stage.file, sent, "bytes")
        except (FailedError, TimeoutError, OSError, subprocess.TimeoutExpired) as error:
            return {"error": str(error) or type(error).__name__}
    return {**figures(trouble, sent.count, seconds, used, memory), "count": sent.count}


def paced(stage: Stage, one: Hop, sent: Sample, rate: int, seconds: float) -> dict[str, Any]:
    """How long lines take at a steady rate: see `latency.latency`."""
    port, count = free_port(), round(rate * seconds)
    how = "paced-pyzmq" if one.how == "pyzmq" else "paced"
    try:
        with stage.receiver(lambda port, file: receiver(one, port, file), port):
            ages = watched(stage, sender(how, port, sent.head(count), str(rate)), count, seconds)
    except (FailedError, TimeoutError, OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error) or type(error).__name__}
    return summary(ages)


def spool_alone(folder: Path, frames: int) -> dict[str, dict[str, float]]:
    """Million messages a second, and for each second of processor time, of a spool without a hop."""
    path = folder / "store"
    put, drained = store(path, frames)
    found = {"put and trim": put, "drain": drained, "a plain file, synced": plain(folder, frames)}
    for file in [*path.iterdir(), folder / "plain"]:
        file.unlink()
    path.rmdir()
    return {name: {"rate": rate, "of processor": processor} for name, (rate, processor) in found.items()}


def hops(stage: Stage, sample: Sample, rounds: int, *, quick: bool) -> dict[str, Any]:
    """Everything, in turns; the first round warms the machine up and is thrown away.

    What is synced or spooled goes to the system's folder for temporary files, which should be on a disk.
    """
    throughput: dict[str, list[dict[str, Any]]] = {name: [] for name in HOPS}
    alone: list[dict[str, dict[str, float]]] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        disk = Stage(Path(folder))
        for number in range(0 if quick else -1, rounds):
            for name, one in HOPS.items():
                sent = sample.head(max(1000, int(sample.count * one.share)))
                found = through(disk if one.synced else stage, one, sent)
                if number >= 0:
                    throughput[name].append(found)
            if number >= 0:
                alone.append(spool_alone(disk.folder, 4 * AT_ONCE if quick else FRAMES))
        shutil.copy(stage.program("watcher"), disk.folder)
        seconds = 1.0 if quick else SECONDS
        latency = {
            name: paced(disk if one.synced else stage, one, sample, RATE, seconds)
            for name, one in {
                BARE: HOPS[BARE],
                SINGLE: HOPS[SINGLE],
                f"{SINGLE}, synced": HOPS[SYNCED],
            }.items()
        }
    return {
        "throughput": throughput,
        "spool": alone,
        "latency": latency,
        "about": {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "count": sample.count,
            "rounds": rounds,
            "load before": round(load, 2),
            "load after": round(os.getloadavg()[0], 2),
        },
    }
