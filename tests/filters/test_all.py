"""The filter that passes nothing on."""

from __future__ import annotations

from message_passing.filters.all import AllFilter
from support import Kept


def test_nothing_passes_and_that_is_no_loss() -> None:
    """It was asked for, so it counts as filtered."""
    end = Kept()
    everything = AllFilter(output_to=end)
    everything.consume_many(["a", "b"])
    assert end.messages == []
    assert everything.metrics.filtered == 2
    assert everything.metrics.lost() == 0
