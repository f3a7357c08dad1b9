"""The one rule for dotted names of fields, whoever reads or writes them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from message_passing.cli.formatting import Template
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.console.message_filter import MessageFilter
from message_passing.dotted import place_of, value_at, with_value, without
from message_passing.filters.aggregate import AggregateFilter
from message_passing.filters.keep import KeepFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.redact import RedactFilter
from message_passing.filters.remove import RemoveFilter
from message_passing.filters.rename import RenameFilter
from message_passing.filters.script import ScriptFilter
from message_passing.filters.set import SetFilter
from message_passing.filters.where import WhereFilter
from message_passing.text_template import TextTemplate
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.flow import Filter

PLACES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"a.b.c": 1}, ("a.b.c",)),
    ({"a": {"b": {"c": 1}}}, ("a", "b", "c")),
    ({"a.b": {"c": 1}}, ("a.b", "c")),
    ({"a": {"b.c": 1}}, ("a", "b.c")),
    ({"a.b.c": 1, "a": {"b": {"c": 2}, "b.c": 3}}, ("a.b.c",)),
    ({"a": {"b": {"c": 1}}, "a.b": {"c": 2}}, ("a", "b", "c")),
    ({"a": {"b": None}, "a.b": {"c": 1}}, ("a.b", "c")),
    ({"a": 2, "a.b": {"c": 1}}, ("a.b", "c")),
]
"""Messages in which `a.b.c` is 1, and where it stands."""


def filtered(component: Filter, message: Any) -> list[Any]:
    """What a filter passes on of one object."""
    kept = Kept()
    component.connect_to(kept)
    component.consume(copy.deepcopy(message))
    return kept.messages


def passes_text(component: Filter, message: Any) -> bool:
    """Whether a filter passes on text of which only the fields that it reads are decoded."""
    kept = Kept()
    component.connect_to(JSONEncoder(output_to=kept))
    with JSONDecoder(output_to=component) as head:
        head.consume(msgspec.json.encode(message))
    return bool(kept.messages)


READERS: dict[str, Callable[[Any], bool]] = {
    "value_at": lambda message: value_at(message, "a.b.c") == 1,
    "Key": lambda message: bool(filtered(KeyFilter(key="a.b.c", match="1"), message)),
    "Key, of text": lambda message: passes_text(KeyFilter(key="a.b.c", match="1"), message),
    "Where": lambda message: bool(filtered(WhereFilter(condition="a.b.c == 1"), message)),
    "Where, of text": lambda message: passes_text(WhereFilter(condition="a.b.c == 1"), message),
    "tail and page": lambda message: MessageFilter.of(fields=["a.b.c=1"]).matches(message, ""),
    "tail --template": lambda message: Template("{a.b.c}").fill(message) == "1",
    "names of files, subjects and keys": lambda message: TextTemplate("{a.b.c}").value(message) == "1",
    "Set": lambda message: filtered(SetFilter(fields={"z": "{a.b.c}"}), message)[0]["z"] == "1",
    "Script": lambda message: filtered(ScriptFilter(script="z = a.b.c + 1"), message)[0]["z"] == 2,
    "Rename": lambda message: filtered(RenameFilter(fields={"a.b.c": "z"}), message)[0]["z"] == 1,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("message", "place"), PLACES)
def test_whoever_reads_finds_the_same_field(reader: str, message: Any, place: tuple[str, ...]) -> None:
    """A field whose own name has the dots first, then the first dot that leads to one."""
    assert READERS[reader](message)
    assert place_of(message, "a.b.c") == place


@pytest.mark.parametrize(("message", "place"), PLACES)
def test_whoever_writes_changes_that_field(message: Any, place: tuple[str, ...]) -> None:
    """And no other one: what else is called so stays."""
    changed = with_value(message, "a.b.c", "new")
    assert filtered(SetFilter(fields={"a.b.c": "new"}), message) == [changed]
    assert filtered(ScriptFilter(script='a.b.c = "new"'), message) == [changed]
    assert filtered(ScriptFilter(script="del a.b.c"), message) == [without(message, "a.b.c")]
    found: Any = changed
    for key in place:
        found = found[key]
    assert found == "new"
    wanted: Any = 1
    for key in reversed(place):
        wanted = {key: wanted}
    assert filtered(KeepFilter(fields=["a.b.c"]), message) == [wanted]


@pytest.mark.parametrize(("message", "place"), PLACES)
def test_what_must_not_remain_is_found_wherever_it_may_be(message: Any, place: tuple[str, ...]) -> None:
    """To remove or mask too little would be worse than too much: every field that the name may mean is meant."""
    assert place
    for component in (RemoveFilter(fields=["a.b.c"]), RedactFilter(keys=["a.b.c"])):
        (left,) = filtered(component, message)
        assert value_at(left, "a.b.c", "[redacted]") == "[redacted]"


@pytest.mark.parametrize(("message", "place"), PLACES)
def test_a_key_of_counts_is_that_field(message: Any, place: tuple[str, ...]) -> None:
    """The result has it under its dotted name."""
    assert place
    kept = Kept()
    with AggregateFilter(key=["a.b.c"], values={"n": "count"}, output_to=kept) as aggregate:
        aggregate.consume(message)
    (result,) = kept.messages
    assert (value_at(result, "a.b.c"), result["n"]) == (1, 1)
