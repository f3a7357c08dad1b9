"""Which messages of a batch may have what `Redact` looks for: a few scans over all of them as JSON, instead of texts.

Only those that are found are then looked at field by field. What is searched for here is in the JSON of each message
that has the real thing: the characters that count (digits, `@`, letters, `-`, `.`, `:`) are not escaped in it.
Where that is not certain, as for bytes, which are Base64 in JSON, none is left out.

In JSON as it came, they may be escaped (RFC 8259, section 7: any by its code, and a slash by itself): lines with such
escapes are always found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.filters._personal import cards, emails
from message_passing.lines import line_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from message_passing.lines import LineBatch

_PIECE = 256
"""Messages that are searched at a time: their JSON mostly fits a processor's second cache."""

_DEEPEST = 8
"""Levels of nesting; what is nested more deeply is not searched here."""

_SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})
_CONTAINERS: frozenset[type] = frozenset({dict, list})
_FOLDED = [one.encode() for one in "\u00df\u017f\u1e9e\u212a\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"]
"""Letters that become ASCII when case is ignored, as the long s becomes `s`."""

_FOLDED_BY_FIRST = {first[:1]: [one for one in _FOLDED if one[:1] == first[:1]] for first in _FOLDED}

_PLAIN = bytes(range(256)).lower().translate(bytes.maketrans(b"123456789", b"0" * 9))
"""Letters become lower case, and digits `0`."""

_NOT_PLAIN = b" -"
"""What may stand between the digits of a card."""

_MARKS = bytes.maketrans(b"E,[]{}", b"e:::::")
_NO_MARKS = bytes({*range(256)} - {*b'\n"eE,:[]{}tf'})
"""What is left is what parts values, quotes, the letters of exponents, and what `true` and `false` begin with: a
number with an exponent is `e` between two colons."""

_ESCAPES = (b"\\u", b"\\/")
"""Of characters that also stand for themselves."""

_Confirms = Callable[[bytes], object]
_Hay = tuple[str, bytes, "_Confirms | None"]
"""What is searched (a name of `_HAYS`), for what, and what must be true of the line besides."""

_HAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda text: text,
    "lower": bytes.lower,
    "plain": lambda text: text.translate(
        _PLAIN, _NOT_PLAIN
    ),  # for digits, and for names where these are sought
    "marks": lambda text: text.translate(_MARKS, _NO_MARKS),
    "dots": lambda text: text.translate(None, b"0123456789"),
    "colons": lambda text: text.translate(None, b"0123456789abcdefABCDEF."),
}

_has_exponent = re.compile(rb"[:,\[\s]-?[0-9][0-9.]*[eE]\+?[0-9]").search
_may_be_rounded = re.compile(rb"[2-6][0-9]{12,}(?:\.[0-9]|[eE]-)").search
"""A number whose digits may be others once it is a float."""

_CONTROL = re.compile(rb"\\u00[0-9a-f]{2}")
"""How a control character is escaped, after whose code the digits of a card may follow."""


def _has_card(line: bytes) -> bool:
    if any(cards(line.decode())) or _may_be_rounded(line):
        return True
    # Not instead of the above: after an escaped backslash, it is no escape.
    return b"\\u" in line and any(cards(_CONTROL.sub(b"x", line).decode()))


def _has_email(line: bytes) -> bool:
    return any(emails(line.decode()))


_IPV4 = re.compile(rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_URL = re.compile(rb"://[^/]*@")
_TOKENS = b"bearer |basic |eyj|akia|asia|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|xox|sk-|-----begin "

_SIGNS: dict[str, list[_Hay]] = {
    "card": [("plain", b"0" * 13, _has_card), ("marks", b":e:", _has_exponent)],
    "email": [("as it is", b"@", _has_email)],
    "ip": [("dots", b"...", _IPV4.search), ("as it is", b"::", None), ("colons", b"::::::", None)],
    "token": [("as it is", b"://", _URL.search), *(("lower", one, None) for one in _TOKENS.split(b"|"))],
}


class Suspects:
    """Finds messages that may have one of these fields or kinds of data."""

    def __init__(self, names: Iterable[str], patterns: Iterable[str]) -> None:
        """Prepare the search.

        Args:
            names: of fields, with case folded; of a dotted one, its last part counts.
            patterns: keys of `_personal.FINDERS`.
        """
        patterns = [*patterns]
        self._encode = msgspec.json.Encoder().encode_lines
        self._signs = [sign for one in patterns for sign in _SIGNS[one]]
        lasts = {one.rpartition(".")[2] for one in names}
        self._ascii = all(map(str.isascii, lasts))
        self._names = [msgspec.json.encode(one)[1:] for one in lasts]
        # One text for both, unless tokens need the other one anyway.
        self._in = "plain" if "card" in patterns and "token" not in patterns else "lower"
        self._as_there = [_HAYS[self._in](one) for one in self._names]

    def of(self, messages: Sequence[Any]) -> Sequence[int]:
        """The numbers of those messages that must be looked at, ascending."""
        found: list[int] = []
        for begin in range(0, len(messages), _PIECE):
            found += [begin + one for one in self._in_piece(messages[begin : begin + _PIECE])]
        return found

    def of_lines(self, lines: LineBatch) -> Sequence[int]:
        """The numbers of those lines, each a JSON text in UTF-8, that must be looked at, ascending."""
        found = self._in_text(lines.block, lines)
        if b"\\" in lines.block:
            for escaped in _ESCAPES:
                _search(lines.block, escaped, found)
        return sorted(found)

    def _in_piece(self, messages: Sequence[Any]) -> Iterable[int]:
        everyone = range(len(messages))
        types = _types(messages)
        if types is None or float in map(type, messages):
            return everyone
        try:
            text = self._encode(messages)
        except Exception:  # noqa: BLE001 - a text that is not Unicode, or a key that JSON does not know
            return everyone
        return sorted(self._in_text(text, (), floats=float in types))

    def _in_text(self, text: bytes, lines: Sequence[bytes], *, floats: bool = True) -> set[int]:
        """The numbers of lines in which something is found.

        Args:
            text: the lines.
            lines: likewise, if they have been split.
            floats: whether there may be numbers with an exponent.
        """
        found: set[int] = set()
        hays: dict[str, bytes] = {}

        def hay_of(kind: str) -> bytes:
            if (hay := hays.get(kind)) is None:
                hay = hays[kind] = _HAYS[kind](text)
            return hay

        if self._names and (not self._ascii or _folds(text)):
            folded = text.decode().casefold().encode()
            for name in self._names:
                _search(folded, name, found)
        elif self._names:
            for name in self._as_there:
                _search(hay_of(self._in), name, found)
        for kind, needle, confirms in self._signs:
            if confirms is _has_exponent and not floats:
                continue
            there: set[int] = set()
            _search(hay_of(kind), needle, there)
            if confirms and there:
                lines = lines or text.split(b"\n")
                there = {one for one in there if confirms(lines[one])}
            found |= there
        return found


def _folds(text: bytes) -> bool:
    """Whether it has a letter of `_FOLDED`. Single bytes are found many times as fast as letters."""
    if text.isascii():
        return False
    there = (letters for first, letters in _FOLDED_BY_FIRST.items() if first in text)
    return any(one[-1:] in text and one in text for letters in there for one in letters)


def _types(messages: Sequence[Any]) -> set[type] | None:
    """The types of all values at any depth; None if some are not of JSON, or nested too deeply."""
    found: set[type] = set()
    level: Iterable[Any] = messages
    for _ in range(_DEEPEST):
        here = {*map(type, level)}
        found |= here
        if not here - _SCALARS:
            return found
        if here - _SCALARS - _CONTAINERS:
            return None
        if here == {dict}:
            values = [*chain.from_iterable(map(dict.values, level))]
        else:
            inner = [one for one in level if type(one) is dict or type(one) is list]
            values = [*chain.from_iterable(one.values() if type(one) is dict else one for one in inner)]
        level = values
    return None


def _search(text: bytes, needle: bytes, found: set[int]) -> None:
    """Add the numbers of the lines that have it."""
    at, line, start = text.find(needle), 0, 0
    while at >= 0:
        line += line_count(text[start:at])
        found.add(line)
        start = text.find(b"\n", at)
        at = text.find(needle, start)
