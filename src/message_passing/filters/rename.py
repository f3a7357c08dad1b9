"""Rename fields of messages."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.dotted import ABSENT, one_within_another, value_at, with_value, without
from message_passing.errors import Fault, OptionError
from message_passing.flow import Filter
from message_passing.options import option


class RenameFilter(Filter):
    """Renames fields of each message; those that a message does not have are ignored.

    All old names are read before any new one is written, so two fields can exchange their names. A new name that a
    message already has is overwritten. `user.name` is the field `name` of the dict in the field `user`, on either
    side. A message that is not an object passes unchanged.
    """

    name = "Rename"
    example = MappingProxyType({"fields": {"msg": "message", "lvl": "level"}})

    fields: dict[str, str] = option(description="The new name of each old one.", min_length=1)

    def on_init(self) -> None:
        """Check the names.

        Raises:
            OptionError: two fields would get the same name or one within the other, or one an empty name.
        """
        super().on_init()
        taken: dict[str, str] = {}
        for old, new in self.fields.items():
            if not new:
                raise OptionError(Fault(f"{self.label}: the new name of {old!r} is empty", "fields"))
            if new in taken:
                text = f"{self.label}: {taken[new]!r} and {old!r} would both be renamed to {new!r}"
                raise OptionError(Fault(text, "fields"))
            taken[new] = old
        if found := one_within_another(taken):
            new, outer = found
            text = f"{self.label}: {new!r} would be within {outer!r}, which {taken[outer]!r} is renamed to"
            raise OptionError(Fault(text, "fields"))

    def filter(self, message: Any) -> Any:
        """Return the message with the new names."""
        if not isinstance(message, dict):
            return message
        found = {new: value_at(message, old, ABSENT) for old, new in self.fields.items()}
        for old, new in self.fields.items():
            if found[new] is not ABSENT:
                message = without(message, old)
        for new, value in found.items():
            if value is not ABSENT:
                message = with_value(message, new, value)
        return message
