"""structlog: events to a log handler as they are, with all their keys, and no logger of the standard library.

    structlog.configure(processors=[..., SendTo(ZeroMQHandler(connect="tcp://logs.example:5558"))])

As the last processor, `SendTo`; or, where other processors make the text, `LoggerFactory`.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from message_passing.errors import needs_extra
from message_passing.logging.entry import STANDARD

with needs_extra("structlog"):
    from structlog import DropEvent
from message_passing.objects import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import FrameType

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "msg": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "err": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}

# What structlog's own processors call that which a record has an attribute for.
_SAME = {"pathname", "lineno", "process", "thread"}
_RENAMED = {"func_name": "funcName", "thread_name": "threadName", "process_name": "processName"}
_USED = {"event", "level", "level_number", "logger", "exc_info", "exception", "stack", "stack_info"}
_OURS = ("structlog", __name__)


class SendTo:
    """A last processor: the event goes to the handler, and nowhere else."""

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
    """Makes loggers that send what the last processor gives: a text, or a dict, whose keys become fields.

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
        text = f"{safe(repr, event)} (not all of the event could be taken: {type(error).__name__})"
        record = logging.LogRecord("structlog", _LEVELS.get(method, logging.INFO), "", 0, text, None, None)
        wanted = record.levelno >= handler.level
    if wanted:
        handler.handle(record)


def _record_of(name: str | None, method: str, event: Mapping[str, Any]) -> logging.LogRecord:
    said, number = _level(event, method)
    frame = _caller()
    logger = event.get("logger")
    record = logging.LogRecord(
        str(logger if logger is not None else name or "structlog"),
        number,
        frame.f_code.co_filename if frame else "",
        frame.f_lineno if frame else 0,
        event.get("event"),
        None,
        _exception(event.get("exc_info"), method),
        frame.f_code.co_name if frame else None,
    )
    record.levelname = said
    record.exc_text = event.get("exception")
    stack = event.get("stack") or event.get("stack_info")
    record.stack_info = stack if isinstance(stack, str) else None
    for key, value in event.items():
        if key in _RENAMED or key in _SAME:
            record.__dict__[_RENAMED.get(key, key)] = value
        elif key not in _USED:
            record.__dict__[f"{key}_" if key in STANDARD else key] = value
    return record


def _level(event: Mapping[str, Any], method: str) -> tuple[str, int]:
    """The level's name and number: what `add_log_level` and `add_log_level_number` found, or the method's."""
    said, number = event.get("level"), event.get("level_number")
    name = said.lower() if isinstance(said, str) else method
    if type(number) is not int:
        number = _LEVELS.get(name) or _LEVELS.get(method, logging.INFO)
    return logging.getLevelName(number) if name in _LEVELS else name.upper(), number


def _exception(found: Any, method: str) -> Any:
    if isinstance(found, BaseException):
        return (type(found), found, found.__traceback__)
    if found is True or (found is None and method == "exception"):
        found = sys.exc_info()
    return found if isinstance(found, tuple) and len(found) == 3 and found[0] else None


def _caller() -> FrameType | None:
    """The nearest frame that is neither structlog's nor ours."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as logging itself does
    while frame and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
    return frame
