"""Filters as a user writes them, called for each message: what the benchmark's chains have between the codecs."""

from __future__ import annotations

import time
from typing import Any

from message_passing import Filter


class Tagger(Filter):
    """Drops what is only for debugging, and says of the rest where it comes from."""

    def filter(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """A field more, or nothing."""
        if message["level"] == "DEBUG":
            return None
        message["environment"] = "production"
        return message


class Burner(Filter):
    """Takes 50 microseconds of processor time for each message, as a filter with real work to do would."""

    def filter(self, message: dict[str, Any]) -> dict[str, Any]:
        """The same message, later."""
        clock = time.thread_time_ns
        until = clock() + 50_000
        while clock() < until:
            pass
        return message


class Choosing(Filter):
    """Drops what is only for debugging."""

    def filter(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """The message, or nothing."""
        return None if message["level"] == "DEBUG" else message


class Chosen(Filter):
    """The same, by a declared field."""

    reads = ("level",)

    def keeps(self, fields: Any) -> bool:
        """Whether it is for more."""
        level: str = fields.level
        return level != "DEBUG"
