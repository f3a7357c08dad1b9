"""Convert messages to logstash's old JSON format (Message::Passing::Filter::ToLogstash)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from message_passing.errors import OpenError
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.resolving import full_host_name

_MOVES = (
    ("type", "@type", ""),
    ("__CLASS__", "@type", "perl:Class:"),
    ("hostname", "@source_host", ""),
    ("message", "@message", ""),
    ("filename", "@source_path", ""),
    ("date", "@timestamp", ""),
)
"""A message's key, the key it becomes, and the prefix of its value. The first to fill a key keeps it."""


class ToLogstashFilter(Filter):
    """Converts a message to logstash's old JSON format: `@fields`, `@message`, `@timestamp`, `@tags` and so on.

    | the message's key | becomes |
    |---|---|
    | `epochtime` (seconds) | `@timestamp`, in ISO 8601, UTC: `2012-01-01T00:00:00`; see `fractions` |
    | `date` | `@timestamp`, unchanged, if there was no `epochtime` |
    | `type` | `@type` |
    | `__CLASS__` | `@type`, with `perl:Class:` before it, if there was no `type` |
    | `hostname` | `@source_host` |
    | `message` | `@message` |
    | `filename` | `@source_path` |
    | all others, `@tags` too | keys in `@fields`, as is anything whose key is already taken |

    `@tags` has `default_tags` and `add_tags`, each once, as in the original, which ignores a message's own.

    A message that is not a dict is treated as a line of text: it gets the time, this machine's name and the
    type `generic_line`. An `epochtime` that is not a time stays in `@fields`.
    """

    name = "ToLogstash"
    example = MappingProxyType({"default_tags": ["untagged"], "add_tags": ["production"]})

    default_tags: list[str] = option(default_factory=list, description="Tags that every message gets.")
    add_tags: list[str] = option(default_factory=list, description="Further tags that every message gets.")
    fractions: bool = option(
        default=False,
        description="Write microseconds and the time zone in `@timestamp`: `2012-01-01T00:00:00.250000Z`.",
    )
    hostname: str | None = option(
        default=None,
        description="The host of lines of text. Default: this machine's full name, or its address if it "
        "has only `localhost`.",
    )
    clock: Callable[[], float] = option(
        default=time.time,
        description="A function that returns the time for lines of text, in seconds since 1970.",
    )

    def on_init(self) -> None:
        """Prepare; the system is not queried yet."""
        super().on_init()
        self._hostname = self.hostname

    def on_open(self) -> None:
        """Determine this machine's name, once."""
        if self._hostname is None:
            self._hostname, found = full_host_name()
            if not found:
                text = f"the full name of this machine was not found in time, and is {self._hostname!r} here"
                self.report(OpenError(f"{text}: the option `hostname` gives it"))

    def filter(self, message: Any) -> dict[str, Any]:
        """Return the message in logstash's format."""
        fields = dict(message) if isinstance(message, dict) else self._line(message)
        result: dict[str, Any] = {"@fields": fields}
        if (timestamp := _iso8601(fields.get("epochtime"), fractions=self.fractions)) is not None:
            result["@timestamp"] = timestamp
            del fields["epochtime"]
        for key, target, prefix in _MOVES:
            if key in fields and target not in result:
                value = fields.pop(key)
                result[target] = f"{prefix}{value}" if prefix else value
        result["@tags"] = list(dict.fromkeys([*self.default_tags, *self.add_tags]))
        return result

    def _line(self, line: Any) -> dict[str, Any]:
        if isinstance(line, (bytes, bytearray, memoryview)):
            line = bytes(line).decode("utf-8", "backslashreplace")
        return {
            "message": line,
            "hostname": self._hostname,
            "epochtime": self.clock(),
            "type": "generic_line",
        }


def _iso8601(epoch: Any, *, fractions: bool) -> str | None:
    if epoch is None or isinstance(epoch, bool):
        return None
    try:
        moment = datetime.fromtimestamp(float(epoch), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    text = moment.isoformat() if fractions else moment.isoformat(timespec="seconds")
    return text.replace("+00:00", "Z" if fractions else "")
