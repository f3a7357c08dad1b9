"""Filter for live tails: by level, by fields, by a text in the message, and by a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.conditions import Condition
from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError
from message_passing.message_fields import level_number, level_of

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELDS = 16
"""Fields that may be given at a time."""

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """The conditions that each message must meet; without any, all match.

    Attributes:
        level: the lowest level. Messages without a level then do not match.
        fields: path and text of fields that must be equal: `("app.name", "shop")`.
        search: a text that must be in the message, ignoring case.
        where: a condition, in the language of the filter `Where`.
    """

    level: int | None = None
    fields: tuple[tuple[str, str], ...] = ()
    search: str = ""
    where: Condition | None = None

    @classmethod
    def of(
        cls, level: str = "", fields: Iterable[str] = (), search: str = "", where: str = ""
    ) -> MessageFilter:
        """Make one from command-line or URL parameters.

        Args:
            level: a name or number; empty for any.
            fields: `path=text`, each.
            search: any text.
            where: a condition; empty for none. Its regular expressions must take linear time, since the node's
                console, which evaluates it, is not to be kept busy.

        Raises:
            OptionError: one of them is invalid.
        """
        pairs = []
        for one in fields:
            path, equals, text = one.partition("=")
            if not equals or not path:
                raise OptionError(Fault(f"a field must be given as `name=value`, not {one[:50]!r}", "field"))
            pairs.append((path, text))
        if len(pairs) > FIELDS:
            raise OptionError(Fault(f"at most {FIELDS} fields may be given, not {len(pairs)}", "field"))
        condition = None
        if where:
            try:
                condition = Condition(where, linear=True)
            except OptionError as error:
                raise OptionError(*(one.under("where") for one in error.faults)) from error
        return cls(level_number(level) if level else None, tuple(pairs), search.casefold(), condition)

    @property
    def everything(self) -> bool:
        """Whether every message matches."""
        return self.level is None and not self.fields and not self.search and self.where is None

    def matches(self, message: Any, text: str) -> bool:
        """Whether this message matches.

        Args:
            message: as it was decoded: an object, or text.
            text: the same as text.
        """
        if self.search and self.search not in text.casefold():
            return False
        if self.where is not None and not self.where.holds(message):
            return False
        if self.level is not None and not _at_least(message, self.level):
            return False
        return all(_value_text(value_at(message, path)) == value for path, value in self.fields)


def decode_for_display(raw: bytes) -> tuple[Any, str]:
    """A message as a viewer gets it: the decoded object, or else its text; and its text in any case."""
    text = raw.decode("utf-8", "backslashreplace")
    if raw[:1] != b"{":
        return text, text
    try:
        message = _decode(raw)
        if "\\u" in text:  # escaped letters are found as what they are
            text = msgspec.json.encode(message).decode()
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return text, text
    return message, text


def _at_least(message: Any, level: int) -> bool:
    number = level_of(message)
    return number is not None and number >= level


def _value_text(value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    return msgspec.json.encode(value).decode()
