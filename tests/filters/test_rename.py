"""The filter Rename."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters.rename import RenameFilter
from support import Kept


@pytest.mark.parametrize(
    ("message", "fields", "wanted"),
    [
        ({"msg": "x", "n": 1}, {"msg": "message"}, {"message": "x", "n": 1}),
        ({"a": 1, "b": 2}, {"a": "b", "b": "a"}, {"a": 2, "b": 1}),
        ({"a": 1, "b": 2}, {"a": "b"}, {"b": 1}),
        ({"a": {"b": 1}}, {"a.b": "c"}, {"a": {}, "c": 1}),
        ({"a": 1}, {"a": "b.c"}, {"b": {"c": 1}}),
        ({"a": 1}, {"x": "y"}, {"a": 1}),
        ({"a": 1}, {"a": "a"}, {"a": 1}),
        (b"bytes", {"a": "b"}, b"bytes"),
    ],
)
def test_what_becomes_of_a_message(message: Any, fields: dict[str, str], wanted: Any) -> None:
    """All old names are read before new ones are written, and the message itself stays as it is."""
    before, kept = copy.deepcopy(message), Kept()
    RenameFilter(fields=fields, output_to=kept).consume(message)
    assert kept.messages == [wanted]
    assert message == before


@pytest.mark.parametrize("fields", [{"a": "c", "b": "c"}, {"a": ""}, {}])
def test_names_that_cannot_be(fields: dict[str, str]) -> None:
    """One field would be lost."""
    with pytest.raises(OptionError, match="fields"):
        RenameFilter(fields=fields)


def test_a_new_name_within_another() -> None:
    """One would overwrite the other."""
    with pytest.raises(OptionError, match=r"'c\.d' would be within 'c', which 'b' is renamed to"):
        RenameFilter(fields={"a": "c.d", "b": "c"})


def test_what_is_on_the_way_to_a_new_name_is_kept() -> None:
    """The field gets the whole name; null is nothing, and gives way."""
    kept = Kept()
    rename = RenameFilter(fields={"a": "c.d"}, output_to=kept)
    for message in ({"a": 1, "c": 5}, {"a": 1, "c": None}, {"a": 1, "c": {"e": 2}}):
        rename.consume(message)
    assert kept.messages == [{"c": 5, "c.d": 1}, {"c": {"d": 1}}, {"c": {"e": 2, "d": 1}}]
