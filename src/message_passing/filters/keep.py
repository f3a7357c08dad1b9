"""Keep some fields of messages, and remove all others."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.dotted import place_of, set_at, value_at
from message_passing.flow import Filter
from message_passing.options import option


class KeepFilter(Filter):
    """Keeps these fields of each message, and removes all others.

    `user.name` keeps, of the dict in the field `user`, the field `name`. A message that is not an object passes
    unchanged; one that has none of the fields passes as an empty object.
    """

    name = "Keep"
    example = MappingProxyType({"fields": ["time", "level", "message", "user.name"]})

    fields: list[str] = option(description="The names of the fields.", min_length=1)

    def filter(self, message: Any) -> Any:
        """Return an object of these fields."""
        if not isinstance(message, dict):
            return message
        kept: dict[str, Any] = {}
        for name in self.fields:
            if name in message:
                kept[name] = message[name]
            elif place := place_of(message, name):
                kept = set_at(kept, place, value_at(message, name))
        return kept
