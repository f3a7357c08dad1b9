"""Whether a condition can still hold once those before it have taken their messages."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from message_passing.conditions import Condition
from message_passing.conditions.reachability import never_holds

NEVER: list[tuple[str, list[str]]] = [
    ("False", []),
    ("None", []),
    ("1 > 2", []),
    ("level == 'ERROR' and False", []),
    ("status >= 500 and status < 400", []),
    ("400 <= status < 400", []),
    ("a == 'x' and a == 'y'", []),
    ("a in ('x', 'y') and a == 'z'", []),
    ("a is None and a > 1", []),
    ("a == 1 and a == '1'", []),
    ("a and not a", []),
    ("a == b and a != b", []),
    ("path.startswith('/a') and path.startswith('/b')", []),
    ("level >= 'ERROR' and level < 'INFO'", []),
    ("a < None", []),
    ("b", ["True"]),
    ("b", ["1 == 1"]),
    ("b == 1", ["b == 1"]),
    ("b==1", ["b  ==  1"]),
    ("1 == b", ["b == 1.0"]),
    ("b and c", ["b"]),
    ("b", ["b or c"]),
    ("status >= 500", ["status >= 400"]),
    ("500 <= status < 600", ["status >= 400"]),
    ("status == 503", ["status >= 400"]),
    ("level >= 'ERROR'", ["level >= 'WARNING'"]),
    ("level == 'ERROR'", ["level >= 'warning'"]),
    ("level in ('ERROR', 'CRITICAL')", ["level > 30"]),
    ("path.startswith('/health/live')", ["path.startswith('/health')"]),
    ("path == '/health/live'", ["path.startswith('/health')"]),
    ("a == 'x'", ["a in ('x', 'y')"]),
    ("a in ('x', 'y')", ["a == 'x'", "a == 'y'"]),
    ("matches(a, 'x') and b", ["matches(a, 'x')"]),
    ('fields["a"] == 1', ["a == 1"]),
    ("True", ["a", "not a"]),
    ("True", ["a == 1", "a != 1"]),
    ("True", ["a is None", "a is not None"]),
    ("a > 5 if b else a > 7", ["a > 5"]),
]

PERHAPS: list[tuple[str, list[str]]] = [
    ("True", []),
    ("a", []),
    ("True", ["a > 1", "a <= 1"]),  # it may be missing
    ("True", ["a", "b"]),
    ("status >= 400", ["status >= 500"]),
    ("a != 1", ["a == 2"]),
    ("a == 1", ["a == '1'"]),
    ("status > 499 and status < 500", []),
    ("level >= 'WARNING'", ["level >= 'ERROR'"]),
    ("level == 'audit'", ["level >= 'DEBUG'"]),
    ("not (status >= 500)", ["status < 500"]),
    ("path.startswith('/health')", ["path.startswith('/health/')"]),
    ("'x' in a", ["'y' in a"]),
    ("a < b", ["a > b"]),
    ("a[0] == 1", ["a == 1"]),
    (
        " or ".join(f"(a{n} and b{n})" for n in range(40)),
        [" and ".join(f"(c{n} or d{n})" for n in range(40))],
    ),
]


@pytest.mark.parametrize(("text", "before"), NEVER)
def test_what_can_never_hold(text: str, before: list[str]) -> None:
    """Contradictions, repetitions, and what others before it take."""
    assert never_holds(text, before)


@pytest.mark.parametrize(("text", "before"), PERHAPS)
def test_what_may_hold(text: str, before: list[str]) -> None:
    """Of nothing that may hold it is said that it never does."""
    assert never_holds(text, before) == ""


def test_it_says_which_one_takes_the_messages() -> None:
    """The first condition that alone takes them all is named."""
    told = never_holds("status >= 500", ["a", "status >= 400", "b"])
    assert told == "'status >= 400', before it, takes all of them"


VALUES: list[Any] = [None, 0, 1, 1.5, 2, 3, True, "", "a", "ab", "b", "ERROR", "INFO", [1], {"x": 1}]
PARTS = [
    "a == 1",
    "a != 1",
    "a >= 2",
    "a < 2",
    "1 <= a <= 2",
    "a in (1, 'a', None)",
    "a not in ('a', 'b')",
    "a is None",
    "a",
    "a.startswith('a')",
    "a > 'a'",
    "level == 'ERROR'",
    "level >= 'INFO'",
    "level == 'a'",
    "level is None",
    "level < 25",
]


def test_never_is_never() -> None:
    """Whatever it says can never hold does so for none of many messages."""
    messages = [{"a": one, "level": two} for one in VALUES for two in VALUES] + [{}]
    holds = {
        text: [Condition(text).holds(message) for message in messages]
        for text in [*PARTS, *(f"not ({part})" for part in PARTS)]
    }
    wrong = [
        (one, two)
        for one, two in itertools.product(holds, holds)
        if never_holds(one, [two]) and any(a and not b for a, b in zip(holds[one], holds[two], strict=True))
    ]
    assert wrong == []
    found = sum(bool(never_holds(one, [two])) for one, two in itertools.product(holds, holds))
    assert found > 100
