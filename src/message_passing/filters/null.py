"""Pass everything on (Message::Passing::Filter::Null)."""

from __future__ import annotations

from typing import Any

from message_passing.flow import Filter


class NullFilter(Filter):
    """Passes every message on, unchanged: the filter of a chain that needs none."""

    name = "Null"
    transparent = True
    passes_blocks = True

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return the batch unchanged."""
        return messages
