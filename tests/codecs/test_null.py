"""The codecs that do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.codecs.null import NullDecoder, NullEncoder
from support import Kept, accounted_for


@pytest.mark.parametrize("codec", [NullDecoder, NullEncoder])
def test_messages_pass_as_they_are(codec: Any) -> None:
    """Whatever they are, the very same objects, in one batch."""
    messages = [b"bytes", "text", {"a": 1}, b"", "0", 0]
    end = Kept()
    null = codec(output_to=end)
    null.consume_many(messages)
    assert end.batches == [messages]
    assert all(passed is given for passed, given in zip(end.messages, messages, strict=True))
    assert accounted_for(null)
