"""Encoding most records directly, without making an entry first, which would double the time.

What one log call says again and again (its level, logger, file, line, thread) is encoded once and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.clock import until_seconds
from message_passing.logging.attributes import level_of_record, number_of, optional_name, process_id_of
from message_passing.logging.fields import (
    Fields,
    Origin,
    as_json,
    encoder_for,
    said_of,
)
from message_passing.logging.snapshot import completed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_passing.logging.entry import Entry
    from message_passing.logging.snapshot import CallSite, Snapshotted

_encode_text = msgspec.json.Encoder().encode

_MOST = 1000
"""Places whose encoding is kept, in records of as many log calls and threads."""


NumberedRecord = tuple["Entry | Snapshotted", int | None]
"""An entry or what was taken of a record, and its sequence number."""


def item_encoder(
    fields: Fields | Callable[[dict[str, Any]], Mapping[str, Any]], origin: Origin, largest: int
) -> Callable[[NumberedRecord], bytes]:
    """The function that makes JSON of an entry, or of what was taken of a record.

    Args:
        fields: a field set's name, or a function from the default fields to those that are wanted.
        origin: what every record says of its sender.
        largest: characters of a message above which it is cut.
    """
    whole = encoder_for(fields, origin)

    def encode(item: NumberedRecord) -> bytes:
        what, sequence = item
        if isinstance(what, tuple):
            what = completed(what, sequence, largest)
        else:
            what.sequence = sequence
        return whole(what)

    return _quick_encoder(origin, largest, encode) if fields == "default" else encode


def _quick_encoder(
    origin: Origin, largest: int, slow: Callable[[NumberedRecord], bytes]
) -> Callable[[NumberedRecord], bytes]:
    """The same, for records with nothing unusual; `slow` gets the others."""
    kept: dict[CallSite, tuple[bytes, bytes, bytes]] = {}
    now, begin = -1, b""

    def encode(item: Any) -> bytes:
        nonlocal now, begin
        what, sequence = item
        if sequence is None or not isinstance(what, tuple):
            return slow(item)
        template, args, time, surroundings, where = what
        if surroundings is not None:
            return slow(item)
        try:
            text = template % args if args else template
            if len(text) > largest:
                return slow(item)
            message = _encode_text(text)
            if (parts := kept.get(where)) is None:
                if len(kept) >= _MOST:
                    kept.clear()
                parts = kept[where] = _parts(where, origin)
            seconds, micros = divmod(round(time * 1_000_000), 1_000_000)  # `split_time`, without its call
            if seconds != now:
                now, begin = seconds, b'{"time":"%b.' % until_seconds(seconds).encode()
        except Exception:  # noqa: BLE001 - arguments that do not fit, half a surrogate pair, a time that is none
            return slow(item)
        before, after, end = parts
        return b"%b%06dZ%b%b%b%d%b" % (begin, micros, before, message, after, sequence, end)

    return encode


def _parts(where: CallSite, origin: Origin) -> tuple[bytes, bytes, bytes]:
    """What stands before the message, between it and the sequence number, and after that."""
    name, value, logger, file, line, function, thread_id, thread, process, process_id = where
    number, level = level_of_record(name, value)
    before = {"level": level, "level_number": number, "logger": optional_name(logger)}
    after = {
        "file": optional_name(file),
        "line": number_of(line),
        "function": optional_name(function),
        "thread_id": None if thread_id is None else number_of(thread_id),
        "thread": optional_name(thread),
    }
    said = {} if process is None else {"process": optional_name(process)}
    return (
        b'",' + as_json(before)[1:-1] + b',"message":',
        b"," + as_json(after)[1:-1] + b',"sequence":',
        b"," + as_json({**said, **said_of(origin, process_id_of(process_id))})[1:],
    )
