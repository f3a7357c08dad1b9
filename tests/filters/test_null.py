"""The filter that passes everything on."""

from __future__ import annotations

from message_passing.filters.null import NullFilter
from support import Kept, accounted_for


def test_everything_passes_in_one_batch() -> None:
    """The very same objects, false ones too."""
    messages = ["0", "", 0, b"", {"a": 1}]
    end = Kept()
    null = NullFilter(output_to=end)
    null.consume_many(messages)
    assert end.batches == [messages]
    assert end.messages[4] is messages[4]
    assert accounted_for(null)
