"""An output that discards everything (Message::Passing::Output::Null)."""

from __future__ import annotations

from typing import Any

from message_passing.flow import Output


class NullOutput(Output):
    """Discards every message. They count as passed, since that is intended."""

    name = "Null"
    confirms = "discarded, as configured"

    def write_many(self, messages: list[Any]) -> None:
        """Do nothing."""
