"""The encoders of a handler's records in this process, including a user's function for the fields."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from message_passing.identity import program_name, sender_name
from message_passing.logging.attributes import LARGEST_RECORD
from message_passing.logging.entry import Entry
from message_passing.logging.fast_encoder import item_encoder
from message_passing.logging.fields import Origin
from message_passing.logging.snapshot import completed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from message_passing.logging.fast_encoder import NumberedRecord
    from message_passing.logging.settings import HandlerOptions
    from message_passing.logging.snapshot import Snapshotted


class Own(Entry):
    """A record that the function for the fields has logged itself: passing it to that function would loop forever."""


def own(item: Entry | Snapshotted) -> Own:
    """What was taken of a record, marked as the function's own."""
    entry = completed(item, None, LARGEST_RECORD) if isinstance(item, tuple) else item
    return Own(*(getattr(entry, name) for name in Entry.__struct_fields__))


senders: set[int | None] = set()
"""Threads that send records, of all handlers of this process, by their numbers."""


def _is_own(item: Entry | Snapshotted, process_id: int) -> bool:
    """Whether a function for the fields has logged it: this handler's, or what the thread of any handler runs.

    By a queue, or by way of another handler whose function logs as well, such a record comes to us in another thread.
    """
    if isinstance(item, tuple):
        thread, process = item[4][6], item[4][9]
    elif isinstance(item, Own):
        return True
    else:
        thread, process = item.thread_id, item.process_id
    # Of these types exactly: what a record says of itself may be anything, and its methods may raise.
    return type(thread) is type(process) is int and thread in senders and process == process_id


class Lender(Protocol):
    """As much of a shipper as this needs."""

    def lent(self) -> AbstractContextManager[None]:
        """A context in which a user's function runs."""


class Encoders(NamedTuple):
    """The encoders for the application's records, and for the handler's own notices.

    A function of the user's has no part in those: what it cannot deal with must not keep its losses secret.
    """

    record: Callable[[NumberedRecord], bytes]
    notice: Callable[[NumberedRecord], bytes]


def encoders(options: HandlerOptions, shipper: Lender) -> Encoders:
    """What encodes in this process: made after a fork again, since the process id is another."""
    sender = sender_name() if options.identity else None
    origin = Origin(
        socket.gethostname(), options.service or program_name(), os.getpid(), sender, options.level
    )
    fields = options.fields
    if not callable(fields):
        encode = item_encoder(fields, origin, options.largest)
        return Encoders(encode, encode)
    guarded = item_encoder(_guarded(fields, shipper), origin, options.largest)
    plain = item_encoder("default", origin, options.largest)
    process_id = os.getpid()
    return Encoders(lambda item: (plain if _is_own(item[0], process_id) else guarded)(item), plain)


def mapping(made: Any) -> Mapping[str, Any]:
    """The result of a function for the fields.

    Raises:
        TypeError: it is not a mapping.
    """
    if not isinstance(made, Mapping):
        raise TypeError(f"the function for the fields must return a dict, not {type(made).__name__}")
    return made


def _guarded(function: Callable[..., Any], shipper: Lender) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function for the fields, wrapped so that it does not receive its own records and must return a mapping."""

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        with shipper.lent():
            made = mapping(function(found))
            return made if type(made) is dict else dict(made)

    return fields
