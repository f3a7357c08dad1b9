"""What breaks a line or orders a terminal about is written as an escape."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.escaping import (
    ascii_json,
    escape_breaks,
    escape_control,
    escape_json,
    escape_lines,
    has_breaks,
    one_line,
)

PLANES = (0, 1, 14)
"""Where Unicode has such characters; the others are of letters or empty."""

EVERY = [chr(n) for p in PLANES for n in range(p << 16, p + 1 << 16) if unicodedata.category(chr(n)) != "Cn"]


def test_every_character_of_these_categories_is_escaped_and_no_other() -> None:
    """Controls, formats, surrogates and separators, as this Python's Unicode has them; the tab stays."""
    escaped = {c for c in EVERY if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\t"}
    for escape in (escape_control, lambda text: escape_json(text.replace("\n", "\\n"))):
        assert {c for c in EVERY if escape(c) != c} == escaped
        assert all(escape(c).isprintable() and escape(c).isascii() for c in escaped)
    assert {c for c in EVERY if escape_lines(c) != c} == escaped - {"\n"}


@given(st.text(st.characters(codec=None)))
def test_json_stays_the_same(text: str) -> None:
    """What is escaped as JSON does is read again as it was, and all in ASCII for who asks for that."""
    written = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(escape_json(written)) == {text: [text]}
    assert json.loads(ascii_json(written)) == json.loads(json.dumps({text: [text]}))
    assert set(ascii_json(written)) <= {*map(chr, range(32, 127))}


def test_a_long_line_is_cut() -> None:
    """Whatever is told is bounded, and says that it was cut."""
    assert one_line("x" * 10_000_000, 10) == "x" * 10 + "..."
    assert one_line("\n" * 10, 10) == "\\n" * 5 + "..."
    assert one_line("short") == "short"


BREAKING = st.sampled_from([*'ab{"\\\u00e9\u2019\x85\u2028\u2029\v\f\x1c\x1d\x1e\r\n', "\r\n", "\u0445"])


@given(st.lists(st.lists(BREAKING, max_size=6).map("".join), max_size=5))
def test_a_line_is_one_for_every_reader(texts: list[str]) -> None:
    """What is found and escaped is exactly what `splitlines` would break."""
    lines = [text.encode() for text in texts]
    block = b"".join(line + b"\n" for line in lines)
    assert has_breaks(block, len(lines)) == (len(block.decode().splitlines()) != len(lines))
    escaped = b"".join(escape_breaks(line) + b"\n" for line in lines)
    assert len(escaped.decode().splitlines()) == len(lines)
    assert not has_breaks(escaped, len(lines))


@given(st.binary())
def test_bytes_that_are_no_text(data: bytes) -> None:
    """They come through, but for what breaks lines."""
    assert b"\n" not in escape_breaks(data)
    assert not has_breaks(escape_breaks(data) + b"\n", 1)
    if not has_breaks(data + b"\n", 1):
        assert escape_breaks(data) == data


@pytest.mark.parametrize("data", [b"a\nb", b"a\r\nb\r\n", b"\n\n"])
def test_newlines_may_stay(data: bytes) -> None:
    """For a message that has lines of its own on purpose."""
    assert escape_breaks(data, newlines=False) == data
