"""The filter Script."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters.script import MOST_LINES, MOST_SCRIPT, ScriptFilter
from support import Kept, accounted_for


def run(script: str, *messages: Any) -> list[Any]:
    """What the script makes of messages."""
    kept = Kept()
    made = ScriptFilter(script=script, output_to=kept)
    made.consume_many([*messages])
    assert accounted_for(made)
    return kept.messages


def test_lines_see_what_those_before_them_have_set() -> None:
    """Set, nested, of any name, removed; the message that came is unchanged."""
    message = {"took": 1500, "user": {"id": 7}, "host.name": "a", "password": "x"}
    script = """
seconds = took / 1000   # a comment
slow = seconds > 1
user.name = "u" + text(user.id)
fields["@timestamp"] = 5
fields["host.name"] = "b"
missing = nothing.at.all + 1
copy = user
copy.id = None
del password, user.none
"""
    before = {**message, "user": {**message["user"]}}  # type: ignore[dict-item]
    (made,) = run(script, message)
    assert message == before
    assert made == {
        "took": 1500,
        "user": {"id": 7, "name": "u7"},
        "host.name": "b",
        "seconds": 1.5,
        "slow": True,
        "@timestamp": 5,
        "missing": None,
        "copy": {"id": None, "name": "u7"},
    }


def test_a_default() -> None:
    """`or` gives the first that is not empty, and a text may be the last."""
    assert run('level = level or severity or "INFO"', {}, {"level": "x"}) == [
        {"level": "INFO"},
        {"level": "x"},
    ]
    for wrong in ('level = level == "a" or "b"', 'level = "a" or level', 'level = slow and "a" or "b"'):
        with pytest.raises(OptionError, match="to choose a value, write `'yes' if slow else 'no'`"):
            ScriptFilter(script=wrong)


def test_if_elif_and_else() -> None:
    """The first that holds; nested ones; a level is compared by rank."""
    script = """
if level >= "ERROR" and not path.startswith("/health"):
    class_ = "bad"
    if status == 503:
        class_ = "away"
elif level == "INFO":
    pass
else:
    class_ = "other"
"""
    found = run(
        script,
        {"level": "CRITICAL", "status": 503},
        {"level": "ERROR"},
        {"level": "INFO"},
        {"level": "DEBUG"},
        "text",
        ["level"],
    )
    assert [one.get("class_") if isinstance(one, dict) else one for one in found] == [
        "away",
        "bad",
        None,
        "other",
        "text",
        ["level"],
    ]


def test_no_message_makes_it_fail() -> None:
    """Whatever the values are."""
    odd = {"a": float("nan"), "b": {1, 2}, "c": object(), "d": b"x", "e": 10**400, "f": [1], "g": {"h": 1}}
    script = "\n".join(f"r{n} = {one} + 1 > g.h or len({one}) / 0" for n, one in enumerate("abcdefg"))
    assert len(run(f"{script}\na.b = 1\nf.x = 2\ndel g.h.i", odd)[0]) == 16


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("a = 1\nb = foo(c)", "script: there is no function 'foo'"),
        ("a = 1\nif x:\n  b = status >= [1]", "at line 3, column 17"),
        (
            "a = 1\nfor x in y: b = 1",
            "a line is `field = ...`, `del field`, or `if ...:` with lines below it at line 2",
        ),
        ("import os", "a line is"),
        ("print(1)", "a line is"),
        ("a += 1", "a line is"),
        ("a = b = 1", "a line is"),
        ("a, b = 1, 2", "what is set is a field"),
        ("now = 1", "what is set is a field"),
        ("fields = 1", "what is set is a field"),
        ("a[0] = 1", "what is set is a field"),
        ("f().x = 1", "what is set is a field"),
        ("a = (lambda: 1)()", "line 1, column"),
        ("a = x.__class__.__mro__()", "line 1, column"),
        ("while True:\n  pass", "a line is"),
        ("a = 1\n  b = 2", "script: unexpected indent at line 2"),
        ("# nothing", "it is empty"),
        ("a = 1\n" * (MOST_LINES + 1), f"at most {MOST_LINES} lines"),
        ("a=1#" + "x" * MOST_SCRIPT, "characters"),
        ("\n".join(f"{' ' * n}if a:" for n in range(12)) + f"\n{' ' * 12}b = 1", "within another"),
        ("a = \0", "script: "),
        ("a = 'ä' +", "line 1"),
        ("if level >= ERROR:\n  a = 1", "put the level in quotes"),
    ],
)
def test_what_is_refused(script: str, problem: str) -> None:
    """With line and column."""
    with pytest.raises(OptionError) as caught:
        ScriptFilter(script=script)
    assert problem in str(caught.value)


def test_a_long_elif_is_no_nest() -> None:
    """Each `elif` stands beside the one before it."""
    script = "if n == 0:\n  r = 0\n" + "".join(f"elif n == {n}:\n  r = {n * n}\n" for n in range(1, 60))
    assert [one["r"] for one in run(script, {"n": 59}, {"n": 0})] == [59 * 59, 0]
