"""Text that breaks no line and gives no terminal an order: the one place that says how such characters are written.

What comes from a message, a peer, a file's name or a configuration passes through here on its way to a terminal or
to standard error, and what is written in lines on its way to them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_LINE = 4096
"""Characters of a line that tells a person something; what is beyond them is cut, and the cut is marked."""

# What is written as an escape, and the newline where a text is one line; the tab stays:
# - Unicode's categories Cc, Cf, Cs, Zl and Zp: controls (C0, DEL, C1), what is invisible or turns the order of
#   letters round (zero-width characters, byte order mark, bidi marks, tags), lone surrogates, separators;
# - its property Default_Ignorable_Code_Point (DerivedCoreProperties.txt), which is what shows as nothing: joiners,
#   fillers, variation selectors, and what is kept free for more of them;
# - others that are blank without being spaces (an empty braille cell, a null note head, a Khitan filler);
# - private use, which looks different everywhere, or like something else, and the noncharacters of the first plane.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_unsafe = re.compile(f"[\n{_UNSAFE}]")
_unsafe_but_newlines = re.compile(f"[{_UNSAFE}]")
_not_ascii = re.compile("[^\t\n -~]")

# All that some reader takes for the end of a line: what Python's `str.splitlines` does. A carriage return at the very
# end is none of these: with the newline after it, it ends the line as on Windows.
_breaks = re.compile(rb"[\n\v\f\x1c-\x1e]|\r(?!\Z)|\xc2\x85|\xe2\x80[\xa8\xa9]")
_breaks_but_newlines = re.compile(rb"[\v\f\x1c-\x1e]|\r(?![\n]|\Z)|\xc2\x85|\xe2\x80[\xa8\xa9]")
SEPARATORS = ("\x85", "\u2028", "\u2029")
"""The line breaks that may stand in JSON text as they are: NEL, and the separators of lines and paragraphs."""

_nel, _separator = re.compile(rb"\xc2\x85"), re.compile(rb"\xe2\x80[\xa8\xa9]")

_RARE = 256
"""A byte is rare that is found once in so many, at most."""

_PIECE = 1 << 16
"""Bytes of a block that are looked at in a copy of their own."""

_LF, _CR, _VT, _FF, _FS, _GS, _RS = b"\n\r\v\f\x1c\x1d\x1e"  # numbers are found faster than bytes of one

_SHORT = {"\n": "\\n", "\r": "\\r", "\x1b": "\\e"}
_SHORT_IN_JSON = {"\n": "\\n", "\r": "\\r", "\f": "\\f"}


def escape_control(text: str) -> str:
    r"""The text, on one line, with all that a terminal would obey or not show written as an escape: `\e[2J`."""
    return text if text.isascii() and text.isprintable() else _unsafe.sub(_spelt, text)


def escape_lines(text: str) -> str:
    """As `escape_control`, of a text of several lines: its newlines stay."""
    return _unsafe_but_newlines.sub(_spelt, text)


def one_line(text: str, limit: int = LONGEST_LINE) -> str:
    """As `escape_control`, and not longer than that.

    Args:
        text: the text.
        limit: characters, before the mark of the cut.
    """
    escaped = escape_control(text[: limit + 1])
    return escaped if len(escaped) <= limit else f"{escaped[:limit]}..."


def escape_json(text: str) -> str:
    r"""JSON text in which such characters are written as JSON does: `\u001b[2J`. Newlines stay."""
    return _unsafe_but_newlines.sub(_spelt_in_json, text)


def ascii_json(text: str) -> str:
    """The text in printable ASCII, tabs and newlines: all else is written as JSON does, and JSON stays the same."""
    return _not_ascii.sub(_spelt_in_json, text)


def escape_breaks(line: bytes, *, newlines: bool = True) -> bytes:
    r"""The bytes with what ends a line for some reader written as JSON does: `\n`, `\u2028`.

    Args:
        line: text in UTF-8, or any bytes.
        newlines: False leaves newlines as they are.
    """
    return (_breaks if newlines else _breaks_but_newlines).sub(_spelt_in_bytes, line)


def has_breaks(block: bytes, lines: int) -> bool:
    """Whether a block has any line break but the newlines that end its lines.

    Args:
        block: lines, each followed by a newline.
        lines: how many.
    """
    if _newlines(block) != lines or (_CR in block and block.count(b"\r") != block.count(b"\r\n")):
        return True  # and the rest without a call more: it is asked for each batch
    return _has_controls(block) or has_separators(block)


def has_other_breaks(block: bytes) -> bool:
    """Whether a block of lines, each followed by a newline, has any line break that is no newline."""
    if _CR in block and block.count(b"\r") != block.count(b"\r\n"):
        return True
    return _has_controls(block) or has_separators(block)


def is_unbroken(messages: Sequence[bytes], size: int) -> bool:
    """Whether there is no line break at all in any, be it a newline, or one that may stand at the end of a line.

    It is asked for each batch that is written, so it looks for single bytes, which costs next to nothing: 0.1 us for
    each message of 250 bytes. What it says of messages without any is now and then wrong: if two make one together.

    Args:
        messages: a batch.
        size: how many bytes they are, about.
    """
    # A piece at a time: a second block beside the one that is written is more than the C library keeps when both are
    # freed (half a MiB at most), and it would then ask the system for every page anew: 0.3 us a message.
    some = len(messages) * _PIECE // (size or 1) or 1
    pieces = (messages[start : start + some] for start in range(0, len(messages), some))
    return not any(_has_any(b"".join(piece)) for piece in pieces)


def _has_any(text: bytes) -> bool:
    return _LF in text or _CR in text or _has_controls(text) or has_separators(text)


def _has_controls(text: bytes) -> bool:
    return _VT in text or _FF in text or _FS in text or _GS in text or _RS in text


def has_separators(block: bytes) -> bool:
    """Whether one of `SEPARATORS` is in it."""
    if 0xC2 in block and 0x85 in block and _has_after(block, 0xC2, 0, b"\x85", _nel):
        return True
    if 0xE2 not in block or 0x80 not in block or (0xA8 not in block and 0xA9 not in block):
        return False
    return _has_after(block, 0xE2, 1, b"\xa8\xa9", _separator)


def _has_after(block: bytes, first: int, distance: int, lasts: bytes, pattern: re.Pattern[bytes]) -> bool:
    """Whether a pattern is found, by its first byte, and its last ones, which stand so far behind the next."""
    # Where the first byte is rare, as in text with typographic quotes, this takes a third of what searching does.
    find, at = block.find, 0
    try:
        for _ in range(len(block) // _RARE):
            at = find(first, at) + 1
            if not at:
                return False
            if block[at + distance] in lasts and pattern.match(block, at - 1):
                return True
    except IndexError:  # the block ends within it
        return False
    return pattern.search(block, at) is not None


def _newlines(block: bytes) -> int:
    # What is left without them, and in pieces: a fifth of what counting takes, and of what one large copy does, for
    # which the system gives and takes back memory each time.
    pieces = (block[start : start + _PIECE] for start in range(0, len(block), _PIECE))
    return sum(len(piece) - len(piece.replace(b"\n", b"")) for piece in pieces)


def _spelt(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _spelt_in_json(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if code > 0xFFFF:  # a pair of surrogates: RFC 8259, section 7
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return _SHORT_IN_JSON.get(character) or f"\\u{code:04x}"


def _spelt_in_bytes(found: re.Match[bytes]) -> bytes:
    character = found[0].decode()
    return (_SHORT_IN_JSON.get(character) or f"\\u{ord(character):04x}").encode()
