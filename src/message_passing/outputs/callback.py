"""Messages to a function (Message::Passing::Output::Callback)."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from message_passing.flow import Output
from message_passing.options import option


class CallbackOutput(Output):
    """Calls a function of yours with each message.

    What the function raises is counted as failed and reported, and it is called with the next message.
    """

    name = "Callback"
    confirms = "the function has returned"
    example = MappingProxyType({"cb": print})

    cb: Callable[[Any], object] = option(description="Called with each message.", python_only=True)

    def write(self, message: Any) -> None:
        """Call it."""
        self.cb(message)
