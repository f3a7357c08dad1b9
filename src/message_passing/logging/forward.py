"""A handler that gives records to any component (Log::Dispatch::Message::Passing)."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from message_passing.logging.ambient import around
from message_passing.logging.entry import add_around, add_rest, entry_of, has_more
from message_passing.logging.fields import Origin, as_dict, unpacked


class MessagePassingHandler(logging.Handler):
    """Hands each record, as a dict, to an output or filter, in the thread that logs.

        handler = MessagePassingHandler(JSONEncoder(output_to=FileOutput(filename="app.log")))

    For ZeroMQ, `ZeroMQHandler` costs the application less and loses less.
    """

    def __init__(self, output: Any, level: int | str = logging.NOTSET, *, service: str = "") -> None:
        """Connect it.

        Args:
            output: anything with `consume`.
            level: as for every handler.
            service: the program's name.

        Raises:
            TypeError: `output` has no `consume`.
        """
        if not callable(getattr(output, "consume", None)):
            raise TypeError(f"output must have a consume method; {output!r} has none")
        super().__init__(level)
        self.output = output
        self._service = service

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record on; a failure of the output's own is its error chain's business."""
        try:
            entry = entry_of(record)
            if has_more(record):
                add_rest(record, entry)
            add_around(entry, around(record))
            self.output.consume(
                unpacked(as_dict(entry, Origin(socket.gethostname(), self._service, os.getpid(), None)))
            )
        except Exception:  # noqa: BLE001 - logging's own way of telling, which the user has chosen
            self.handleError(record)
