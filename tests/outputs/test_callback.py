"""Calling a function with each message."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.outputs.callback import CallbackOutput
from message_passing.testing import TestOutput


def test_called_with_each_message() -> None:
    """The function gets every message, in order, whatever it is."""
    seen: list[Any] = []
    output = CallbackOutput(cb=seen.append)
    output.consume_many([b"", {"a": 1}])
    output.consume(None)
    assert seen == [b"", {"a": 1}, None]


def test_raising() -> None:
    """A message on which it raises is counted and reported, and the next one is tried."""
    errors = TestOutput()
    seen: list[Any] = []

    def divide(message: int) -> None:
        seen.append(1 // message)

    output = CallbackOutput(cb=divide, error=errors)
    output.consume_many([1, 0, 1])
    assert seen == [1, 1]
    assert output.snapshot()["failed"] == 1
    assert errors.messages[0]["class"] == "ZeroDivisionError"


@pytest.mark.parametrize("given", [{}, {"cb": None}, {"cb": "print"}])
def test_a_function_is_needed(given: Any) -> None:
    """Without a function, or with something else, it is refused."""
    with pytest.raises(OptionError, match="cb"):
        CallbackOutput(**given)
