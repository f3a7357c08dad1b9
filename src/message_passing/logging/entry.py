"""What is kept of a log record: its fields, taken in the caller's thread, ready to be encoded in another.

A record's arguments, extras and exception may change once the call has returned, so the text is formatted
and everything that is not a plain value is encoded here. Nothing here raises an `Exception`, whatever a record
holds, and the result is bounded: see `jsonable.Sample`.
"""

from __future__ import annotations

import contextlib
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.jsonable import ITEMS, Sample, cut, sanitize
from message_passing.logging.ambient import Around, carried, ids_of
from message_passing.logging.attributes import (
    LARGEST_RECORD,
    PLAIN,
    STANDARD,
    level_of_record,
    name_of,
    number_of,
    optional_name,
    process_id_of,
    safe_text,
    time_of,
)
from message_passing.logging.event_dict import (
    exception_of,
    fields_of_event,
    is_event_dict,
    is_wrapping,
    message_of,
    rendered,
)
from message_passing.logging.exceptions import described_exception, error_of, text_of_none
from message_passing.objects import safe

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from contextvars import ContextVar


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """One record. `time` is in seconds since 1970 until it is encoded."""

    time: Any
    level: str
    level_number: int
    logger: str
    message: str
    file: str
    line: int
    function: str
    thread_id: int | None
    thread: str | None
    sequence: int | None = None
    process: str | None = None
    task: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    template: str | None = None
    args: Any = None
    exception: dict[str, Any] | None = None
    stack: str | None = None
    extra: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    truncated: bool = False
    format_error: str | None = None
    process_id: int | None = (
        None  # of the process that logged: a record may have been handed on by another one
    )
    weight: int = 0  # bytes, while it waits to be encoded; the encoded record has no such field


def put_right(entry: Entry) -> Entry:
    """See to it that what every record has is of the type that it should be: filters and factories may change it."""
    entry.time = time_of(entry.time)
    entry.level_number, entry.level = level_of_record(entry.level, entry.level_number)
    entry.line = number_of(entry.line)
    entry.thread_id = None if entry.thread_id is None else number_of(entry.thread_id)
    entry.process_id = process_id_of(entry.process_id)
    for name in ("logger", "file", "function", "thread", "process", "task"):
        setattr(entry, name, optional_name(getattr(entry, name)))
    return entry


def entry_of(record: logging.LogRecord, sequence: int | None = None) -> Entry:
    """What every record has, with its message formatted."""
    entry = Entry(
        record.created,
        record.levelname,
        record.levelno,
        record.name,
        "",
        record.pathname,
        record.lineno,
        record.funcName,
        record.thread,
        record.threadName,
        sequence,
        record.processName,
        record.__dict__.get("taskName"),  # Python 3.11's have none, but records come from elsewhere too
        process_id=record.process,
    )
    if type(record.msg) is str and type(record.args) is tuple and not record.args:
        entry.message = record.msg
    else:
        _add_text(record, entry)
    return put_right(entry)


def _add_text(record: logging.LogRecord, entry: Entry) -> None:
    try:
        if is_event_dict(record.msg) and not record.args:
            entry.message = message_of(record.msg, LARGEST_RECORD)
        else:
            entry.message = safe_text(record.getMessage())
    except Exception as error:  # noqa: BLE001 - the caller's arguments are wrong, which is no reason to fail
        entry.message, entry.format_error = unformatted(record.msg, record.args, error)


def unformatted(template: Any, args: Any, error: Exception) -> tuple[str, str]:
    """A text for a message whose arguments do not fit, with the error."""
    arguments = "" if type(args) is tuple and not args else f" {safe(repr, args)}"
    return f"{safe(str, template)}{arguments}", f"{type(error).__name__}: {safe(str, error)}"


def has_more(record: logging.LogRecord) -> bool:
    """Whether a record holds more than every record does: see `add_rest`."""
    return bool(
        record.exc_info
        or record.exc_text is not None
        or record.stack_info
        or len(record.__dict__) > PLAIN
        or is_event_dict(record.msg)
    )


def add_around(entry: Entry, surroundings: Around | None) -> None:
    """Add the task, unless the record names one, the span, and the context."""
    if surroundings is not None:
        entry.task = surroundings[0] if entry.task is None else entry.task
        entry.trace_id, entry.span_id = ids_of(surroundings)
        entry.context = surroundings[3]


def add_rest(record: logging.LogRecord, entry: Entry, largest: int = LARGEST_RECORD) -> None:
    """Add what only some records have: an exception, a stack, extras.

    Args:
        record: where they are.
        entry: where to put them.
        largest: characters that are taken of each of them.
    """
    attributes = record.__dict__
    # A subclass of dict may have methods of its own: none of them is asked.
    event = record.msg if is_event_dict(record.msg) and not record.args else {}
    logged_a_dict = dict.__len__(event) > 0
    exception, stack = rendered(event, attributes)
    exc_info = record.exc_info or exception_of(dict.get(event, "exc_info"))
    if exc_info:
        entry.exception = described_exception(exc_info, largest)
        if context := carried(error_of(exc_info)):
            entry.context = taken_pairs([*{**context, **(entry.context or {})}.items()], largest)
    if entry.exception is None:
        # loguru leaves an empty line where it has put the traceback into the message.
        text = record.exc_text if not (type(record.exc_text) is str and record.exc_text.isspace()) else None
        text = text or exception or (exc_info and text_of_none(exc_info, largest))
        if text:
            entry.exception = {"traceback": cut(safe_text(text), largest)}
    if text := record.stack_info or stack:
        entry.stack = cut(safe_text(text), largest)
    # Of a million extras no more are looked at than are taken.
    own = (
        pair
        for pair in attributes.items()
        if pair[0] not in STANDARD and not (logged_a_dict and is_wrapping(pair[0], attributes))
    )
    added = list(islice(own, ITEMS))
    if logged_a_dict:
        added += fields_of_event(event, attributes)
    if len(added) == 1 and added[0][0] == "extra" and type(added[0][1]) is dict:
        bound = added[0][1]  # loguru's records, as its sinks get them
        added = list(islice(bound.items(), ITEMS))
        more = len(bound) - len(added)
    else:
        more = len(attributes) - PLAIN - len(added) if len(added) == ITEMS else 0
    if added:
        entry.extra = taken_pairs(added, largest)
        if more > 0:
            entry.extra["..."] = f"({more} items more)"


def context_of(variables: Sequence[ContextVar[Any]], largest: int) -> dict[str, Any]:
    """The values of these context variables, of those that have one, be it their default."""
    found = []
    for variable in variables:
        with contextlib.suppress(LookupError):
            found.append((variable.name, variable.get()))
    return taken_pairs(found, largest)


def arguments_of(record: logging.LogRecord, largest: int) -> Any:
    """A record's arguments, as plain values."""
    if isinstance(record.args, dict):
        return taken_pairs(list(islice(record.args.items(), ITEMS)), largest)
    if not isinstance(record.args, tuple):
        return [plain(record.args, largest)] if record.args is not None else []
    sample = Sample(largest)
    return [_unchanging(sample.of(value)) for value in islice(record.args, ITEMS)]


def taken_pairs(pairs: Sequence[tuple[Any, Any]], largest: int) -> dict[str, Any]:
    """Names and values, which together have a bound, as they are now."""
    sample = Sample(largest)
    return {name_of(name): _unchanging(sample.of(value)) for name, value in pairs}


def plain(value: Any, largest: int = LARGEST_RECORD) -> Any:
    """A value as it is if it cannot change, and otherwise its JSON as it is now; its repr if it has none."""
    return _unchanging(Sample(largest).of(value))


def _unchanging(sample: Any) -> Any:
    """What a `Sample` has made, as JSON if it is more than one value: that takes less memory."""
    if type(sample) is not dict and type(sample) is not list:
        return sample
    try:
        return msgspec.Raw(msgspec.json.encode(sample))
    except UnicodeEncodeError:  # half a surrogate pair
        return msgspec.Raw(msgspec.json.encode(sanitize(sample)))


_RICH = ("exception", "stack", "extra", "context", "args")
"""The parts of an entry, besides its message, whose size an application decides."""


def is_too_large(entry: Entry, limit: int) -> bool:
    """Whether what comes with the message is more than `limit` characters."""
    return sum(size_of(getattr(entry, name)) for name in _RICH) + len(entry.template or "") > limit


def shortened(entry: Entry, limit: int) -> Entry:
    """The entry, marked, with no text in it of more than `limit` characters in all: each part gets a share."""
    entry.truncated = True
    entry.message = cut(entry.message, limit)
    entry.template = entry.template and cut(entry.template, limit)
    if not is_too_large(entry, limit):
        return entry
    entry.template = entry.template and cut(entry.template, limit // 8)
    for name in _RICH:
        setattr(entry, name, truncated(getattr(entry, name), limit // 8))
    return entry


def truncated(value: Any, limit: int) -> Any:
    """A value cut to about `limit` characters: the texts in it, and as many of its items as there is room for."""
    if size_of(value) <= limit or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        kept, left = {}, limit
        for name, item in value.items():
            kept[cut(name, min(200, max(limit, 30)))] = truncated(item, max(left, 100))
            left -= len(name) + min(size_of(item), max(left, 100))
            if left < 0:
                break
        return kept
    if isinstance(value, list):
        return cut(str([bytes(item) if isinstance(item, msgspec.Raw) else item for item in value]), limit)
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, msgspec.Raw) else str(value)
    return cut(text, limit)


def size_of(value: Any) -> int:
    """The characters of all texts in a value that is plain, and 8 for what is no text."""
    if isinstance(value, dict):
        return sum(len(name) + size_of(item) for name, item in value.items())
    if isinstance(value, list):
        return sum(map(size_of, value))
    if isinstance(value, msgspec.Raw):
        return len(bytes(value))
    return len(value) if isinstance(value, str) else 0 if value is None else 8


def weight_of_entry(entry: Entry) -> int:
    """The bytes of memory that an entry takes, nearly: its texts, and what they are in."""
    rich = sum(size_of(getattr(entry, name)) for name in _RICH)
    return 1000 + sys.getsizeof(entry.message) + sys.getsizeof(entry.template) + rich
