"""Remove fields from messages."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.dotted import without
from message_passing.flow import Filter
from message_passing.options import option


class RemoveFilter(Filter):
    """Removes fields from each message; those that a message does not have are ignored.

    `user.name` is the field of that name and the field `name` of the dict in the field `user`: both are
    removed. A message that is not an object passes unchanged.
    """

    name = "Remove"
    example = MappingProxyType({"fields": ["password", "user.email"]})

    fields: list[str] = option(description="The names of the fields.", min_length=1)

    def filter(self, message: Any) -> Any:
        """Return the message without these fields."""
        if isinstance(message, dict):
            for name in self.fields:
                while (rest := without(message, name)) is not message:  # as `a.b`, and as `b` within `a`
                    message = rest
        return message
