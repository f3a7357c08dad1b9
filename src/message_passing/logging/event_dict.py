"""A dict in place of a message, like structlog's event dicts: one key is the text, the others are fields."""

from __future__ import annotations

import logging
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from message_passing.jsonable import ITEMS, Sample, cut, sanitize
from message_passing.logging.attributes import free
from message_passing.scalars import scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = ("event", "message", "msg")
"""Keys whose value is the text, the first that is there."""

_RENDERED = ("exception", "stack")
"""Keys in which structlog's processors leave the text of a traceback and of a stack."""

_WRAPPED = ("_logger", "_name")
"""What structlog's `wrap_for_formatter` adds to a record, for structlog's own formatter."""


class EventRecord(logging.LogRecord):
    """A record of an event, made in the thread that passes it to a handler, whatever thread and process it names."""

    made_here = True


def is_event_dict(message: Any) -> TypeGuard[dict[Any, Any]]:
    """Whether what was logged is a dict."""
    return issubclass(type(message), dict)


def message_of(event: dict[Any, Any], largest: int) -> str:
    """The text of what was logged: of the key that has it, or else the JSON of all."""
    if (key := _text_key(event)) is not None:
        return str(scalar(dict.__getitem__(event, key)))
    sample = Sample(largest).pairs(dict.items(event), dict.__len__(event))
    return cut(msgspec.json.encode(sanitize(sample)).decode(), largest)


def _text_key(event: dict[Any, Any]) -> str | None:
    for key in _TEXTS:
        if type(scalar(dict.get(event, key))) is str:
            return key
    return None


def exception_of(found: Any) -> Any:
    """What logging calls `exc_info`, of whatever says so: an exception, three values, or that there is one."""
    if issubclass(type(found), BaseException):  # a mock of one is none
        return (type(found), found, found.__traceback__)
    if found is True:
        found = sys.exc_info()
    if type(found) is tuple and len(found) == 3 and issubclass(type(found[1]), BaseException):
        return found
    return None


def fields_of_event(event: dict[Any, Any], attributes: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """The keys that are fields, of a record with these attributes, and their values.

    What structlog says once more (the level and the logger's name) is left out; so is its own object. A key that the
    record has as an extra too gets an underscore.
    """
    text = _text_key(event)
    said = {"level": attributes.get("levelname"), "logger": attributes.get("name")}
    found = []
    for key, value in islice(dict.items(event), ITEMS):
        if type(key) is str:
            if key == text or (key in said and _same(value, said[key])):
                continue
            if key == "exc_info" and (value is None or type(value) is bool or exception_of(value)):
                continue
            if key in _RENDERED and type(value) is str and is_wrapping(_WRAPPED[0], attributes):
                continue
        found.append((free(key, attributes) if type(key) is str and key in attributes else key, value))
    return found


def _same(value: Any, said: Any) -> bool:
    return type(value) is str and type(said) is str and value.lower() == said.lower()


def rendered(event: dict[Any, Any], attributes: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The texts of a traceback and of a stack that structlog's processors have left in an event that it wraps."""
    if not is_wrapping(_WRAPPED[0], attributes):
        return None, None
    found = (dict.get(event, key) for key in _RENDERED)
    exception, stack = (value if type(value) is str else None for value in found)
    return exception, stack


def is_wrapping(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether an attribute is internal to structlog, without information."""
    return name in _WRAPPED and all(one in attributes for one in _WRAPPED)
