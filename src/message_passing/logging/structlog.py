"""structlog: events go to a log handler as they are, with all their keys, without a standard library logger.

    structlog.configure(processors=[..., SendTo(ZeroMQHandler(connect="tcp://logs.example:5558"))])

As the last processor, `SendTo`; or, where other processors make the text, `LoggerFactory`.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from message_passing.errors import needs_extra
from message_passing.logging.attributes import STANDARD, free
from message_passing.logging.event_dict import EventRecord, exception_of

with needs_extra("structlog"):
    import structlog.contextvars
    from structlog import DropEvent
from message_passing.message_fields import LEVELS
from message_passing.objects import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import FrameType

_NAMED = ("debug", "info", "warning", "warn", "error", "err", "critical", "fatal")
_LEVELS = {name: LEVELS[name.upper()] for name in _NAMED} | {"msg": logging.INFO, "exception": logging.ERROR}
"""The levels of structlog's methods."""

# What structlog's own processors call that which a record has an attribute for, and the type that it must be of.
_ATTRIBUTES: dict[str, tuple[str, type]] = {
    "pathname": ("pathname", str),
    "lineno": ("lineno", int),
    "func_name": ("funcName", str),
    "process": ("process", int),
    "process_name": ("processName", str),
    "thread": ("thread", int),
    "thread_name": ("threadName", str),
}
_FRAMES = 1000
"""How many frames of a stack are shown at most, the nearest."""

_OURS = ("structlog", __name__)

# Where structlog keeps who has called a method that runs in a thread of a pool, as `ainfo` does. Old versions do not.
_CALLING: Any = getattr(structlog.contextvars, "_ASYNC_CALLING_STACK", None)
_CALLING_THREAD: Any = getattr(structlog.contextvars, "_ASYNC_CALLING_THREAD", None)


class SendTo:
    """A last processor that sends the event to the handler, and nowhere else."""

    def __init__(self, handler: logging.Handler) -> None:
        """Connect it.

        Args:
            handler: a `ZeroMQHandler`, or any other.
        """
        self._handler = handler

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        """Send an event, and tell structlog that nothing is left to do with it."""
        _send(self._handler, getattr(logger, "name", None), method, event)
        raise DropEvent


class LoggerFactory:
    """Makes loggers that send the last processor's result: a text, or a dict whose keys become fields.

    `structlog.get_logger("shop.orders")` names the logger.
    """

    def __init__(self, handler: logging.Handler) -> None:
        """Connect it.

        Args:
            handler: a `ZeroMQHandler`, or any other.
        """
        self._handler = handler

    def __call__(self, *names: Any) -> Logger:
        """One logger."""
        return Logger(self._handler, str(names[0]) if names else "structlog")


class Logger:
    """What structlog wraps: a method for each level, which takes an event's text and its other keys."""

    def __init__(self, handler: logging.Handler, name: str) -> None:
        self.name = name
        self._handler = handler

    def __getattr__(self, method: str) -> Any:
        """The method of a level."""
        if method not in _LEVELS:
            raise AttributeError(f"a logger has no method {method!r}")

        def send(event: Any = None, **keys: Any) -> None:
            _send(self._handler, self.name, method, {"event": event, **keys})

        return send


def _send(handler: logging.Handler, name: str | None, method: str, event: Mapping[str, Any]) -> None:
    try:
        record = _record_of(name, method, event)
        wanted = record.levelno >= handler.level
    except Exception as error:  # noqa: BLE001 - whatever an event holds, a log call never fails
        text = f"{safe(repr, event)} (not all of the event could be captured: {type(error).__name__})"
        record = logging.LogRecord("structlog", _LEVELS.get(method, logging.INFO), "", 0, text, None, None)
        wanted = record.levelno >= handler.level
    if wanted:
        handler.handle(record)


def _record_of(name: str | None, method: str, event: Mapping[str, Any]) -> logging.LogRecord:
    rest = dict(event)
    said, number = _level(rest, method)
    frame = _caller()
    logger = rest.pop("logger", None)
    record = EventRecord(
        str(logger if logger is not None else name or "structlog"),
        number,
        frame.f_code.co_filename if frame else "",
        frame.f_lineno if frame else 0,
        rest.pop("event", None),
        None,
        _exception(rest, method),
        frame.f_code.co_name if frame else None,
    )
    record.levelname = said
    record.exc_text = _processed_text(rest, "exception")
    record.stack_info = _processed_text(rest, "stack") or _stack(rest, frame)
    if _CALLING_THREAD and (thread := _CALLING_THREAD.get(None)):
        record.thread, record.threadName = thread
    for key, (attribute, kind) in _ATTRIBUTES.items():
        if type(rest.get(key)) is kind:
            record.__dict__[attribute] = rest.pop(key)
    for key, value in rest.items():
        record.__dict__[free(key, {**record.__dict__, **event}) if key in STANDARD else key] = value
    return record


def _level(rest: dict[str, Any], method: str) -> tuple[str, int]:
    """The level's name and number: what `add_log_level` and `add_log_level_number` found, or the method's.

    What is taken is taken out of the event; what is no level stays there, as a field.
    """
    said, number = rest.get("level"), rest.get("level_number")
    name = method
    if type(said) is str and (type(number) is int or _is_level(said.lower(), method)):
        name = rest.pop("level").lower()
    if type(rest.get("level_number")) is int:
        del rest["level_number"]
    if type(number) is not int:
        registered = logging.getLevelNamesMapping().get(name.upper())
        number = _LEVELS.get(name) or registered or _LEVELS.get(method, logging.INFO)
    return logging.getLevelName(number) if name in _LEVELS else name.upper(), number


def _is_level(name: str, method: str) -> bool:
    """Whether a text names a level: another one is the application's own, as of a customer whose level is gold."""
    return name in _LEVELS or name == method or name.upper() in logging.getLevelNamesMapping()


def _exception(rest: dict[str, Any], method: str) -> Any:
    """What `exc_info` says, or the method; what is no exception stays in the event, as a field."""
    given = rest.get("exc_info")
    found = exception_of(True if given is None and method == "exception" else given)
    if found or given is None or type(given) is bool:
        rest.pop("exc_info", None)
    return found


def _processed_text(rest: dict[str, Any], key: str) -> str | None:
    """The text that a processor has made; what is none stays in the event, as a field."""
    return rest.pop(key) if type(rest.get(key)) is str else None


def _stack(rest: dict[str, Any], frame: FrameType | None) -> str | None:
    """The stack, where it was asked for and no processor has made a text of it."""
    if type(given := rest.get("stack_info")) is bool or given is None:
        rest.pop("stack_info", None)
        if given and frame:
            lines = traceback.format_list(traceback.extract_stack(frame, _FRAMES))
            return "".join(["Stack (most recent call last):\n", *lines]).rstrip("\n")
        return None
    return _processed_text(rest, "stack_info")


def _caller() -> FrameType | None:
    """The nearest frame that is neither structlog's nor ours."""
    frame: FrameType | None = _CALLING.get(None) if _CALLING else None
    if frame is None:
        frame = sys._getframe(2)  # noqa: SLF001 - as logging itself does
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
    return frame
