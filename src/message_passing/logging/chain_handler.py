"""A handler that passes records to any component (Log::Dispatch::Message::Passing)."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from message_passing.delivery import outside
from message_passing.errors import Fault, OptionError, did_you_mean
from message_passing.logging.ambient import around
from message_passing.logging.encoders import mapping
from message_passing.logging.entry import add_around, add_rest, entry_of, has_more
from message_passing.logging.fields import Fields, Origin, as_dict, as_objects, conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class MessagePassingHandler(logging.Handler):
    """Passes each record, as a dict, to an output or filter, in the thread that logs.

        handler = MessagePassingHandler(JSONEncoder(output_to=FileOutput(filename="app.log")))

    For ZeroMQ, `ZeroMQHandler` costs the application less and loses less.
    """

    def __init__(
        self,
        output: Any,
        level: int | str = logging.NOTSET,
        *,
        service: str = "",
        fields: Fields | Callable[[dict[str, Any]], Mapping[str, Any]] = "default",
    ) -> None:
        """Connect it.

        Args:
            output: anything with `consume`.
            level: as for every handler.
            service: the program's name.
            fields: as for `ZeroMQHandler`; `log_dispatch` is what the original's readers expect.

        Raises:
            TypeError: `output` has no `consume`.
            OptionError: the field set does not exist.
        """
        if not callable(getattr(output, "consume", None)):
            raise TypeError(f"output must have a consume method; {output!r} has none")
        super().__init__(level)
        self.output = output
        self._service = service
        if not callable(fields) and fields not in (known := get_args(Fields)):
            text = f"fields must be one of {', '.join(known)}, or a function, not {fields!r}"
            raise OptionError(Fault(f"MessagePassingHandler: {text}{did_you_mean(str(fields), known)}"))
        self._fields = fields
        self._within = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on; the output's own failures go to its error chain."""
        try:
            entry = entry_of(record)
            add_around(entry, around(record))
            if has_more(record):
                add_rest(record, entry)
            with outside():  # the caller may be within another chain's delivery
                self._hand_on(as_dict(entry, origin := self._origin()), origin)
        except Exception:  # noqa: BLE001 - logging's own way of telling, which the user has chosen
            self.handleError(record)

    def _origin(self) -> Origin:
        return Origin(socket.gethostname(), self._service, os.getpid(), None, self.level)

    def _hand_on(self, default: dict[str, Any], origin: Origin) -> None:
        """Pass it to the output. What is called may log: its own records are not passed to it."""
        if self._within == "output":
            raise RecursionError(
                "the output logged this while it was handling a record: this is not sent to it"
            )
        found = as_objects(default)
        if callable(self._fields):
            if not self._within:
                with self._while("function"):
                    found = mapping(self._fields(found))
        else:
            found = conversion(self._fields, origin)(found)
        with self._while("output"):
            self.output.consume(as_objects(found))

    @contextmanager
    def _while(self, runs: str) -> Iterator[None]:
        before, self._within = self._within, runs  # one thread at a time has the handler's lock
        try:
            yield
        finally:
            self._within = before
