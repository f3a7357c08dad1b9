"""What can be wrong with the names that connect a chain."""

from __future__ import annotations

from typing import Any

from message_passing.declaration import Declaration, name_faults
from message_passing.outputs.null import NullOutput


def declared(**parts: tuple[str, list[Any]]) -> dict[str, Declaration]:
    """Declarations by name, of a kind and what it outputs to."""
    return {
        name: Declaration(kind, name, "Null", {}, tuple(targets), place=name)
        for name, (kind, targets) in parts.items()
    }


def told(parts: dict[str, Declaration], error_head: str | None = None) -> list[str]:
    """The faults as a user reads them."""
    return [str(fault) for fault in name_faults(parts, error_head)]


def test_a_chain_in_order() -> None:
    """Any order of declaration will do, and components may stand for names."""
    chain = declared(
        out=("output", []),
        encoder=("encoder", ["out", NullOutput()]),
        one=("input", ["encoder"]),
        two=("input", ["encoder"]),
    )
    assert told(chain, "encoder") == []


def test_without_inputs() -> None:
    """Nothing would ever happen."""
    assert told(declared(out=("output", []))) == ["a chain needs at least one input"]


def test_names_that_are_not_declared() -> None:
    """The nearest is told, also for the error chain."""
    chain = declared(start=("input", ["filtre"]), filter=("filter", ["nowhere"]))
    assert told(chain, "filtr") == [
        "there is no component named 'filtr' for the errors to go to (did you mean 'filter'?)",
        "start: there is no component named 'filtre' (did you mean 'filter'?)",
        "filter: there is no component named 'nowhere'",
    ]


def test_an_error_chain_of_its_own_is_a_name_too() -> None:
    """It must be declared as any other."""
    chain = declared(start=("input", ["out"]), out=("output", []))
    chain["start"] = Declaration("input", "start", "Null", {}, ("out",), "errors", place="start")
    assert told(chain) == ["start: there is no component named 'errors'"]


def test_ends_that_are_none() -> None:
    """Only outputs are ends, and inputs only beginnings."""
    chain = declared(start=("input", []), out=("output", ["start"]), filter=("filter", ["start"]))
    assert told(chain, "start") == [
        "errors cannot go to 'start': it is an input",
        "start: needs an output_to",
        "out: an output has no output_to: messages end there",
        "out: 'start' is an input: nothing can output to it",
        "filter: 'start' is an input: nothing can output to it",
    ]


def test_loops() -> None:
    """Each is told once, with all that is on it; two ways that meet again are none."""
    chain = declared(
        start=("input", ["a", "d"]),
        a=("filter", ["b", "d"]),
        b=("filter", ["c", "d"]),
        c=("filter", ["a"]),
        d=("filter", ["d"]),
    )
    assert told(chain) == ["loop in the chain: a -> b -> c -> a", "loop in the chain: d -> d"]


def test_what_could_not_be_read_has_no_more_faults() -> None:
    """Its missing output_to has been told in another way."""
    chain = {"start": Declaration("input", "start", None, None, place="start")}
    assert told(chain) == []


def test_a_way_that_is_refused_is_on_no_loop() -> None:
    """Messages cannot go there, which has been told; and another loop is told all the same."""
    chain = declared(
        start=("input", ["a"]),
        a=("filter", ["b", "out"]),
        b=("filter", ["a"]),
        out=("output", ["start", "a"]),
    )
    assert told(chain) == [
        "out: an output has no output_to: messages end there",
        "out: 'start' is an input: nothing can output to it",
        "loop in the chain: a -> b -> a",
    ]


def test_nothing_is_missing_where_something_could_not_be_read() -> None:
    """It may be what seems to be missing; what has been read is still checked."""
    chain = declared(filter=("filter", ["nowhere"]), other=("filter", []))
    faults = name_faults(chain, "errors", unread={"input"})
    assert [str(fault) for fault in faults] == ["other: needs an output_to"]
