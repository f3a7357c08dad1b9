"""The filter Set, and texts with fields in braces."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters.set import SetFilter
from support import Kept

MESSAGE = {"level": "ERROR", "took": 1.5, "user": {"name": "bob"}, "tags": ["a"]}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"fields": {"env": "production", "n": 1, "o": None}}, {"env": "production", "n": 1, "o": None}),
        ({"fields": {"title": "{level} of {user.name}: {missing}{{}}"}}, {"title": "ERROR of bob: {}"}),
        ({"fields": {"text": "{took} {tags}"}}, {"text": '1.5 ["a"]'}),
        ({"expressions": {"ms": "took * 1000", "slow": "took > 1", "x": '"a" + level'}},
         {"ms": 1500.0, "slow": True, "x": "aERROR"}),
        ({"expressions": {"none": "level * 2", "constant": '"text"'}}, {"none": None, "constant": "text"}),
        ({"fields": {"took": 3}, "expressions": {"was": "took"}}, {"took": 3, "was": 1.5}),
        ({"fields": {"user.id": 7}}, {"user": {"name": "bob", "id": 7}}),
        ({"fields": {"new.field": 7}}, {"new": {"field": 7}}),
    ],
)  # fmt: skip
def test_what_is_set(options: Any, wanted: dict[str, Any]) -> None:
    """From the message as it came, which stays as it is."""
    kept, before = Kept(), {**MESSAGE}
    SetFilter(**options, output_to=kept).consume(MESSAGE)
    assert kept.messages == [{**before, **wanted}]
    assert before == MESSAGE


def test_what_is_no_object_passes() -> None:
    """There is nothing to set."""
    kept = Kept()
    SetFilter(fields={"a": 1}, output_to=kept).consume_many(["text", b"bytes", 3])
    assert kept.messages == ["text", b"bytes", 3]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "set `fields`, `expressions` or both"),
        (
            {"fields": {"a": "{b"}},
            "fields.a: '{' has no counterpart: write it twice for a single one at column 1",
        ),
        ({"fields": {"a": "x", "a.b": 1}}, "fields: Set filter: 'a.b' is within 'a', which is set as well"),
        (
            {"fields": {"a": {}}, "expressions": {"a.b.c": "x"}},
            "expressions: Set filter: 'a.b.c' is within 'a'",
        ),
        ({"fields": {"a": 1}, "expressions": {"a": "x"}}, "'a' is in `fields` and in `expressions`"),
        ({"fields": {"a": "b}"}}, "fields.a: '}' has no counterpart"),
        ({"fields": {"a": "{}"}}, "fields.a: there is no field's name in {}"),
        (
            {"expressions": {"a": "lenn(x)"}},
            "expressions.a: there is no function 'lenn' (did you mean 'len'?)",
        ),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the field's name, with the column."""
    with pytest.raises(OptionError) as caught:
        SetFilter(**options)
    assert problem in str(caught.value)
