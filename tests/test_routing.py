"""Routes in a declared chain, and the errors in them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from message_passing.chain import Chain, ChainWarning
from message_passing.config.forms import named_chain
from message_passing.errors import SourceLocation, UserError
from message_passing.filters.route import MOST_ROUTES
from message_passing.outputs.test import TestOutput


def config(output_to: Any, kind: str = "decoders") -> dict[str, Any]:
    """A config whose component `d` has these routes."""
    values: dict[str, Any] = {
        "inputs": {"i": {"class": "Null", "output_to": "d"}},
        "decoders": {},
        "encoders": {},
        "outputs": {name: {"class": "Test"} for name in ("a", "b", "c")},
    }
    cls = {"decoders": "JSON", "encoders": "JSON", "outputs": "Test"}[kind]
    values[kind]["d"] = {"class": cls, "output_to": output_to}
    return values


def built(output_to: Any) -> tuple[Chain, list[str]]:
    """The chain, and what is said about its routes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chain = named_chain(config(output_to), "x.json")
        chain.build()
    return chain, [str(one.message) for one in caught if not str(one.message).startswith("unused")]


def faults(output_to: Any, kind: str = "decoders") -> list[tuple[str, Any]]:
    """The errors, with the keys that lead to each."""
    with pytest.raises(UserError) as caught:
        named_chain(config(output_to, kind), "x.json").build()
    found = []
    for fault in caught.value.faults:
        assert isinstance(fault.where, SourceLocation)
        found.append((fault.marked, fault.where.keys[3:]))
    return found


def test_each_message_takes_the_first_route_that_matches() -> None:
    """One name, several names, and all others; a copy for each of several."""
    chain, told = built([{"when": "x == 1", "to": "a"}, {"when": "x == 2", "to": ["a", "b"]}, {"else": "c"}])
    chain.components["d"].consume_many([b'{"x":%d}' % n for n in (1, 2, 3)])  # type: ignore[attr-defined]
    ends: dict[str, Any] = {name: chain.components[name] for name in "abc"}
    assert told == []
    assert {name: end.messages for name, end in ends.items()} == {
        "a": [{"x": 1}, {"x": 2}],
        "b": [{"x": 2}],
        "c": [{"x": 3}],
    }
    assert ends["a"].messages[1] is not ends["b"].messages[0]


def test_else_may_stand_beside_the_last_route() -> None:
    """As one would say it: when this, to there, else elsewhere."""
    chain, _ = built([{"when": "x == 1", "to": "a", "else": "b"}])
    (route,) = [one for name, one in chain.components.items() if name == "d routes"]
    assert [one["to"] for one in route.info()["routes"]] == [["a"], ["b"]]


def test_routes_declared_in_python() -> None:
    """The same list, whose targets may be components; mistakes are found at the same time as all others."""
    end = TestOutput()
    chain = Chain()
    chain.input("i", "Null", output_to="d")
    chain.decoder("d", "JSON", output_to=[{"when": "x", "to": end}])
    chain.build()
    chain.components["d"].consume_many([b'{"x":1}', b"{}"])  # type: ignore[attr-defined]
    assert end.messages == [{"x": 1}]
    wrong = Chain()
    wrong.input("i", "Null", output_to=[{"when": "x =", "to": "nowhere"}])
    with pytest.raises(UserError, match=r"input 'i': output_to\.0\.when: ") as caught:
        wrong.build()
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ([{"when": "x", "to": "aa"}], [("there is no component named 'aa' (did you mean 'a'?)", (0, "to"))]),
        ([{"when": "x", "to": ["a", "i"]}], [("'i' is an input: nothing can output to it", (0, "to", 1))]),
        ([{"when": "x", "to": "d"}], [("loop in the chain: d -> d routes -> d", ("output_to",))]),
        ([{"wen": "x", "to": "a"}], [("a route has no key 'wen' (did you mean 'when'?)", (0, "wen"))]),
        ([{"when": "x"}], [("needs 'to' besides 'when'", (0,))]),
        ([{"to": "x"}], [("needs 'when' besides 'to'", (0,))]),
        ([{}], [("is empty", (0,))]),
        ([{"when": True, "to": "a"}], [("write {else: NAME}", (0, "when"))]),
        ([{"when": 1, "to": "a"}], [("must be a condition in quotes, not 1", (0, "when"))]),
        ([{"when": "", "to": "a"}], [("it is empty", (0, "when"))]),
        ([{"when": "x => 1", "to": "a"}], [("Python has `>=` instead of '=>' at column 3", (0, "when"))]),
        ([{"when": "macthes(x, 'a')", "to": "a"}], [("did you mean 'matches'?", (0, "when"))]),
        ([{"when": "x", "to": []}], [("must be a name or a list of names, not []", (0, "to"))]),
        ([{"when": "x", "to": None}], [("an output of class Null", (0, "to"))]),
        ([{"when": "x", "to": [1]}], [("must be a name or a list of names", (0, "to"))]),
        ([{"else": "a"}], [("needs a route before it", (0, "else"))]),
        ([{"else": "a"}, {"when": "x", "to": "b"}], [("it must come last", (0, "else"))]),
        ([{"when": "x", "to": "a"}, "b"], [("must be a route like", (1,))]),
        ({"when": "x", "to": "a"}, [("a list of names or of routes", ())]),
        ([{"when": "x", "to": "a"}] * (MOST_ROUTES + 1), [("has 101 routes; 100 are allowed", ())]),
        (
            [{"when": "x +", "to": "aa"}, {"when": "y", "to": "bb"}],
            [("invalid syntax", (0, "when")), ("'bb'", (1, "to"))],
        ),
    ],
)
def test_mistakes(given: Any, problems: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Each with the place of its key, and all at once."""
    found = faults(given)
    for text, keys in problems:
        assert [where for said, where in found if text in said] == [keys], found
    assert len(found) == len(problems)


@pytest.mark.parametrize(("kind", "problem"), [("encoders", "no fields"), ("outputs", "messages end there")])
def test_what_has_no_routes(kind: str, problem: str) -> None:
    """What an encoder makes has no fields; an output is the end."""
    found = [text for text, _ in faults([{"when": "x", "to": "a"}], kind)]
    assert any(problem in text for text in found)


def test_a_route_that_nothing_can_take_is_warned_of() -> None:
    """With the place: the chain runs, since another value of a variable may be right."""
    _, told = built(
        [
            {"when": "status >= 400", "to": "a"},
            {"when": "status >= 500", "to": "b"},
            {"when": "False", "to": "c"},
        ]
    )
    assert told == [
        "no message ever takes the route of 'd' for 'status >= 500': 'status >= 400', before it, takes all of them",
        "no message ever takes the route of 'd' for 'False': it can hold for no message",
    ]
    _, told = built([{"when": "True", "to": "a"}, {"else": "b"}])
    assert told == [
        "no message ever takes the route of 'd' for all other messages: 'True', before it, holds for every message"
    ]


def test_the_warning_has_its_place() -> None:
    """As errors have."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainWarning)
        named_chain(config([{"when": "False", "to": "a"}]), "x.json").build()
    (first, *_) = [one.message for one in caught if "route" in str(one.message)]
    assert isinstance(first, ChainWarning)
    assert isinstance(first.place, SourceLocation)
    assert first.place.keys == ("decoders", "d", "output_to", 0, "when")


def test_what_has_not_changed_stays_on_reload() -> None:
    """A condition that changes replaces the filter; one whose target alone changes keeps it."""
    before, _ = built([{"when": "x", "to": "a"}])
    same, _ = built([{"when": "x", "to": "b"}])
    other, _ = built([{"when": "y", "to": "a"}])
    assert "d routes" in same.unchanged(before)
    assert "d routes" not in other.unchanged(before)
    assert "d" in other.unchanged(before)
