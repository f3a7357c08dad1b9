"""How long a message takes from its sending to its line in the file, at a steady rate."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

from speed.measures import FailedError

from message_passing.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from speed.contenders import Command
    from speed.measures import Stage
    from speed.samples import Sample

WATCH = "the watch alone"
"""Lines that the sender itself writes to the file: what is measured when nothing is between."""


def latency(stage: Stage, command: Command | None, sent: Sample, rate: int, seconds: float) -> dict[str, Any]:
    """Send at a rate, and watch the file.

    Args:
        stage: where.
        command: the receiver's; None for the watch alone.
        sent: lines to send, over and over.
        rate: lines a second.
        seconds: for how long.

    Returns:
        microseconds: `median`, `p99`, `p99.9`, `most`, of so many lines (`count`); or `error`.
    """
    port, count = free_port(), max(1, round(rate * seconds))
    target = f"tcp://127.0.0.1:{port}" if command else str(stage.file)
    sender = [stage.program("sender"), "-r", str(rate), str(sent.path), str(count), target]
    try:
        with stage.receiver(command, port) if command else _nobody(stage):
            ages = watched(stage, sender, count, seconds)
    except (FailedError, TimeoutError, OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error) or type(error).__name__}
    return summary(ages)


def summary(ages: Sequence[int]) -> dict[str, Any]:
    """The figures of some ages (sorted nanoseconds): see `latency`."""
    return {
        "count": len(ages),
        "median": quantile(ages, 0.5),
        "p99": quantile(ages, 0.99),
        "p99.9": quantile(ages, 0.999),
        "most": ages[-1] / 1000,
    }


@contextlib.contextmanager
def _nobody(stage: Stage) -> Iterator[None]:
    stage.file.write_bytes(b"")
    yield


def watched(stage: Stage, sender: list[str], count: int, seconds: float) -> list[int]:
    """The ages of so many lines that a sender sends, as they are seen in the file, in order."""
    words = [stage.program("watcher"), str(stage.file), str(count)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert watcher.stdout  # noqa: S101 - for the type checker
            watcher.stdout.readline()
            subprocess.run(sender, stdout=subprocess.DEVNULL, check=False, timeout=3 * seconds + 30)
            text, _ = watcher.communicate(timeout=30)
        finally:
            watcher.kill()
    ages = sorted(map(int, text.split()))
    if len(ages) != count:
        raise FailedError(f"{len(ages)} of {count} lines were seen")
    return ages


def quantile(ages: Sequence[int], share: float) -> float:
    """The age, in microseconds, that this share of the lines does not exceed (ages: sorted nanoseconds)."""
    return ages[min(len(ages) - 1, int(len(ages) * share))] / 1000
