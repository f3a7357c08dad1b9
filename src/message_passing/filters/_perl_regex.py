r"""Perl's regular expressions (perlre(1), perlrecharclass(1), perlrebackslash(1)) in Python's syntax.

What Python would interpret differently is translated, and what it does not support is refused: a pattern that is
misread would silently pass other messages.

    \Z \z            the end, with and without a newline that may follow; Python's \Z is Perl's \z
    \h \H \v \V      horizontal and vertical space; Python's \v is one character of these
    \N \R \e \x{..}  what is no newline, any line break, escape, a character by its number
    [[:alpha:]]      POSIX classes, also negated, of all of Unicode
    (?<n>..) \k<n>   named groups; \g1 \g{1} \g{-1} are groups by number
    {2} { 2, 3 }     quantifiers, with spaces in them as since Perl 5.34
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from message_passing.conditions.python_warnings import python_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def compile_perl(pattern: str) -> re.Pattern[str]:
    """A pattern as Perl reads it.

    Raises:
        ValueError: it is malformed, or has something that Python's regular expressions do not support.
    """
    return compiled(in_python(pattern))


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern in Python's syntax; one that another version of Python would interpret differently is refused.

    Raises:
        ValueError: it is not a regular expression.
    """
    try:
        with python_warnings("error"):
            return re.compile(pattern)
    except (re.error, Warning, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def in_python(pattern: str) -> str:
    """The pattern in Python's syntax.

    Raises:
        ValueError: Python has no equivalent.
    """
    groups = 0

    def translated(token: re.Match[str]) -> str:
        nonlocal groups
        text = token[0]
        if text == "[":
            if "[:" in pattern[token.start() :]:  # Python would take the class's bracket for the set's
                hint = "a class as [:alpha:] stands within those of a set: [[:alpha:]]"
                raise ValueError(f"unterminated character set at position {token.start()}; {hint}")
            return text
        if text.startswith("["):
            return _set(text)
        if text.startswith("{"):
            return text.replace(" ", "").replace("\t", "")
        if text.startswith("(?#"):
            return text
        if text.endswith("xx"):
            raise _not_in_python(text)
        if text.startswith("("):
            groups += 1
            return "(?P<" if text.startswith("(?") else text
        return _escape(text, groups)

    return _TOKEN.sub(translated, pattern)


_TOKEN = re.compile(
    r"""
    \\ (?: x\{[^}]*\} | [gk](?:\{[^}]*\}|<[^>]*>|'[^']*'|-?\d+) | [bBN]\{ | . )
    | \[ (?: \^? \]? (?: \\. | \[:\^?\w+:\] | \[([.=]).*?\1\] | [^\]\\] )*+ \] )?
    | \{ [ \t]* (?: \d+ [ \t]* (?: , [ \t]* \d* )? | , [ \t]* \d+ ) [ \t]* \}
    | \(\?\#[^)]*
    | \(\?[a-z]*xx
    | \(\?P?< (?=[A-Za-z_])
    | \( (?![?*])
    """,
    re.VERBOSE | re.DOTALL,
)

_VERTICAL = "\n\v\f\r\x85\u2028\u2029"
_HORIZONTAL = (
    "\t \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)

_TRANSLATED = {r"\z": r"\Z", r"\Z": r"(?=\n?\Z)", r"\N": r"[^\n]", r"\e": r"\x1b"}
_REFUSED = frozenset("XKGQEULlupPoCcgk")  # after a backslash; `u` and `U` are Perl's for letters in capitals
_IN_SETS = {"h": _HORIZONTAL, "H": _HORIZONTAL, "v": _VERTICAL, "V": _VERTICAL}


def _escape(text: str, groups: int) -> str:
    """Translate an escape sequence outside of a set."""
    letter = text[1]
    if letter in _IN_SETS and len(text) == 2:
        return f"[{_negated(letter)}{_members(_IN_SETS[letter])}]"
    if text == r"\R":
        return f"(?>\\r\\n|[{_members(_VERTICAL)}])"
    if text in _TRANSLATED:
        return _TRANSLATED[text]
    if text.startswith(r"\x{"):
        return _by_number(text)
    if letter in "gk" and len(text) > 2:
        return _reference(text, groups)
    if letter in _REFUSED or (len(text) > 2 and letter in "bBN"):
        raise _not_in_python(text + ("...}" if text.endswith("{") else ""))
    return text


def _by_number(text: str) -> str:
    try:
        return f"\\U{int(text[3:-1].strip(), 16):08x}"
    except ValueError:
        raise _not_in_python(text) from None


def _reference(text: str, groups: int) -> str:
    name = text[2:].strip("{}<>'")
    if re.fullmatch(r"-\d+", name):
        name = str(groups + 1 + int(name))
    if re.fullmatch(r"[1-9]\d?", name):
        return f"(?:\\{name})"  # no digit that follows belongs to it
    if name.isidentifier():
        return f"(?P={name})"
    raise _not_in_python(text)


def _negated(letter: str) -> str:
    return "^" if letter.isupper() else ""


def _not_in_python(text: str) -> ValueError:
    return ValueError(f"{text} is Perl's: Python's regular expressions have no such thing")


def _set(text: str) -> str:
    """Translate a set in brackets."""
    if text == "[":
        raise ValueError(
            "a [ has no ] (a class as [:alpha:] has brackets of its own within those of the set)"
        )
    negated = "^" if text.startswith("[^") else ""
    found = list(_MEMBER.finditer(text[1 + len(negated) : -1]))
    parts = list(map(_member, found))
    for place, member in enumerate(found):
        # Beside a class, `-` makes no range: it is itself.
        if member[0] == "-" and any(map(_is_class, found[max(0, place - 1) : place + 2])):
            parts[place] = r"\-"
    return f"[{negated}{''.join(parts)}]"


_MEMBER = re.compile(r"\\x\{[^}]*\}|\\.|\[:(?P<not>\^?)(?P<name>\w+):\]|\[([.=]).*?\3\]|.", re.DOTALL)


def _is_class(found: re.Match[str]) -> bool:
    return bool(found["name"]) or (found[0][0] == "\\" and found[0][1:] in ("h", "H", "v", "V", *"dDwWsS"))


def _member(found: re.Match[str]) -> str:
    text = found[0]
    if name := found["name"]:
        if name not in _CLASSES:
            raise ValueError(f"there is no class {text}: there are {', '.join(_CLASSES)}")
        return _class(name, negated=bool(found["not"]))
    if len(text) > 1 and text[0] == "[":
        raise _not_in_python(text)  # reserved in Perl, too
    if len(text) == 1:
        # What a future Python may take for a set operation, and warns of.
        return f"\\{text}" if text in "[]&|~" else text
    letter = text[1]
    if text.startswith(r"\x{"):
        return _by_number(text)
    if letter in _IN_SETS:
        return _ranges(_IN_SETS[letter].__contains__, negated=letter.isupper())
    if letter == "e":
        return r"\x1b"
    if letter in _REFUSED or letter in "NRzZAB":
        raise _not_in_python(f"{text} in [...]")
    return text


def _members(characters: str) -> str:
    return "".join(map(_spelt, map(ord, characters)))


_WIDE = "\uff21\uff22\uff23\uff24\uff25\uff26\uff41\uff42\uff43\uff44\uff45\uff46"


def _is_letter(c: str) -> bool:
    # Perl counts some combining marks among the letters; Python's data does not say which.
    return unicodedata.category(c)[0] == "L" or unicodedata.category(c) == "Nl" or c.isupper() or c.islower()


# perlrecharclass(1), "POSIX Character Classes": the full-range Unicode column.
_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": _is_letter,
    "digit": lambda c: unicodedata.category(c) == "Nd",
    "alnum": lambda c: _is_letter(c) or unicodedata.category(c) == "Nd",
    "upper": str.isupper,
    "lower": str.islower,
    "space": lambda c: c in _HORIZONTAL + _VERTICAL,
    "blank": lambda c: c in _HORIZONTAL,
    "cntrl": lambda c: unicodedata.category(c) == "Cc",
    "graph": lambda c: c not in _HORIZONTAL + _VERTICAL and unicodedata.category(c) not in ("Cc", "Cs", "Cn"),
    "print": lambda c: c not in _VERTICAL and unicodedata.category(c) not in ("Cc", "Cs", "Cn"),
    "punct": lambda c: unicodedata.category(c)[0] == "P" or c in "$+<=>^`|~",
    "xdigit": lambda c: c in "0123456789abcdefABCDEF" or "\uff10" <= c <= "\uff19" or c in _WIDE,
    "word": lambda c: unicodedata.category(c)[0] in "LM" or unicodedata.category(c) in ("Nl", "Nd", "Pc"),
    "ascii": str.isascii,
}


@cache
def _class(name: str, *, negated: bool) -> str:
    return _ranges(_CLASSES[name], negated=negated)


def _ranges(is_member: Callable[[str], bool], *, negated: bool) -> str:
    """The members of a set, searching all of Unicode: takes a quarter of a second, where it is needed."""
    return "".join(
        _spelt(first) if first == last else f"{_spelt(first)}-{_spelt(last)}"
        for first, last in _runs(is_member, negated=negated)
    )


def _runs(is_member: Callable[[str], bool], *, negated: bool) -> Iterator[tuple[int, int]]:
    first = None
    for code in range(sys.maxunicode + 1):
        if is_member(chr(code)) is not negated:
            first = code if first is None else first
        elif first is not None:
            yield first, code - 1
            first = None
    if first is not None:
        yield first, sys.maxunicode


def _spelt(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
