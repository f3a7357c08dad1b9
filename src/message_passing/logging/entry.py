"""What is kept of a log record: its fields, taken in the caller's thread, ready to be encoded in another.

A record's arguments, extras and exception may change once the call has returned, so the text is formatted
and everything that is not a plain value is encoded here. Nothing here raises for what a record holds.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.jsonable import as_plain, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import ContextVar
    from types import TracebackType

STANDARD = frozenset(
    {
        *(
            "args",
            "asctime",
            "created",
            "exc_info",
            "exc_text",
            "filename",
            "funcName",
            "levelname",
            "levelno",
        ),
        *("lineno", "message", "module", "msecs", "msg", "name", "pathname", "process", "processName"),
        *("relativeCreated", "stack_info", "taskName", "thread", "threadName"),
    }
)
"""The attributes that every record has, or that formatting adds: all others came in by `extra`."""

PLAIN = len(logging.makeLogRecord({}).__dict__)
"""How many attributes a record has to which nothing was added."""

_SCALARS = (str, int, float, bool, type(None))
_NESTED = 8
"""How many chained causes of an exception are described."""


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
    template: str | None = None
    args: Any = None
    exception: dict[str, Any] | None = None
    stack: str | None = None
    extra: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    truncated: bool = False
    format_error: str | None = None


def entry_of(record: logging.LogRecord, sequence: int | None = None) -> Entry:
    """What every record has, its message formatted."""
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
    )
    if type(record.msg) is str and not record.args:
        entry.message = record.msg
    else:
        _add_text(record, entry)
    return entry


def _add_text(record: logging.LogRecord, entry: Entry) -> None:
    try:
        entry.message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - the caller's arguments are wrong, which is no reason to fail
        entry.message, entry.format_error = unformatted(record.msg, record.args, error)


def unformatted(template: Any, args: Any, error: Exception) -> tuple[str, str]:
    """What can be said of a message whose arguments do not fit, and of why."""
    arguments = f" {safe(repr, args)}" if args else ""
    return f"{safe(str, template)}{arguments}", f"{type(error).__name__}: {safe(str, error)}"


def add_rest(record: logging.LogRecord, entry: Entry) -> None:
    """Add what only some records have: an exception, a stack, extras."""
    attributes = record.__dict__
    if record.exc_info:
        entry.exception = described_exception(record.exc_info)
    elif record.exc_text:
        entry.exception = {"traceback": record.exc_text}
    if record.stack_info:
        entry.stack = record.stack_info
    added = attributes.keys() - STANDARD
    if added:
        extra = {name: attributes[name] for name in attributes if name in added}
        if len(extra) == 1 and isinstance(bound := extra.get("extra"), dict):
            extra = bound  # loguru's records, as its sinks get them
        if extra:
            entry.extra = {str(name): plain(value) for name, value in extra.items()}


def task_name() -> str | None:
    """The name of the asyncio task that logs; Python 3.11's records have none."""
    try:
        task = sys.modules["asyncio"].current_task()
    except (KeyError, RuntimeError):
        return None
    return task.get_name() if task else None


def described_exception(
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None] | Any,
) -> dict[str, Any] | None:
    """An exception's type, message and traceback, and the same of what caused it."""
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        return None
    try:
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as trouble:  # noqa: BLE001 - a __str__ or __notes__ that raises
        trace = f"(no traceback: {type(trouble).__name__})"
    described: dict[str, Any] = {**_named(error), "traceback": trace}
    causes: list[dict[str, str]] = []
    seen, cause = {id(error)}, _cause_of(error)
    while cause is not None and id(cause) not in seen and len(causes) < _NESTED:
        seen.add(id(cause))
        causes.append(_named(cause))
        cause = _cause_of(cause)
    if causes:
        described["causes"] = causes
    return described


def _named(error: BaseException) -> dict[str, str]:
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return {"type": name, "message": safe(str, error)}


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def context_of(variables: Sequence[ContextVar[Any]]) -> dict[str, Any]:
    """The values of these context variables, of those that have one."""
    missing = object()
    found = ((variable.name, variable.get(missing)) for variable in variables)
    return {name: plain(value) for name, value in found if value is not missing}


def arguments_of(record: logging.LogRecord) -> Any:
    """A record's arguments, as plain values."""
    if isinstance(record.args, dict):
        return {str(name): plain(value) for name, value in record.args.items()}
    return [plain(value) for value in record.args or ()]


def plain(value: Any) -> Any:
    """A value as it is if it cannot change, and otherwise its JSON as it is now; its repr if it has none."""
    if type(value) in _SCALARS:
        return value
    try:
        return msgspec.Raw(msgspec.json.encode(value, enc_hook=as_plain))
    except Exception:  # noqa: BLE001 - whatever it holds, a log call does not fail for it
        try:
            return msgspec.Raw(msgspec.json.encode(tidy(value)))
        except Exception:  # noqa: BLE001 - circular, or of a type that has no JSON form
            return safe(repr, value)


def safe(convert: Any, value: Any) -> str:
    """What `convert` makes of a value as text; what can be said of it if that raises."""
    try:
        return str(convert(value))
    except Exception as error:  # noqa: BLE001 - a __str__ or __repr__ that raises
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


_RICH = ("exception", "stack", "extra", "context", "args")
"""The parts of an entry, besides its message, whose size an application decides."""


def too_large(entry: Entry, limit: int) -> bool:
    """Whether what comes with the message is more than `limit` characters."""
    return sum(_size(getattr(entry, name)) for name in _RICH) + len(entry.template or "") > limit


def shortened(entry: Entry, limit: int) -> Entry:
    """The entry, marked, with no text in it of more than `limit` characters in all: each part gets a share."""
    entry.truncated = True
    entry.message = cut(entry.message, limit)
    entry.template = entry.template and cut(entry.template, limit)
    if not too_large(entry, limit):
        return entry
    entry.template = entry.template and cut(entry.template, limit // 8)
    for name in _RICH:
        setattr(entry, name, _within(getattr(entry, name), limit // 8))
    return entry


def _within(value: Any, limit: int) -> Any:
    """A value cut to about `limit` characters: the texts in it, and as many of its items as there is room for."""
    if _size(value) <= limit:
        return value
    if isinstance(value, dict):
        kept, left = {}, limit
        for name, item in value.items():
            kept[cut(name, 200)] = _within(item, max(left, 100))
            left -= len(name) + min(_size(item), max(left, 100))
            if left < 0:
                break
        return kept
    if isinstance(value, list):
        return cut(str([bytes(item) if isinstance(item, msgspec.Raw) else item for item in value]), limit)
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, msgspec.Raw) else str(value)
    return cut(text, limit)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _size(item) for name, item in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    if isinstance(value, msgspec.Raw):
        return len(bytes(value))
    return len(value) if isinstance(value, str) else 8


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and how many more there were."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} characters more)"
