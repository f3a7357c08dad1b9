"""How many workers a chain may have."""

from __future__ import annotations

from commands import finished


def test_a_chain_has_no_more_workers_than_a_machine_can_bear() -> None:
    """A slip of the finger does not start a million processes: it is refused, with what is allowed."""
    status, out, err = finished("--input", "STDIN", "--output", "STDOUT", "--workers", "1000000")
    assert (status, out) == (2, b"")
    assert "--workers" in err
    assert "256" in err
    assert len(err.splitlines()) == 1
