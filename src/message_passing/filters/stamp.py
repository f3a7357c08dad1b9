"""Number each message and add its sender's name. The original has no such filter."""

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
    """Adds the fields `sender` and `sequence` to each message, by which a `Follow` filter detects missing messages.

    The sequence begins with 1 and has no gaps. What is dropped after this filter, by an output or in
    transit, is a gap for the receiver. `message_passing.logging`'s handlers stamp their records themselves.

    With a fixed name, which a restarted process has again, messages also state their run, in
    `sender_run`: nanoseconds since 1970 at its start, in 16 hexadecimal digits. Without it a restart could not be
    told from duplicates. The default names contain it.

    A forked child is a separate sender, with another name or another run. Messages must be objects.
    """

    name = "Stamp"
    example = MappingProxyType({"sender": "web-1"})

    sender: str = option(
        default="",
        description="The sender's name. Default: host, process and start time, unique to this process.",
    )

    def on_init(self) -> None:
        """Start the sequence."""
        super().on_init()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._who = (
            {"sender": self.sender, "sender_run": run_id()} if self.sender else {"sender": sender_name()}
        )
        self._sequence: Iterator[int] = itertools.count(1)

    def filter(self, message: Any) -> dict[str, Any]:
        """Return the message with its stamp.

        Raises:
            MessageError: it is not a dict.
        """
        if not isinstance(message, dict):
            raise MessageError(f"only an object can be stamped, not {type(message).__name__}")
        if self._process != os.getpid():
            self._begin()
        return {**message, **self._who, "sequence": next(self._sequence)}
