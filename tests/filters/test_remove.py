"""The filter Remove, and the rule for dotted names that it shares with Keep, Rename and Set."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.dotted import ABSENT, place_of, value_at, with_value, without
from message_passing.filters.remove import RemoveFilter
from support import Kept

NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "a.b.a"])
MESSAGES = st.recursive(
    st.integers(0, 9), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


def result(message: Any, fields: list[str]) -> Any:
    """What becomes of a message, which itself stays as it is."""
    before, kept = copy.deepcopy(message), Kept()
    RemoveFilter(fields=fields, output_to=kept).consume(message)
    assert message == before
    return kept.messages[0]


@pytest.mark.parametrize(
    ("message", "fields", "wanted"),
    [
        ({"a": 1, "b": 2}, ["a"], {"b": 2}),
        ({"a": 1}, ["b", "a.b", "b.c"], {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, ["a.b"], {"a": {"c": 2}}),
        ({"a": {"b": 1}}, ["a.b"], {"a": {}}),
        ({"a.b": 1, "a": {"b": 2}}, ["a.b"], {"a": {}}),
        ({"a": [{"b": 1}]}, ["a.b"], {"a": [{"b": 1}]}),
        ({"a": None}, ["a"], {}),
        ("text", ["a"], "text"),
        (b"bytes", ["a"], b"bytes"),
    ],
)
def test_what_is_left(message: Any, fields: list[str], wanted: Any) -> None:
    """The message itself is not changed: others may have it, too."""
    assert result(message, fields) == wanted


@given(st.dictionaries(NAMES, MESSAGES, max_size=3), NAMES)
def test_a_place_is_where_the_value_is_found(message: dict[str, Any], name: str) -> None:
    """Reading, setting and removing agree about which field a name means."""
    before = copy.deepcopy(message)
    place = place_of(message, name)
    found = value_at(message, name, ABSENT)
    assert (place is None) is (found is ABSENT)
    assert value_at(with_value(message, name, "new"), name) == "new"
    if place:
        changed: Any = with_value(message, name, "new")
        for key in place:
            changed = changed[key]
        assert changed == "new"
        assert place_of(without(message, name), name) != place
    else:
        assert without(message, name) is message
    assert message == before


def test_a_dotted_name_is_gone_in_each_way_it_can_be_read() -> None:
    """Otherwise the first would hide the second, which remained."""
    kept = Kept()
    RemoveFilter(fields=["a.b"], output_to=kept).consume({"a.b": 1, "a": {"b": 2, "c": 3}})
    assert kept.messages == [{"a": {"c": 3}}]
