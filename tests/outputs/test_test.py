"""The output for tests."""

from __future__ import annotations

from message_passing.outputs.test import TestOutput


def test_keeps_messages() -> None:
    """Messages are kept in order, counted, and forgotten on request."""
    output = TestOutput()
    output.consume(b"one")
    output.consume_many([{"a": 1}, b""])
    assert output.messages == [b"one", {"a": 1}, b""]
    assert output.message_count == 3
    output.clear_messages()
    assert (output.messages, output.message_count) == ([], 0)


def test_callback() -> None:
    """A callback sees each message before it is kept, and may refuse it."""
    errors = TestOutput()
    seen: list[int] = []

    def check(message: int) -> None:
        seen.append(message)
        if message < 0:
            raise ValueError(message)

    output = TestOutput(cb=check, error=errors)
    output.consume_many([1, -1, 2])
    assert seen == [1, -1, 2]
    assert output.messages == [1, 2]
    assert (output.metrics.failed, errors.message_count) == (1, 1)


def test_two_share_nothing() -> None:
    """Each one has its own messages."""
    one, two = TestOutput(), TestOutput()
    one.consume(1)
    assert two.messages == []
