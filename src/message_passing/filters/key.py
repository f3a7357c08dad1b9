"""Pass on only the messages whose key has a certain value (Message::Passing::Filter::Key)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError
from message_passing.filters._perl_regex import compile_perl
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.read_fields import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class KeyFilter(Filter):
    """Passes a message on if one of its keys has a certain value; other messages are filtered out.

    `foo.bar` means the key `bar` of the dict at the key `foo`. If a dict has a key that itself contains
    the dot, `{"foo.bar": 1}`, that one is used.

    Text is compared unchanged, numbers and booleans by their JSON text (`200`, `1.5`, `true`). A key that is
    absent, null, or holds a dict or list never matches; `""`, `"0"` and `0` are values like any other.
    """

    name = "Key"
    reads = ()
    example = MappingProxyType({"key": "level", "match": "^(?:ERROR|CRITICAL)$", "match_type": "regex"})

    key: str = option(description="The key to check; a dot leads into a nested dict.", min_length=1)
    match: str | int | float | bool = option(description="The value that passes, or the regular expression.")
    match_type: Literal["eq", "regex"] = option(
        default="eq",
        description="`eq`: the value is exactly `match`. `regex`: `match`, a Perl regular expression, is "
        "found anywhere in it; what Python does not support is rejected.",
    )

    def on_init(self) -> None:
        """Compile the match.

        Raises:
            OptionError: `match` is not a regular expression.
        """
        super().on_init()
        wanted: str = _match_text(self.match)
        self._matches: Callable[[str], object]
        if self.match_type == "eq":
            self._matches = wanted.__eq__
            return
        try:
            self._matches = compile_perl(wanted).search
        except ValueError as error:
            text = f"{self.label}: option 'match', {wanted!r}, is not a regular expression: {error}"
            raise OptionError(Fault(text, "match")) from error

    def fields_read(self) -> tuple[str, ...]:
        """The key."""
        return (self.key,)

    def keeps_many(self, fields: Sequence[Any]) -> Sequence[Any]:
        """Which of them have a matching key."""
        matches = self._matches
        texts = map(_match_text, values_of(fields, self.key))
        return [text is not None and matches(text) for text in texts]

    def filter(self, message: Any) -> Any:
        """Return the message if its key matches."""
        text = _match_text(value_at(message, self.key))
        return message if text is not None and self._matches(text) else None


def _match_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return msgspec.json.encode(value).decode()
    return None
