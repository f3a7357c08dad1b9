"""Messages to a function (Message::Passing::Output::Callback)."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from message_passing.flow import Output
from message_passing.options import option


class CallbackOutput(Output):
    """Calls a function of yours with each message.

    If the function raises, the message is counted as failed and reported, and the next one follows.
    """

    name = "Callback"
    confirms = "the function has returned"
    example = MappingProxyType({"cb": print})

    cb: Callable[[Any], object] = option(description="Called with each message.", python_only=True)

    def write(self, message: Any) -> None:
        """Call the function."""
        self.cb(message)
