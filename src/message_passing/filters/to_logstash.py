"""Bring messages into logstash's old JSON form (Message::Passing::Filter::ToLogstash)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

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
"""A message's key, the key it becomes, and what is put before its value. The first to fill a key keeps it."""


class ToLogstashFilter(Filter):
    """Makes logstash's old JSON form of a message: `@fields`, `@message`, `@timestamp`, `@tags` and so on.

    | the message's key | becomes |
    |---|---|
    | `epochtime` (seconds) | `@timestamp`, in ISO 8601, UTC: `2012-01-01T00:00:00.250000Z` |
    | `date` | `@timestamp`, as it is, if there was no `epochtime` |
    | `type` | `@type` |
    | `__CLASS__` | `@type`, with `perl:Class:` before it, if there was no `type` |
    | `hostname` | `@source_host` |
    | `message` | `@message` |
    | `filename` | `@source_path` |
    | `@tags` (a list) | `@tags` |
    | all others | keys in `@fields`, as does what finds its place taken |

    A message that is not a dict is taken as a line of text: it gets the time, this machine's name and the
    type `generic_line`. An `epochtime` that is no time stays in `@fields`. Tags are listed once each.
    """

    name = "ToLogstash"
    example = MappingProxyType({"default_tags": ["untagged"], "add_tags": ["production"]})

    default_tags: list[str] = option(default_factory=list, description="Tags of messages that have none.")
    add_tags: list[str] = option(default_factory=list, description="Tags that every message gets besides.")
    hostname: str | None = option(
        default=None, description="The host that lines of text come from. Default: this machine's full name."
    )
    clock: Callable[[], float] = option(
        default=time.time, description="What tells the time of lines of text, in seconds since 1970."
    )

    def on_init(self) -> None:
        """Nothing is asked of the system yet."""
        super().on_init()
        self._hostname = self.hostname

    def on_open(self) -> None:
        """Find out this machine's name, once."""
        if self._hostname is None:
            self._hostname, found = full_host_name()
            if not found:
                text = f"the full name of this machine was not found in time, and is {self._hostname!r} here"
                self.report(OpenError(f"{text}: the option `hostname` gives it"))

    def filter(self, message: Any) -> dict[str, Any]:
        """One message in logstash's form."""
        fields = dict(message) if isinstance(message, dict) else self._line(message)
        result: dict[str, Any] = {"@fields": fields}
        if (timestamp := _iso8601(fields.get("epochtime"))) is not None:
            result["@timestamp"] = timestamp
            del fields["epochtime"]
        for key, target, prefix in _MOVES:
            if key in fields and target not in result:
                value = fields.pop(key)
                result[target] = f"{prefix}{value}" if prefix else value
        given = fields.pop("@tags") if isinstance(fields.get("@tags"), list) else []
        result["@tags"] = _unique([*(given or self.default_tags), *self.add_tags])
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


def _iso8601(epoch: Any) -> str | None:
    if epoch is None or isinstance(epoch, bool):
        return None
    try:
        moment = datetime.fromtimestamp(float(epoch), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _unique(tags: list[Any]) -> list[Any]:
    found: dict[Any, Any] = {}
    for tag in tags:
        found.setdefault(tag if type(tag) is str else _key(tag), tag)
    return list(found.values())


def _key(tag: Any) -> Any:
    """What is the same for tags that are the same: their JSON text, since numbers can be made to collide."""
    try:
        return repr(tag).encode() if type(tag) is float else msgspec.json.encode(tag, order="deterministic")
    except Exception:  # noqa: BLE001 - what has no JSON text is like nothing else
        return (id(tag),)
