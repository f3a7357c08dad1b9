"""Text with fields in braces: `{user.name} from {ip}`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError

_PART = re.compile(r"(?P<literal>[^{}]+|\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<wrong>[{}])")


class TextTemplate:
    """A text with fields in braces, compiled.

    Attributes:
        text: as it was written.
    """

    def __init__(self, text: str) -> None:
        """Take it apart.

        Args:
            text: `{user.name} from {ip}`; `{{` and `}}` are single braces.

        Raises:
            OptionError: a brace is not closed, or there is nothing in it; with the column.
        """
        self.text = text
        self._parts: list[tuple[str, str]] = []
        for found in _PART.finditer(text):
            if found["wrong"]:
                problem = f"{found['wrong']!r} has no counterpart: write it twice for a single one"
                raise OptionError(Fault(problem, "", (0, found.start() + 1)))
            if found["field"] == "":
                raise OptionError(Fault("there is no field's name in {}", "", (0, found.start() + 1)))
            self._parts.append(
                ((found["literal"] or "").replace("{{", "{").replace("}}", "}"), found["field"] or "")
            )

    def value(self, message: Any) -> str:
        """The text for a message: a missing field, or null, is empty; what is no text is written as JSON."""
        return "".join([literal or _as_text(value_at(message, field)) for literal, field in self._parts])


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return msgspec.json.encode(value).decode()
    except Exception:  # noqa: BLE001 - an object of a user's own
        return str(type(value).__name__)
