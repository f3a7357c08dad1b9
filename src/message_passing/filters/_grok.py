"""Grok: regular expressions made of named patterns, `%{IP:client} %{NUMBER:took:float}`, compiled to `re` once.

The shipped patterns are atomic, and `DATA`, `GREEDYDATA` and `NOTSPACE` end before the first occurrence of the text
that follows them: a pattern of names with text between them takes time linear in a line.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.conditions.patterns import refuse_exponential
from message_passing.dotted import with_value
from message_passing.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMED = re.compile(r"%\{(?P<name>\w+)(?::(?P<field>[^:{}]+))?(?::(?P<kind>\w+))?\}")
_TEXT = re.compile(r"(?:[^\\^$.|?*+()\[\]{}%]|\\[^\w\s]|%(?!\{))+(?![?*+{])")
_BRACKETS = re.compile(r"\[([^\[\]]+)\]")

_KINDS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "string": str, "text": str}

_UNTIL = {"DATA": r"(?s:.)", "GREEDYDATA": r"(?s:.)", "NOTSPACE": r"\S"}
"""Patterns that end where the text after them begins: what they are made of."""

_DEEPEST, _LONGEST = 20, 200_000
"""Names within names, and characters of the whole regular expression."""

_MOST_FIELDS = 200
"""Fields of a pattern."""


@cache
def shipped() -> dict[str, str]:
    """The patterns of the package, by name."""
    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / "grok").glob("*.grok")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, pattern = line.partition(" ")
                found[name] = pattern
    return found


class GrokPattern:
    """A grok pattern, compiled."""

    def __init__(self, text: str, own: Mapping[str, str]) -> None:
        """Compile it.

        Args:
            text: the pattern.
            own: further named patterns; they take precedence over those of the package.

        Raises:
            ValueError: it is malformed, names an unknown pattern, or may take exponential time.
        """
        self._own = own
        self._fields: list[tuple[str, Callable[[str], Any]]] = []
        self._size = 0
        self._regex = refuse_exponential(self._expanded(text, 0))
        if not self._fields:
            raise ValueError("it has no field, such as %{WORD:name}")

    def _expanded(self, text: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise ValueError(f"its patterns are nested more than {_DEEPEST} deep, or endlessly")
        parts: list[str] = []
        end = 0
        for found in _NAMED.finditer(text):
            parts += text[end : found.start()], self._named(found, text, depth)
            end = found.end()
        parts.append(text[end:])
        whole = "".join(parts)
        self._size += len(whole)
        if self._size > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} characters with all patterns that it names")
        return whole

    def _named(self, found: re.Match[str], text: str, depth: int) -> str:
        name, field, kind = found["name"], found["field"], found["kind"] or "string"
        if kind not in _KINDS:
            raise ValueError(f"{found[0]} has the type {kind!r}: it may be int, float or string")
        group = self._group(field, kind) if field else ""
        if name in self._own:
            inner = f"(?:{self._expanded(self._own[name], depth + 1)})"
        elif name in _UNTIL:
            inner = _until(_UNTIL[name], text[found.end() :], lazily=name == "DATA")
        elif name in (patterns := shipped()):
            inner = f"(?>{self._expanded(patterns[name], depth + 1)})"
        else:
            known = {*self._own, *_UNTIL, *shipped()}
            raise ValueError(f"there is no pattern {name[:50]!r}{did_you_mean(name[:50], known)}")
        return f"(?P<{group}>{inner})" if group else inner

    def _group(self, field: str, kind: str) -> str:
        """The name in the regular expression of a field: `user.name`, or as in Logstash `[user][name]`."""
        if len(self._fields) >= _MOST_FIELDS:
            raise ValueError(f"it has more than {_MOST_FIELDS} fields")
        names = _BRACKETS.findall(field)
        path = ".".join(names) if "".join(f"[{one}]" for one in names) == field else field
        self._fields.append((path, _KINDS[kind]))
        return f"g{len(self._fields) - 1}"

    def found(self, text: str) -> dict[str, Any]:
        """The fields of a text.

        Raises:
            ValueError: it does not match as a whole, or a number is none.
        """
        match = self._regex.fullmatch(text)
        if not match:
            raise ValueError("the grok pattern does not match")
        fields: dict[str, Any] = {}
        for number, (path, convert) in enumerate(self._fields):
            value = match[f"g{number}"]
            if value is not None:
                fields = (
                    with_value(fields, path, convert(value))
                    if "." in path
                    else {**fields, path: convert(value)}
                )
        return fields


def _until(made_of: str, rest: str, *, lazily: bool) -> str:
    """What ends before the text that follows in the pattern, or takes all if nothing does."""
    if not rest:
        return f"{made_of}*+"
    following = _TEXT.match(rest)
    if following:
        return f"(?>{made_of}*?(?={following[0]}))"
    return f"{made_of}*{'?' if lazily else ''}"
