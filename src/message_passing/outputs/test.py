"""An output that keeps what arrives, for tests (Message::Passing::Output::Test)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from message_passing.flow import Output
from message_passing.options import option


class TestOutput(Output):
    """Keeps every message in `messages`, for tests to inspect."""

    __test__ = False  # its name is the original's; it is not a test for pytest

    name = "Test"
    confirms = "kept"

    cb: Callable[[Any], object] | None = option(
        default=None,
        description="Called with each message before it is kept; a message for which it raises is not kept.",
        python_only=True,
    )

    def on_init(self) -> None:
        """Start with no messages."""
        self.messages: list[Any] = []

    @property
    def message_count(self) -> int:
        """How many messages have arrived since the last `clear_messages`."""
        return len(self.messages)

    def clear_messages(self) -> None:
        """Discard what has arrived."""
        self.messages.clear()

    def write(self, message: Any) -> None:
        """Call the callback and keep the message."""
        if self.cb:
            self.cb(message)
        self.messages.append(message)
