"""The filter Key beside the original: every pattern and name means the same, or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from message_passing.filters.key import KeyFilter
from support import Kept, perl

pytestmark = pytest.mark.perl("Message::Passing::Filter::Key")

PROGRAM = r"""
use Message::Passing::Filter::Key;
use Message::Passing::Output::Test;
use JSON::MaybeXS;
my $json = JSON::MaybeXS->new(utf8 => 1);
local $/;
my $given = $json->decode(<STDIN>);
my @rows;
for my $pattern (@{ $given->{patterns} }) {
    push @rows, [map {
        my $end = Message::Passing::Output::Test->new;
        Message::Passing::Filter::Key->new(
            key => $given->{key}, match => $pattern, match_type => "regex", output_to => $end,
        )->consume($_);
        $end->message_count ? 1 : 0
    } @{ $given->{messages} }];
}
print $json->encode(\@rows);
"""

PATTERNS = [
    *(
        f"^[[:{name}:]]$"
        for name in ("digit", "space", "blank", "cntrl", "xdigit", "upper", "lower", "ascii")
    ),
    *(
        f"^[[:^{name}:]]$"
        for name in ("digit", "space", "blank", "cntrl", "xdigit", "upper", "alpha", "punct")
    ),
    *(f"^[[:{name}:]]$" for name in ("alpha", "alnum", "punct", "graph", "print", "word")),
    *(
        r"a[[:alpha:]-]b",
        r"a[[:punct:]-z]b",
        r"a[+-[:digit:]]b",
        r"a[^[:alpha:]]b",
        r"a[\d-z]b",
        r"[[:alpha:][:digit:]_]b",
    ),
    *(r"a\vb", r"a\Vb", r"a\hb", r"a\Hb", r"a[\h-]b", r"a[\v]b", r"a[\V]b", r"a[^\h]b", r"a\Rb", r"a\Nb"),
    *(r"error\Z", r"error\z", r"error$", r"^error", r"\Aerror", r"a.b", r"(?s)a.b", r"(?m)^b$"),
    *(
        r"(?<n>a)\k<n>",
        r"(?<n>a)\k{n}",
        r"(?<n>a)\g{n}",
        r"(?P<n>a)(?P=n)",
        r"(a)\1",
        r"(a)\g1",
        r"(a)(b)\g{-2}",
    ),
    *(
        r"\x{e9}",
        r"[\x{e0}-\x{ff}]",
        r"\x41",
        r"\e",
        r"[\e]",
        r"a[[]b",
        r"a[]]b",
        r"a[^]]b",
        r"a[&&]b",
        r"a[b||c]",
        r"a[~~]b",
    ),
    *(
        r"a++b",
        r"(?>a+)b",
        r"(?i)ERROR",
        r"\bb",
        r"\/",
        r"\-",
        r"a{2,}",
        r"(?:a|b)c",
        r"(?<=a)b",
        r"(?<!a)b",
        r"(?!a)b",
    ),
]
CHARACTERS = [
    "a",
    "Z",
    "0",
    "_",
    "-",
    " ",
    "\t",
    "\v",
    "\x00",
    "\x7f",
    "\x85",
    "\xa0",
    "é",
    "É",
    "ß",
    "Ж",
    "中",
    "٣",
    "€",
    "+",
    "!",
]
CHARACTERS += ["\u2028", "\u3000", "Ⅷ", "\U0001f600", "\u0378", "|", "«", "\uff21"]
TEXTS = [
    *(one for one in CHARACTERS if one != "0"),  # which is false in Perl, and never matches there
    *(f"a{one}b" for one in [*CHARACTERS, "\n", "\r", "\r\n", "\n\n", "[", "]", "&", "~", "z", "5"]),
    *("error", "error\n", "error\n\n", "an error", "aa", "ab", "aba", "aab", "ac", "bc", "\x1b", "/", "A"),
]


def ours(pattern: str, key: str, messages: list[Any]) -> list[int]:
    """Which of the messages pass."""
    end = Kept()
    found = KeyFilter(key=key, match=pattern, match_type="regex", output_to=end)
    return [len(found.filter_many([message])) for message in messages]


def test_patterns() -> None:
    """POSIX classes, Perl's escapes, names and numbers of groups, sets with odd members."""
    messages = [{"a": text} for text in TEXTS]
    given = json.dumps({"patterns": PATTERNS, "key": "a", "messages": messages})
    theirs = json.loads(perl(PROGRAM, given=given.encode()))
    wrong = {}
    for pattern, row in zip(PATTERNS, theirs, strict=True):
        other = [
            text
            for text, one, two in zip(TEXTS, ours(pattern, "a", messages), row, strict=True)
            if one != two
        ]
        if other:
            wrong[pattern] = [*map(ascii, other)]
    assert wrong == {}


def test_dotted_names() -> None:
    """What is a dict's own name with a dot in it is found here only; all else is the same."""
    messages: list[Any] = [
        *({"a": {"b": "x"}}, {"a": {"b": {"c": "x"}}}, {"a": "x"}, {"a": {"b": ["x"]}}, {"a": {"b": None}}),
        *({"a": {"b": "y"}}, {}, {"b": "x"}, {"a": [{"b": "x"}]}, {"a": {"b": 5}}),
    ]
    given = json.dumps({"patterns": ["x|5"], "key": "a.b", "messages": messages})
    assert json.loads(perl(PROGRAM, given=given.encode())) == [ours("x|5", "a.b", messages)]
