"""Counters and their snapshot."""

from __future__ import annotations

import json

from message_passing.metrics import Metrics


def test_counters_begin_at_zero() -> None:
    """A component that has done nothing says so."""
    assert Metrics().snapshot() == {
        "received": 0,
        "passed": 0,
        "filtered": 0,
        "dropped": {},
        "failed": 0,
        "held": 0,
    }


def test_a_loss_is_what_was_dropped_or_failed() -> None:
    """What a filter removed was asked for, so it is no loss."""
    metrics = Metrics()
    lost = {"queue full": 2, "closed": 1}
    metrics.add({"received": 12, "passed": 0, "filtered": 5, "dropped": lost, "failed": 4, "held": 0})
    assert metrics.lost() == 7


def test_a_snapshot_does_not_change_afterwards() -> None:
    """It is a copy in plain types, which JSON can write."""
    metrics = Metrics()
    metrics.dropped["queue full"] += 1
    snapshot = metrics.snapshot(held=3)
    metrics.dropped["queue full"] += 1
    assert json.loads(json.dumps(snapshot))["dropped"] == {"queue full": 1}
    assert snapshot["held"] == 3
