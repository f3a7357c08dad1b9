"""Adding up the counters of several workers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from message_passing.metrics import Metrics, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

DIED = "in a worker that died"
"""The reason of messages lost with a worker that died."""


def added(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Sum counters."""
    total = Metrics()
    held = 0
    for one in snapshots:
        total.add(one)
        held += one["held"]
    return total.snapshot(held=held)


def after_death(snapshot: Snapshot) -> Snapshot:
    """The counters of a component whose process has ended: what it held is lost."""
    if not snapshot["held"]:
        return snapshot
    dropped = Counter(snapshot["dropped"])
    dropped[DIED] += snapshot["held"]
    last = snapshot.copy()
    last["dropped"], last["held"] = dict(dropped), 0
    return last


def as_metrics(snapshot: Snapshot) -> Metrics:
    """Counters fixed at a snapshot."""
    metrics = Metrics()
    metrics.add(snapshot)
    return metrics
