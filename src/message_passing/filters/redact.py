"""Mask or hash secrets and personal data in messages."""

from __future__ import annotations

import hashlib
import hmac
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.conditions.patterns import refuse_exponential
from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError
from message_passing.filters._personal import FINDERS
from message_passing.filters._suspects import Suspects
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from message_passing.lines import LineBatch

_DIGEST = 16
"""Hexadecimal digits of a hash that are kept."""

_AT_ONCE = 4
"""The most messages that are looked at field by field at once: to search their JSON first would take longer."""

_FEWEST, _MOST = 10**12, 10**40
"""Numbers from the first on may be of a card; longer ones than the second are not searched."""


class RedactFilter(Filter):
    """Masks secrets and personal data, or replaces them with a hash.

    `keys` are fields whose whole value is masked, in any case: `password` at any depth; `user.email` a field of that
    name at any depth, and the field `email` of the dict, or of each dict of the list, in the field `user`.

    `patterns` are searched in every text, at any depth: `card` (payment cards with a right check digit), `email`,
    `ip` (v4 and v6), `token` (bearer and basic credentials, JSON Web Tokens, passwords in URLs, private keys, keys of
    AWS, GitHub, Slack). `regexes` are further ones, and are searched in numbers, too. Overlapping matches are masked
    as one. The names of fields are not searched, nor what is encoded within a text.

    With `hash_key` each value becomes `[hmac:...]`, 16 digits of its HMAC-SHA-256: equal values become equal texts,
    so that they can be counted and joined; without the key, nobody can find the value by trying.

    A message that is text is searched as a whole, and has no fields: `keys` has no effect on it.
    """

    name = "Redact"
    reads = ()
    _most = 1.0  # a batch may have much to mask: its speed is measured with a few first
    example = MappingProxyType({"keys": ["password", "authorization"], "patterns": ["card", "email"]})

    keys: list[str] = option(default_factory=list, description="Fields whose values are masked.")
    patterns: list[Literal["card", "email", "ip", "token"]] = option(
        default_factory=list, description="Kinds of data to mask wherever they occur in a text."
    )
    regexes: list[str] = option(
        default_factory=list, description="Regular expressions for anything else to mask."
    )
    mask: str = option(default="[redacted]", description="The replacement text.")
    hash_key: str = option(
        default="",
        description="A secret key: values are replaced by a keyed hash instead of the mask.",
        secret=True,
    )

    def on_init(self) -> None:
        """Prepare names and patterns.

        Raises:
            OptionError: nothing is to be masked, or a regular expression is malformed or may take exponential time.
            OpenError: `hash_key` names an environment variable that is not set.
        """
        super().on_init()
        if not self.keys and not self.patterns and not self.regexes:
            raise OptionError(Fault(f"{self.label}: set `keys`, `patterns` or `regexes`"))
        self._names = frozenset(one.casefold() for one in self.keys)
        self._paths = sorted({one for one in self._names if "." in one})
        self._finders = [FINDERS[one] for one in dict.fromkeys(self.patterns)]
        self._regexes: list[re.Pattern[str]] = []
        for pattern in self.regexes:
            try:
                self._regexes.append(refuse_exponential(pattern))
            except ValueError as error:
                raise OptionError(Fault(f"{self.label}: {pattern!r}: {error}", "regexes")) from error
        self._key = from_environment(self.hash_key).encode() if self.hash_key else b""
        self._suspects = None if self._regexes else Suspects(self._names, dict.fromkeys(self.patterns))

    def fields_read(self) -> tuple[str, ...] | None:
        """None to know which lines to look at; with `regexes`, that cannot be known, and it needs objects."""
        return None if self._suspects is None else ()

    def suspects(self, lines: LineBatch) -> Sequence[int]:
        """Those that may have something to mask."""
        return self._suspects.of_lines(lines) if self._suspects else range(len(lines))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return the messages; those in which there is nothing to mask as they are."""
        if self._suspects is None or len(messages) <= _AT_ONCE:
            return super().filter_many(messages)
        result: list[Any] = []
        done = 0
        for number in self._suspects.of(messages):
            result += messages[done:number]
            result += super().filter_many(messages[number : number + 1])
            done = number + 1
        return result + messages[done:] if done else messages

    def filter(self, message: Any) -> Any:
        """Return the message without what is to be masked."""
        for path in self._paths:
            message = self._masked_at(message, path)
        return self._cleaned(message)

    def _masked_at(self, part: Any, path: str) -> Any:
        """A copy with the mask at a dotted name, in each way in which it can be read, and in each item of a list."""
        if isinstance(part, (list, tuple)):
            return [self._masked_at(one, path) if isinstance(one, dict) else one for one in part]
        if not isinstance(part, dict):
            return part
        changed = part.copy()
        for key, value in part.items():
            name = key.casefold() if isinstance(key, str) else ""
            if name == path:
                changed[key] = self._masked(value)
            elif path.startswith(f"{name}."):
                changed[key] = self._masked_at(value, path[len(name) + 1 :])
        return changed

    def _cleaned(self, message: Any) -> Any:
        """A copy in which every text was searched, without recursion: a message may be nested too deeply for that."""
        whole = [message]
        left: list[Any] = [whole]
        names, searches = self._names, bool(self._finders or self._regexes)
        while left:
            part = left.pop()
            for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
                if names and isinstance(key, str) and key.casefold() in names:
                    part[key] = self._masked(value)
                elif isinstance(value, (dict, list, tuple)):
                    part[key] = copy = [*value] if isinstance(value, tuple) else value.copy()
                    left.append(copy)
                elif not searches:
                    continue
                elif isinstance(value, str):
                    part[key] = self._searched(value)
                elif isinstance(value, (bytes, bytearray)):
                    text = bytes(value).decode(errors="surrogateescape")
                    part[key] = self._searched(text).encode(errors="surrogateescape")
                elif isinstance(value, (int, float)) and (text := self._as_text(value)):
                    part[key] = value if (found := self._searched(text)) == text else found
        return whole[0]

    def _as_text(self, number: float) -> str:
        """A number as it is searched; empty if nothing can be found in it."""
        least = 0 if self._regexes else _FEWEST if self._finders else _MOST
        if isinstance(number, bool) or not least <= abs(number) < _MOST:
            return ""
        return str(int(number)) if number == int(number) else str(number)

    def _searched(self, text: str) -> str:
        """All that is found is found in the text as it came: what one pattern masks hides nothing from another."""
        spans = [span for find in self._finders for span in find(text)]
        for pattern in self._regexes:
            spans += [found.span() for found in pattern.finditer(text) if found[0]]
        if not spans:
            return text
        spans.sort()
        parts: list[str] = []
        begin, until, end = *spans[0], 0
        for first, last in (*spans[1:], (len(text) + 1, 0)):
            if first < until:  # they overlap, and are one
                until = max(until, last)
                continue
            parts += text[end:begin], self._masked(text[begin:until])
            begin, until, end = first, last, until
        return "".join((*parts, text[end:]))

    def _masked(self, value: Any) -> str:
        if not self._key:
            return self.mask
        text = value if isinstance(value, str) else _shown(value)
        digest = hmac.digest(self._key, text.encode(errors="surrogatepass"), hashlib.sha256)
        return f"[hmac:{digest.hex()[:_DIGEST]}]"


def _shown(value: Any) -> str:
    """A value as a text, for its hash."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - nested too deeply, an integer too long, or an object of a user's own
        return type(value).__name__
