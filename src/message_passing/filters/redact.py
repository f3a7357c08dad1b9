"""Mask or hash secrets and personal data in messages."""

from __future__ import annotations

import hashlib
import hmac
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.conditions.patterns import refuse_exponential
from message_passing.dotted import place_of, value_at, with_value
from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError
from message_passing.filters._personal import FINDERS
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

_DIGEST = 16
"""Hexadecimal digits of a hash that are kept."""


class RedactFilter(Filter):
    """Masks secrets and personal data, or replaces them with a hash.

    `keys` are fields whose whole value is masked: `password` at any depth and in any case, `user.email` that field
    alone.

    `patterns` are searched in every text, at any depth: `card` (payment cards with a right check digit), `email`,
    `ip` (v4 and v6), `token` (bearer and basic credentials, JSON Web Tokens, passwords in URLs, private keys, keys of
    AWS, GitHub, Slack). `regexes` are further ones. The names of fields are not searched, nor what is encoded within
    a text.

    With `hash_key` each value becomes `[hmac:...]`, 16 digits of its HMAC-SHA-256: the same value has the same text,
    so that one can count and join, and who does not know the key cannot find the value by trying.

    A message that is text is searched as a whole.
    """

    name = "Redact"
    example = MappingProxyType({"keys": ["password", "authorization"], "patterns": ["card", "email"]})

    keys: list[str] = option(default_factory=list, description="Fields whose value is masked.")
    patterns: list[Literal["card", "email", "ip", "token"]] = option(
        default_factory=list, description="What is masked wherever it is found in a text."
    )
    regexes: list[str] = option(
        default_factory=list, description="Regular expressions of what else is masked."
    )
    mask: str = option(default="[redacted]", description="What stands in its place.")
    hash_key: str = option(
        default="", description="A secret: values are hashed with it, instead of masked.", secret=True
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
        self._names = frozenset(one.casefold() for one in self.keys if "." not in one)
        self._paths = [one for one in self.keys if "." in one]
        self._finders = [FINDERS[one] for one in dict.fromkeys(self.patterns)]
        self._regexes: list[re.Pattern[str]] = []
        for pattern in self.regexes:
            try:
                self._regexes.append(refuse_exponential(pattern))
            except ValueError as error:
                raise OptionError(Fault(f"{self.label}: {pattern!r}: {error}", "regexes")) from error
        self._key = from_environment(self.hash_key).encode() if self.hash_key else b""

    def filter(self, message: Any) -> Any:
        """Return the message without what is to be masked."""
        if isinstance(message, str):
            return self._searched(message)
        if isinstance(message, (bytes, bytearray)):
            text = bytes(message).decode(errors="surrogateescape")
            return self._searched(text).encode(errors="surrogateescape")
        if not isinstance(message, (dict, list)):
            return message
        for path in self._paths:
            if isinstance(message, dict) and place_of(message, path):
                message = with_value(message, path, self._masked(value_at(message, path)))
        return self._cleaned(message)

    def _cleaned(self, message: Any) -> Any:
        """A copy in which every text was searched, without recursion: a message may be nested too deeply for that."""
        whole = message.copy()
        left: list[Any] = [whole]
        while left:
            part = left.pop()
            for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
                if isinstance(key, str) and self._names and key.casefold() in self._names:
                    part[key] = self._masked(value)
                elif isinstance(value, str):
                    part[key] = self._searched(value)
                elif isinstance(value, (dict, list)):
                    part[key] = copy = value.copy()
                    left.append(copy)
                elif type(value) is int and value > 10**12 and self._finders:
                    text = str(value) if value < 10**19 else ""
                    part[key] = value if (found := self._searched(text)) == text else found
        return whole

    def _searched(self, text: str) -> str:
        for find in self._finders:
            text = self._replaced(text, find(text))
        for pattern in self._regexes:
            text = self._replaced(text, (found.span() for found in pattern.finditer(text) if found[0]))
        return text

    def _replaced(self, text: str, spans: Iterable[tuple[int, int]]) -> str:
        parts: list[str] = []
        end = 0
        for begin, until in sorted(spans):
            if begin < end:
                continue
            parts += text[end:begin], self._masked(text[begin:until])
            end = until
        return "".join((*parts, text[end:])) if parts else text

    def _masked(self, value: Any) -> str:
        if not self._key:
            return self.mask
        text = value if isinstance(value, str) else repr(value)
        digest = hmac.digest(self._key, text.encode(errors="surrogateescape"), hashlib.sha256)
        return f"[hmac:{digest.hex()[:_DIGEST]}]"
