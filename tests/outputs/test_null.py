"""Throwing everything away."""

from __future__ import annotations

from message_passing.outputs.null import NullOutput


def test_counts_and_forgets() -> None:
    """Everything is taken, and counted as passed: it was asked for, so it is no loss."""
    output = NullOutput()
    output.consume_many([b"one", {"a": 1}, None])
    counted = output.snapshot()
    assert (counted["received"], counted["passed"], counted["dropped"]) == (3, 3, {})
