"""A worker's filter: `message-passing --filter +myapp:MessageWorker`."""

import os
from typing import Any

from message_passing import Filter


class MessageWorker(Filter):
    """Squares the number in a message, and says which process did it."""

    def filter(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if "number" not in message:
            return None  # nothing is output for it
        number = message["number"]
        return {"number": number, "square": number * number, "worker": os.getpid()}
