"""Passing on by a key's value."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.errors import OptionError
from message_passing.filters.key import KeyFilter
from support import Kept, accounted_for


def passes(message: Any, **given_options: Any) -> bool:
    """Whether a filter with these options passes the message on, itself."""
    end, errors = Kept(), Kept()
    key = KeyFilter(**given_options, output_to=end, error=errors)
    key.consume(message)
    assert errors.messages == []
    assert accounted_for(key)
    assert all(passed is message for passed in end.messages)
    return bool(end.messages)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("a", "a"), ("", ""), ("0", "0"), (0, "0"), (0, 0), (404, "404"), ("404", 404), (1.5, "1.5"),
        (1.5, 1.5), (True, "true"), (False, "false"), (False, False), (2**70, str(2**70)),
        ("line\n", "line\n"),
    ],
)  # fmt: skip
def test_equal_values_pass(value: Any, match: Any) -> None:
    """False values and numbers are values like any other; numbers are compared by their JSON text."""
    assert passes({"key": value}, key="key", match=match)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("ab", "a"), ("a", "A"), ("a\n", "a"), ("", "0"), (1, "1.0"), (1.0, "1"), (None, "null"), (None, ""),
        (True, "1"), ({}, "{}"), ([], "[]"), (["a"], "a"), (b"a", "a"), ("a.c", "abc"), ("abc", "a.c"),
    ],
)  # fmt: skip
def test_other_values_are_filtered_out(value: Any, match: Any) -> None:
    """`eq` compares the whole text, and takes `match` for no pattern; null, lists and dicts equal nothing."""
    assert not passes({"key": value}, key="key", match=match)


@pytest.mark.parametrize(
    ("value", "match", "expected"),
    [
        ("an error here", "error", True),
        ("an error here", "^error", False),
        ("0", "^0$", True),
        ("", "^$", True),
        (503, "^5\\d\\d$", True),
        (404, "^5\\d\\d$", False),
        (True, "^t", True),
        ("Fatal", "(?i)^(?:fatal|error)$", True),
    ],
)
def test_a_regex_is_found_anywhere(value: Any, match: str, expected: bool) -> None:
    """Unless it says where it begins."""
    assert passes({"key": value}, key="key", match=match, match_type="regex") is expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"a": {"b": {"c": "x"}}}, True),
        ({"a.b.c": "x"}, True),
        ({"a.b": {"c": "x"}}, True),
        ({"a": {"b.c": "x"}}, True),
        ({"a": {"b": "x"}}, False),
        ({"a": {"b": {"c": "y"}}}, False),
        ({"a": {"b": ["c"]}}, False),
        ({"a": "b.c"}, False),
        ({"a.b.c": "y", "a": {"b": {"c": "x"}}}, False),
        ({"a": {"b": None}, "a.b": {"c": "x"}}, True),
        ({}, False),
    ],
)
def test_a_dot_leads_into_a_dict_or_is_part_of_the_key(message: Any, expected: bool) -> None:
    """A key that is spelt with the dot is meant when there is one."""
    assert passes(message, key="a.b.c", match="x") is expected


@pytest.mark.parametrize("message", ["key", b"key", 5, ["key"], ""])
def test_what_is_no_dict_has_no_keys(message: Any) -> None:
    """It is filtered out, and is no failure."""
    assert not passes(message, key="key", match="key")


@pytest.mark.parametrize("word", ["EQ", "regexp", "", None, 1])
def test_match_type_is_checked(word: Any) -> None:
    """The original took any word and meant `eq`."""
    with pytest.raises(OptionError, match="option 'match_type' must be 'eq' or 'regex'"):
        KeyFilter(key="a", match="b", match_type=word)


def test_a_bad_regex_is_told_with_its_position() -> None:
    """When the filter is made, not at the first message."""
    with pytest.raises(OptionError) as caught:
        KeyFilter(key="a", match="ab[c", match_type="regex")
    assert str(caught.value) == (
        "match: Key filter: option 'match', 'ab[c', is not a regular expression: "
        "unterminated character set at position 2"
    )


def test_a_pattern_is_no_mistake_for_eq() -> None:
    """Only a regex must be one."""
    assert passes({"a": "[x"}, key="a", match="[x")


def test_key_and_match_are_required() -> None:
    """And a key is not empty."""
    given_options: dict[str, Any] = {"key": ""}
    with pytest.raises(OptionError) as caught:
        KeyFilter(**given_options)
    assert [fault.text for fault in caught.value.faults] == [
        "Key filter: option 'key' must be non-empty str, not ''",
        "Key filter needs the option 'match' (str or int or float or bool)",
    ]


@given(st.text(min_size=1), st.text(), st.dictionaries(st.text(), st.text()))
def test_whatever_the_key_an_equal_text_passes(key: str, value: str, others: dict[str, str]) -> None:
    """Dots, empty parts and all."""
    assert passes({**others, key: value}, key=key, match=value)
    assert not passes({**others, key: value + "x"}, key=key, match=value)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("\\p{Lu}", "\\p is Perl's: Python's regular expressions have no such thing"),
        ("a\\Kb", "\\K is Perl's"),
        ("\\N{U+41}", "\\N{...} is Perl's"),
        ("\\b{wb}a", "\\b{...} is Perl's"),
        ("\\x{zz}", "\\x{zz} is Perl's"),
        ("\\u1234", "\\u is Perl's"),
        ("[\\N]", "\\N in [...] is Perl's"),
        ("[[:alfa:]]", "there is no class [:alfa:]: there are alpha, digit, alnum"),
        ("(?R)", "unknown extension ?R"),
        ("(?<n>a", "missing ), unterminated subpattern"),
        ("a{1,2}{3}", "multiple repeat"),
        ("^[[:alpha:]+$", "unterminated character set at position 1; a class as [:alpha:] stands within"),
        ("[^[:digit:]", "unterminated character set at position 0; a class"),
        ("(?xx)[a b]", "(?xx is Perl's"),
        ("(?ixx:[a b])", "(?ixx is Perl's"),
        ("(?#\\R", "missing ), unterminated comment"),
    ],
)
def test_what_python_has_nothing_for_is_refused(pattern: str, said: str) -> None:
    """In words, when the filter is made: a pattern that is read in another way would pass other messages."""
    with pytest.raises(OptionError, match=re.escape(said)):
        KeyFilter(key="a", match=pattern, match_type="regex")


@pytest.mark.parametrize(
    ("pattern", "found", "others"),
    [
        ("^f{ 2 }$", ["ff"], ["f{ 2 }", "f"]),
        ("^f{ 1, 2 }$", ["f", "ff"], ["fff", "f{ 1, 2 }"]),
        ("^f{ , 2 }$", ["", "f", "ff"], ["fff"]),
        ("^f{ 2,\t}$", ["ff", "fff"], ["f"]),
        ("^f{ 2 x}$", ["f{ 2 x}"], ["ff"]),
        ("^f\\{ 2 }$", ["f{ 2 }"], ["ff"]),
        ("^[{ 2 }]$", [" ", "{", "2"], ["{ 2 }"]),
        ("(?#[(a)f{2}", ["ff"], ["f"]),
    ],
)
def test_spaces_in_a_quantifier_are_as_in_perl(pattern: str, found: list[str], others: list[str]) -> None:
    """Since Perl 5.34 it is one, perlre(1); in a set, behind a backslash and in a comment it is none."""
    assert all(passes({"a": one}, key="a", match=pattern, match_type="regex") for one in found)
    assert not any(passes({"a": one}, key="a", match=pattern, match_type="regex") for one in others)
