"""Error reports as sentences: the command writes these to a terminal instead of JSON."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.codecs.json import JSONEncoder
from message_passing.escaping import one_line

_SHOWN = ("packed_data", "stringified_data")


class ReportEncoder(JSONEncoder):
    """Encodes a report of failed messages as a readable line; anything else as JSON.

    `message-passing: TIME: COMPONENT: what is wrong: the message`. The command uses it by default if standard error
    is a terminal and neither `--error` nor `--error_encoder` is given.
    """

    name = "Report"
    example = MappingProxyType({})

    def takes_text(self) -> bool:
        """Not as JSON."""
        return False

    def filter(self, message: Any) -> bytes:
        """A report as a line.

        Raises:
            EncodingError: it is not a report, and has no JSON form either.
        """
        if not isinstance(message, dict) or not {"time", "component", "exception"} <= message.keys():
            return super().filter(message)
        text = f"message-passing: {message['time']}: {message['component']}: {message['exception']}"
        shown = next((str(message[key]) for key in _SHOWN if key in message), "")
        if shown:
            text += f": {shown}{'...' if message.get('truncated') else ''}"
        count, suppressed = message.get("count", 1), message.get("suppressed", 0)
        more = [f"{count:,} messages"] if count != 1 else []
        more += [f"{suppressed:,} more failed before it, unreported"] if suppressed else []
        return one_line(text + (f" ({', '.join(more)})" if more else "")).encode("utf-8", "backslashreplace")

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Encode one by one: reports are few."""
        return super(JSONEncoder, self).filter_many(messages)
