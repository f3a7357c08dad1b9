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
    has_separators,
    is_unbroken,
    one_line,
)

PLANES = (0, 1, 14, 15)
"""Where Unicode has such characters; the others are of letters, empty, or like the last."""

EVERY = [chr(n) for p in PLANES for n in range(p << 16, p + 1 << 16)]

# https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, those that are in no category of controls
IGNORABLE = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u3164\uffa0",
    *map(chr, (*range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000))),
}
BLANK = {"\u2800", "\U00016fe4", "\U0001d159"}
NONCHARACTERS = {"\ufffe", "\uffff", *map(chr, range(0xFDD0, 0xFDF0))}
LATER = {*map(chr, range(0x13439, 0x13440))}
"""What has become a control in a later Unicode than that of some Python that we run on."""


def test_every_character_of_these_kinds_is_escaped_and_no_other() -> None:
    """Controls, formats, surrogates, separators, private use, and what shows as nothing; the tab stays."""
    kinds = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    escaped = {c for c in EVERY if unicodedata.category(c) in kinds} - {"\t"}
    escaped |= IGNORABLE | BLANK | NONCHARACTERS | LATER | {"\U000ffffe", "\U000fffff"}
    for escape in (escape_control, lambda text: escape_json(text.replace("\n", "\\n"))):
        assert {c for c in EVERY if escape(c) != c} == escaped
        assert all(escape(c).isprintable() and escape(c).isascii() for c in escaped)
    assert {c for c in EVERY if escape_lines(c) != c} == escaped - {"\n"}


@pytest.mark.parametrize("character", [*sorted(IGNORABLE | BLANK, key=ord)[::97], "\U000e0100", "\U0010fffd"])
def test_a_name_that_looks_like_another_is_told_from_it(character: str) -> None:
    """What shows as nothing is shown, in whatever text: none that is printable to Python goes by unseen."""
    for text in (f"we{character}b", f"{character}web", f"w\u00e9b{character}"):
        for escaped in (escape_control(text), escape_lines(text), escape_json(text), one_line(text)):
            assert character not in escaped
            assert "\\" in escaped


def test_letters_of_all_scripts_and_emoji_stay() -> None:
    """An emoji's variation selector is shown after it; the emoji itself stays."""
    for text in (
        "na\u00efve",
        "\u65e5\u672c\u8a9e",
        "\u0639\u0631\u0628\u064a",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\U0001f600",
        "e\u0301",
    ):
        assert escape_control(text) == text
    assert escape_control("\u2764\ufe0f") == "\u2764\\ufe0f"


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


@given(st.lists(st.lists(BREAKING, max_size=6).map("".join), max_size=5))
def test_what_is_seen_at_a_glance_is_not_broken(texts: list[str]) -> None:
    """The quick look at messages that are joined misses no break in any, and sees none where one alone has none."""
    lines = [text.encode() for text in texts]
    block = b"".join(line + b"\n" for line in lines)
    if is_unbroken(lines, len(block)):
        assert not has_breaks(block, len(lines))
    assert all(
        is_unbroken([line], len(line)) == (len(f"{text}x".splitlines()) == 1)
        for line, text in zip(lines, texts, strict=True)
    )


PIECES = [
    b"a" * 300,
    b"\x85",
    b"\xa8",
    b"\xe9",
    *(c.encode() for c in "\u00e9\u201c\u2588\xa0\x85\u2028\u2029"),
]
ENDS = [b"", b"\xc2", b"\xe2", b"\xe2\x80", b"\xe2\x80\xa8"]


@given(st.integers(0, 2000), st.lists(st.sampled_from(PIECES), max_size=30), st.sampled_from(ENDS))
def test_separators_are_found_in_text_with_few_and_with_many_like_them(
    before: int, pieces: list[bytes], end: bytes
) -> None:
    """However many quotes, frames or accents there are, and wherever the text is cut off, just these three count."""
    block = b" " * before + b"".join(pieces) + end
    assert has_separators(block) == any(s in block for s in (b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"))


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
