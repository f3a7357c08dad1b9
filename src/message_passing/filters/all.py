"""Pass nothing on (Message::Passing::Filter::All)."""

from __future__ import annotations

from typing import Any

from message_passing.flow import Filter


class AllFilter(Filter):
    """Filters all messages out: none is passed on. For tests, and for closing off a branch."""

    name = "All"
    transparent = True
    removes_all = True

    def filter_many(self, messages: list[Any]) -> list[Any]:  # noqa: ARG002 - none of them matters
        """Return nothing."""
        return []
