"""Say in every message who sent it and as which. The original has no such filter."""

from __future__ import annotations

import itertools
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError
from message_passing.flow import Filter
from message_passing.identity import run_id, sender_name
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Iterator


class StampFilter(Filter):
    """Adds the fields `sender` and `sequence` to each message, by which a `Follow` filter can tell what is missing.

    The sequence begins with 1 and has no gaps. What is dropped behind this filter, by an output or on its
    way, is a gap for the receiver. `message_passing.logging`'s handlers stamp their records themselves.

    With a name of yours, which a process that is started again has again, messages also say which run they are of, in
    `sender_run`: nanoseconds since 1970 at its start, in 16 hexadecimal digits. Without it a restart could not be
    told from duplicates. The names that are made by default have it in them.

    A forked child is a sender of its own: another name, or another run. Messages must be objects.
    """

    name = "Stamp"
    example = MappingProxyType({"sender": "web-1"})

    sender: str = option(
        default="",
        description="The sender's name. Default: host, process and start time, unique to this process.",
    )

    def on_init(self) -> None:
        """Nothing was sent yet."""
        super().on_init()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._who = (
            {"sender": self.sender, "sender_run": run_id()} if self.sender else {"sender": sender_name()}
        )
        self._sequence: Iterator[int] = itertools.count(1)

    def filter(self, message: Any) -> dict[str, Any]:
        """The message with its stamp.

        Raises:
            MessageError: it is no dict.
        """
        if not isinstance(message, dict):
            raise MessageError(f"only an object can be stamped, not {type(message).__name__}")
        if self._process != os.getpid():
            self._begin()
        return {**message, **self._who, "sequence": next(self._sequence)}
