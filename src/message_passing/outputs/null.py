"""An output that throws everything away (Message::Passing::Output::Null)."""

from __future__ import annotations

from typing import Any

from message_passing.flow import Output


class NullOutput(Output):
    """Takes every message and throws it away: they count as passed, since that was asked for."""

    name = "Null"
    confirms = "thrown away, as was asked for"

    def write_many(self, messages: list[Any]) -> None:
        """Nothing."""
