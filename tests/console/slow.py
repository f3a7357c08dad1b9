"""A filter that takes its time."""

from __future__ import annotations

import time
from typing import Any

from message_passing.flow import Filter


class Slow(Filter):
    """Takes as many seconds as a message says."""

    def filter(self, message: Any) -> Any:
        """Sleep."""
        time.sleep(message["seconds"])
        return message
