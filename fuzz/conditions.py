"""Conditions, scripts, grok patterns and lines of other programs: what is written is taken or refused in words."""

from __future__ import annotations

import contextlib
import functools
from datetime import UTC
from typing import Any

from message_passing.conditions import Condition
from message_passing.errors import UserError
from message_passing.filters._grok import GrokPattern
from message_passing.filters.parse import PARSERS
from message_passing.filters.redact import RedactFilter
from message_passing.filters.script import ScriptFilter
from message_passing.text_template import TextTemplate

_LONGEST = 2000
"""Characters of a message to a user."""

_MESSAGES: list[Any] = [
    {},
    {
        "a": 1,
        "b": "text",
        "c": None,
        "level": "ERROR",
        "time": "2026-11-26T00:00:00Z",
        "d": {"e": [1, {"f": "g"}]},
    },
    {"a": 2**70, "b": "x" * 1000, "c": [[]], "level": 30, "d": "9" * 50, "e": float("inf")},
    b"bytes",
]


def condition(data: bytes) -> None:
    """A condition, or a text with fields: it gives a value for any message, and changes nothing."""
    text = data.decode(errors="replace")
    for make in (Condition, Condition.expression, TextTemplate):
        try:
            made: Any = make(text)
        except UserError as error:
            assert 0 < len(str(error)) < _LONGEST
            continue
        for message in _MESSAGES:
            before = repr(message)
            value = made.value(message)
            assert value is None or isinstance(value, (bool, int, float, str, list, dict))
            assert repr(message) == before
    with contextlib.suppress(UserError):
        assert all(any(one is message for message in _MESSAGES) for one in Condition(text).keep(_MESSAGES))


def script(data: bytes) -> None:
    """A script: it makes an object of any, never fails, and leaves the message as it was."""
    try:
        made = ScriptFilter(script=data.decode(errors="replace"))
    except UserError as error:
        assert 0 < len(str(error)) < _LONGEST
        return
    for message in _MESSAGES:
        before = repr(message)
        assert isinstance(made.filter(message), type(message))
        assert repr(message) == before


def grok(data: bytes) -> None:
    """A grok pattern, its own named pattern, and a text, each on a line: it gives fields, or is refused in words."""
    pattern, own, text = [*data.decode(errors="replace").split("\n", 2), "", ""][:3]
    try:
        assert isinstance(GrokPattern(pattern, {"OWN": own}).found(text[:200]), dict)
    except (ValueError, OverflowError) as error:
        assert 0 < len(str(error)) < _LONGEST


@functools.cache
def _redact() -> RedactFilter:
    return RedactFilter(patterns=["card", "email", "ip", "token"], mask="*")


def line(data: bytes) -> None:
    """A line in any format, which is also searched for personal data."""
    text = data.decode(errors="replace")
    for parse in PARSERS.values():
        try:
            assert isinstance(parse(text, UTC), dict)
        except (ValueError, OverflowError) as error:
            assert 0 < len(str(error)) < _LONGEST
    assert isinstance(_redact().filter(text), str)
