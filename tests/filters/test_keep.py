"""The filter Keep."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.filters.keep import KeepFilter
from support import Kept


@pytest.mark.parametrize(
    ("message", "fields", "wanted"),
    [
        ({"a": 1, "b": 2, "c": None}, ["c", "a"], {"c": None, "a": 1}),
        ({"a": {"b": 1, "c": 2}, "d": 3}, ["a.b"], {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2, "d": 3}}, ["a.b", "a.c"], {"a": {"b": 1, "c": 2}}),
        ({"a.b": 1, "a": {"b": 2}}, ["a.b"], {"a.b": 1}),
        ({"a.b": {"c": 1, "d": 2}}, ["a.b.c"], {"a.b": {"c": 1}}),
        ({"a": {"b.c": 1, "d": 2}}, ["a.b.c", "a.d"], {"a": {"b.c": 1, "d": 2}}),
        ({"a": 1}, ["b"], {}),
        ("text", ["a"], "text"),
    ],
)
def test_what_is_kept(message: Any, fields: list[str], wanted: Any) -> None:
    """Nothing else, wherever it is."""
    kept = Kept()
    KeepFilter(fields=fields, output_to=kept).consume(message)
    assert kept.messages == [wanted]
