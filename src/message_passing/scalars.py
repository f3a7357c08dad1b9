"""Single values of types that JSON does not have, as JSON values: subclasses, numpy's and pandas', lazy strings.

A subclass of `str`, `int` or `datetime` is written as its base type writes it, whatever methods it has. numpy and
pandas are recognized by the names of their types: nothing is imported for them.
"""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

NOT_SCALAR: Any = object()
"""What `scalar` returns for anything that is not a single value."""

NATIVE = frozenset({str, int, float, bool, type(None), bytes, date, time, datetime, timedelta, Decimal, UUID})
"""Types that msgspec writes as one value."""

_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})

_TEXT_LIKE = ("__str__", "__len__", "__getitem__", "__add__", "__mod__")
"""What a string can do. Types with all of these: lazy translations, `UserString`, and proxies."""

_TOLD_AS_TEXT = {
    "ipaddress": ("_IPAddressBase",),
    "fractions": ("Fraction",),
    "pandas": ("Period", "Interval"),
}
"""Packages, and those of their types that are written as their `str`."""

_BASED = ("str_", "bytes_")
"""numpy's types that are subclasses of Python's, and handled as such."""

_ODD = ("M", "m", "V")
"""Kinds of numpy's arrays (dates, durations, records) whose `tolist` loses information."""

_OCTETS = 1 << 20
"""How many bytes of an array are converted, if there is a limit."""

_LONGEST = 100
"""The most characters that a foreign type may use for a time."""


def has(value: Any, name: str) -> bool:
    """Whether the type of `value` has an attribute.

    The instance is not asked: mocks, proxies and lazy objects claim to have every attribute.
    """
    return any(name in base.__dict__ for base in type(value).__mro__)


def is_a(kind: type, package: str, *names: str) -> bool:
    """Whether a type is, or comes from, one of these names in a package that need not be loaded."""
    return any(
        base.__name__ in names and str(base.__module__).partition(".")[0] == package for base in kind.__mro__
    )


def scalar(value: Any) -> Any:  # noqa: C901, PLR0912 - a row for each kind
    """A single value in terms of Python's own types: `str`, `int`, `float`, `bool`, `bytes`, `timedelta` and so on.

    Methods of the value's own type are called only where Python's have no answer: for texts made when needed, and for
    the types of numpy, pandas and other libraries that tell a time by `isoformat`.

    Args:
        value: anything.

    Returns:
        What msgspec can write as one value, or `NOT_SCALAR` for containers and objects.
    """
    kind = type(value)
    if kind in NATIVE:
        return value
    if kind in _CONTAINERS:
        return NOT_SCALAR
    if kind.__module__ == "numpy" and is_a(kind, "numpy", "generic") and kind.__name__ not in _BASED:
        return _of_numpy(value)
    if issubclass(kind, enum.Enum):
        return value._value_
    for exact, base in ((str, str.__str__), (int, int.__int__), (float, float.__float__)):
        if issubclass(kind, exact):
            return base(value)
    if issubclass(kind, (bytes, bytearray)):
        return bytes(memoryview(value))
    if issubclass(kind, (date, time)):
        return _moment(value, kind)
    if issubclass(kind, timedelta):
        if is_a(kind, "pandas", "Timedelta") and value.nanoseconds:  # which Python's have not
            return value.isoformat()
        return timedelta.__add__(value, timedelta())
    if issubclass(kind, Decimal):
        return Decimal(value)
    if issubclass(kind, UUID):
        return value
    if issubclass(kind, complex):
        return complex.__repr__(value)
    return _of_library(value, kind)


def _of_library(value: Any, kind: type) -> Any:
    if is_a(kind, "pandas", "NAType"):
        return None
    for package, names in _TOLD_AS_TEXT.items():
        if is_a(kind, package, *names):
            return str(value)
    if is_text_like(value):
        return str.__str__(str(value))
    if has(value, "isoformat"):
        return str(value.isoformat())[:_LONGEST]
    return NOT_SCALAR


def is_text_like(value: Any) -> bool:
    """Whether a value can do what a string can, as a lazy translation or a `UserString`."""
    return all(has(value, name) for name in _TEXT_LIKE) and not (
        has(value, "tolist") or has(value, "keys") or has(value, "append")
    )


def _moment(value: Any, kind: type) -> Any:
    """A date, time or both, in ISO 8601; None if it is neither."""
    if is_a(kind, "pandas", "NaTType"):
        return None
    if is_a(kind, "pandas", "Timestamp"):
        return _in_utc(value.isoformat())  # with nanoseconds, which Python's have not
    if issubclass(kind, datetime):
        return _in_utc(datetime.isoformat(value))
    return date.isoformat(value) if issubclass(kind, date) else _in_utc(time.isoformat(value))


def _in_utc(text: str) -> str:
    """As msgspec writes it."""
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _of_numpy(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind in "iu":
        return int(value)
    if kind == "f":
        return float(value)
    if kind == "c":
        return repr(complex(value))
    if kind == "M":
        return None if (text := str(value)) == "NaT" else text
    if kind == "m":
        return _duration(value)
    return NOT_SCALAR if value.dtype.names else bytes(value)


def _duration(value: Any) -> Any:
    if value.dtype.str[-2] in "YM":  # years and months have no length
        return str(value)
    micros = value.astype("timedelta64[us]")
    found = micros.item()
    if found is None:
        return None
    whole = type(found) is timedelta and micros.astype(value.dtype) == value
    return found if whole else str(value)  # too long or too short for Python's


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy's, an index of pandas', an `array.array`, a tensor or the like."""
    return has(value, "tolist")


def elements(array: Any, limit: int | None = None) -> Any:
    """The elements of an array; its rows if it has several dimensions, and its value if it has none.

    Args:
        array: what `is_array` is true of.
        limit: how many there is room for. Default: all.
    """
    if not is_a(type(array), "numpy", "ndarray"):
        return array.tolist() if limit is None or not has(array, "__len__") else array[:limit].tolist()
    if not array.ndim:
        return array[()]
    if limit is not None:
        limit = min(limit, max(1, _OCTETS // max(1, array.itemsize)))
    part = array if limit is None or limit >= len(array) else array[:limit]
    if part.ndim > 1 or part.dtype.kind in _ODD:
        if is_a(type(part), "numpy", "matrix"):  # whose rows are matrices
            part = part.A
        return list(part)
    return part.tolist()


def fields_of_record(value: Any) -> list[tuple[str, Any]] | None:
    """The fields of an element of numpy's structured arrays; None for all else."""
    if not is_a(type(value), "numpy", "void"):
        return None
    return [(name, value[name]) for name in value.dtype.names or ()]
