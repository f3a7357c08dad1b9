"""What operators and functions of a condition do with values of any type: none of them raises.

A value of the wrong type, like a field that is missing, gives None, and compared with it, less and greater are false.
"""

from __future__ import annotations

import operator
import sys
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from message_passing.clock import wall
from message_passing.dotted import value_at
from message_passing.message_fields import LEVELS, SPELLED, level_of, message_time, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable

NUMERIC = frozenset((int, float, bool))

_LONGEST_TEXT = 1 << 20
"""Characters of a text that `+` may make."""

MOST_STRIPPED = 1000
"""Characters that `strip` takes away, if a field lists them: each of a text's is searched for among all of these."""

_LONGEST_NUMBER = 1 << 64
"""Integers beyond this become floats: multiplying long integers takes time with the square of their digits."""

_spelled = SPELLED.get


def level_number_of(message: Any) -> float | None:
    """The number of a message's level, as `message_fields.level_of`; the usual spellings are looked up first."""
    if "level_number" not in message:
        found = message.get("level")
        if found.__class__ is str and (number := _spelled(found)) is not None:
            return number
    return level_of(message)


def level_number_of_fields(fields: Any) -> float | None:
    """The same, by a message's fields (`read_fields.ReadFields`)."""
    number = fields.level_number
    if number is UNSET:
        found = fields.level
        if found.__class__ is str and (number := _spelled(found)) is not None:
            return number
    elif number.__class__ is int:
        return number
    return level_of(fields.as_dict())


def spelled_level(value: Any) -> float | None:
    """The number of a level by its name; a number as it is."""
    if value.__class__ is str:
        return _spelled(value) or LEVELS.get(value.upper())
    return value if isinstance(value, (int, float)) else None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        comparable = (left.__class__ in NUMERIC and right.__class__ in NUMERIC) or (
            left.__class__ is str and right.__class__ is str
        )
        return comparable and compare(left, right)

    return compared


COMPARE = {
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}
"""Numbers are compared with numbers, and texts with texts."""


def contains(value: Any, within: Any) -> bool:
    """Whether a text is part of a text, a value is in a list, or a field in a dict."""
    if within.__class__ is str:
        return value.__class__ is str and value in within
    if isinstance(within, (list, tuple)):
        return value in within
    return isinstance(within, dict) and value.__class__ is str and value in within


def _arithmetic(calculate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def calculated(left: Any, right: Any) -> Any:
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            return None
        try:
            found = calculate(_bounded(left), _bounded(right))
        except ArithmeticError:  # divided by zero, or too large for a float
            return None
        return found if isfinite(found) else None

    return calculated


def _bounded(number: float) -> float:
    return number if -_LONGEST_NUMBER < number < _LONGEST_NUMBER else float(number)


_added = _arithmetic(operator.add)


def _plus(left: Any, right: Any) -> Any:
    if left.__class__ is str and right.__class__ is str:
        return left + right if len(left) + len(right) <= _LONGEST_TEXT else None
    return _added(left, right)


CALCULATE = {
    "+": _plus,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "//": _arithmetic(operator.floordiv),
    "%": _arithmetic(operator.mod),
}


def negative(value: Any) -> Any:
    """The number with the other sign."""
    return -value if isinstance(value, (int, float)) else None


def item(value: Any, key: str | int) -> Any:
    """A field of a dict, by its exact name, or an item of a list."""
    if isinstance(key, str):
        return value.get(key) if isinstance(value, dict) else None
    if isinstance(value, list) and -len(value) <= key < len(value):
        return value[key]
    return None


def field_at(message: Any, path: str) -> Any:
    """The field at a dotted name; see `dotted.value_at`."""
    return value_at(message, path)


def length(value: Any) -> int | None:
    """Characters of a text, items of a list, fields of a dict."""
    return len(value) if isinstance(value, (str, list, dict)) else None


def number(value: Any) -> float | None:
    """The number that a text spells; a number as it is."""
    if isinstance(value, (int, float)):
        return value
    if value.__class__ is not str or len(value) > 100 or "_" in value:
        return None
    for kind in (int, float):
        try:
            found = kind(value)
        except ValueError:
            continue
        return found if isfinite(found) else None  # JSON has no others
    return None


def text(value: Any) -> str | None:
    """A number or truth value as JSON writes it; a text as it is."""
    if value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value) if isfinite(value) else None
    return str(value) if isinstance(value, int) and abs(value) < _LONGEST_NUMBER else None


def age(value: Any) -> float | None:
    """Seconds since the time that a field holds: a number, or ISO 8601; see `message_fields.message_time`."""
    made = moment_of(value, utc=True)
    return None if made is None else wall() - made


def message_age(message: Any) -> float | None:
    """Seconds since a message was made, by its own time."""
    made = message_time(message)
    return None if made is None else wall() - made


def age_of_fields(fields: Any) -> float | None:
    """The same, by its fields."""
    return message_age(fields.as_dict())


METHODS = {
    "startswith": 1,
    "endswith": 1,
    "lower": 0,
    "upper": 0,
    "strip": 1,
    "lstrip": 1,
    "rstrip": 1,
    "removeprefix": 1,
    "removesuffix": 1,
    "isdigit": 0,
}
"""Methods of a text that a condition may call, and the most arguments that each takes."""

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"age": age, "len": length, "number": number, "text": text}
"""Functions of one value."""


def call_method(name: str) -> Callable[..., Any]:
    """A method of a text as a function, which gives None if one of its values is no text."""
    method: Callable[..., Any] = getattr(str, name)
    most = MOST_STRIPPED if name.endswith("strip") else sys.maxsize

    def called(value: Any, *arguments: Any) -> Any:
        if value.__class__ is not str or any(one.__class__ is not str for one in arguments):
            return None
        if any(len(one) > most for one in arguments):
            return None
        return method(value, *arguments)

    return called
