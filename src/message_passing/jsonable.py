"""Objects that JSON cannot express, in terms of what it can: rules shared by the codec and the log handler."""

from __future__ import annotations

import binascii
import enum
import json
import math
import os
from collections import deque
from collections.abc import Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.clock import monotonic
from message_passing.objects import converter, describe_object, distinct, fields_of, pairs_of, safe
from message_passing.scalars import (
    NATIVE,
    NOT_SCALAR,
    elements,
    fields_of_record,
    has,
    is_a,
    is_array,
    scalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

DEPTH = 20
"""How many levels deep `Sample` goes: anything nested deeper is marked."""

ITEMS = 5000
"""How many items it takes from all containers together."""

_FREE_CALLS, _SECONDS = 20, 0.005
"""How many objects of types that JSON does not have are always converted, and the seconds for any more."""

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1  # integers that msgspec writes
_BITS = 4096  # of the largest integer that is written as text: Python refuses more than some 14,000
_SWIFT = frozenset(
    {list, tuple, set, frozenset, range, deque, type({}.keys()), type({}.values()), type({}.items())}
)
"""Types whose items cost nothing to get."""

_LISTED = (Sequence, AbstractSet, ValuesView)

_EXACT = frozenset({str, int, float, bool, type(None)})


def to_jsonable(value: Any) -> Any:
    """An object that JSON cannot express, in terms of what it can.

    Raises:
        NotImplementedError: it offers no way.
    """
    if (found := scalar(value)) is not NOT_SCALAR:
        return found
    if (fields := fields_of_record(value)) is not None:
        return dict(fields)
    if is_a(type(value), "pandas", "Series", "DataFrame"):  # `to_dict` loses those whose key comes again
        names = distinct([_key(key) for key in (value.columns if has(value, "columns") else value.index)])
        return dict(zip(names, (item for _, item in value.items()), strict=True))
    if convert := converter(value):
        return convert()
    kind = type(value)
    if issubclass(kind, os.PathLike):
        return os.fspath(value)
    if is_array(value):
        return elements(value)
    # Here a proxy is asked, which answers for what it stands for.
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, _LISTED):
        return list(value)
    raise NotImplementedError(f"an object of type {kind.__name__} has no JSON form")


def sanitize(value: Any) -> Any:
    """`value` with those keys, surrogates and numbers converted that msgspec would refuse to write.

    Raises:
        TypeError: it holds something that has no JSON form.
    """
    kind = type(value)
    if kind is str:
        return value.encode("utf-8", "backslashreplace").decode()
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in NATIVE:
        return value if kind in _EXACT else _as_text(value)
    if issubclass(kind, dict):
        return {_key(key): sanitize(item) for key, item in value.items()}
    if issubclass(kind, (list, tuple, set, frozenset)):
        return [sanitize(item) for item in value]
    if (found := scalar(value)) is not NOT_SCALAR:
        return sanitize(found if type(found) in _EXACT or issubclass(kind, enum.Enum) else _as_text(found))
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=to_jsonable)
    except NotImplementedError as error:
        raise TypeError(str(error)) from error
    except TypeError:  # a key within it is none that msgspec writes
        plain = to_jsonable(value) if (fields := fields_of(value)) is None else dict(fields)
    return sanitize(plain)


def _as_text(value: Any) -> str:
    """Bytes, dates, times, UUIDs and decimals: each is one text in JSON."""
    found: str = msgspec.to_builtins(value)
    return found


def _key(key: Any) -> str:
    if (found := scalar(key)) is NOT_SCALAR:
        return str(sanitize(str(key)))
    plain = sanitize(found)
    return json.dumps(plain) if plain is None or type(plain) is bool else str(plain)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and how many more there were."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} characters more)"


class Sample:
    """Makes values plain (dicts, lists, texts, numbers), no more of them than there is room for.

    For code that must convert immediately and quickly, whatever it is given: a million items, a string of a
    gigabyte, a structure that contains itself, an endless iterable, objects whose methods raise. Where something is
    left out, a text says how much. Contents never raise. An iterator is not consumed.

    The time that a single method of an object takes cannot be bounded.
    """

    def __init__(self, characters: int) -> None:
        """Begin.

        Args:
            characters: the most characters of all strings together.
        """
        self._characters = characters
        self._items = ITEMS
        self._calls = 0
        self._deadline = 0.0

    def of(self, value: Any, depth: int = 0) -> Any:  # noqa: C901 - each row saves a call
        """A value, as far as there is room for it."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if _LEAST <= value <= _MOST else self.text(_long_number(value))
        if kind is float:
            return value if math.isfinite(value) else None
        try:
            if kind is dict and depth < DEPTH:
                return self.pairs(value.items(), len(value), depth)
            if kind in (list, tuple) and depth < DEPTH:
                return self._list(value, len(value), depth)
            if depth >= DEPTH and kind in (dict, list, tuple):
                return _too_deep(kind)
            if self._is_too_late():
                return f"... (a {kind.__name__}: there was no time for more)"
            return self._of_other(value, kind, depth)
        except Exception as error:  # noqa: BLE001 - whatever it holds, who asked must not fail for it
            if issubclass(kind, (*_LISTED, Mapping)):  # a `repr` has all of it
                return f"<{kind.__name__} that could not be read: {type(error).__name__}>"
            return self.text(safe(repr, value))

    def _is_too_late(self) -> bool:
        """Whether recognizing and converting objects has taken too long."""
        self._calls += 1
        if self._calls <= _FREE_CALLS:
            return False
        now = monotonic()
        self._deadline = self._deadline or now + _SECONDS
        return now > self._deadline

    def text(self, text: str) -> str:
        """As much of a text as there is room for."""
        found = cut(text, self._characters) if len(text) > self._characters else text
        self._characters = max(0, self._characters - len(text))
        return found

    def pairs(self, pairs: Iterable[tuple[Any, Any]], size: int, depth: int = 0) -> dict[str, Any]:
        """As many keys and values as there is room for.

        Args:
            pairs: the keys and values.
            size: how many there are, to say how many were left out.
            depth: how deep they are nested.
        """
        taken, trouble = self._taken(pairs)
        names = distinct([self._key(key, depth) for key, _ in taken])
        found = {name: self.of(item, depth + 1) for name, (_, item) in zip(names, taken, strict=True)}
        if trouble or size > len(taken):
            found["..."] = f"({trouble or f'{size - len(taken)} items more'})"
        return found

    def _taken(self, items: Iterable[Any]) -> tuple[list[Any], str]:
        """As many items as there is room for, or can be had; and what went wrong."""
        taken: list[Any] = []
        trouble = ""
        try:
            if type(items) in _SWIFT:
                taken.extend(islice(items, self._items))
            else:
                for item in islice(items, self._items):
                    taken.append(item)
                    if self._is_too_late():
                        trouble = "there was no time for more"
                        break
        except Exception as error:  # noqa: BLE001 - those before it are good
            trouble = f"the rest could not be read: {type(error).__name__}"
        self._items -= len(taken)
        return taken, trouble

    def _of_other(self, value: Any, kind: type, depth: int) -> Any:  # noqa: C901 - a row for each kind
        if issubclass(kind, enum.Enum):
            return self.of(value._value_, depth + 1) if depth < DEPTH else self.text(safe(str, value))
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return self._octets(value)
        if (single := scalar(value)) is not NOT_SCALAR:  # a subclass has no say in it
            return self.of(single, depth) if type(single) in _EXACT else self.text(_as_text(single))
        if depth >= DEPTH:
            return _too_deep(kind)
        fields = fields_of_record(value) or fields_of(value)
        if fields is not None:
            return self.pairs(fields, len(fields), depth)
        if is_a(kind, "pandas", "DataFrame", "Series"):  # whose `to_dict` takes as long as they are large
            return self.pairs(value.items(), len(value.columns if has(value, "columns") else value), depth)
        if convert := converter(value):
            return self.of(convert(), depth + 1)
        if issubclass(kind, os.PathLike):
            return self.of(os.fspath(value), depth)
        if is_array(value):
            return self._array(value, depth)
        if issubclass(kind, Mapping):
            return self.pairs(pairs_of(value), len(value), depth)
        if issubclass(kind, _LISTED):
            return self._list(value, len(value), depth)
        return self.text(describe_object(value))

    def _list(self, items: Iterable[Any], size: int, depth: int) -> list[Any]:
        taken, trouble = self._taken(items)
        found = [self.of(item, depth + 1) for item in taken]
        if trouble or size > len(taken):
            found.append(f"... ({trouble or f'{size - len(taken)} items more'})")
        return found

    def _array(self, value: Any, depth: int) -> Any:
        found = elements(value, self._items)
        return self._list(found, len(value), depth) if type(found) is list else self.of(found, depth + 1)

    def _octets(self, value: bytes | bytearray | memoryview) -> str:
        room = self._characters // 4 * 3
        view = memoryview(value)
        taken = view[:room].tobytes() if view.nbytes > room else view.tobytes()
        found = self.text(binascii.b2a_base64(taken, newline=False).decode())
        return f"{found}... ({view.nbytes - len(taken)} bytes more)" if len(taken) < view.nbytes else found

    def _key(self, key: Any, depth: int) -> str:
        kind = type(key)
        if kind is str:
            return self.text(key)
        found = self.of(key, max(depth + 1, DEPTH - 2))
        if found is None or type(found) is bool:
            return json.dumps(found)
        return found if type(found) is str else self.text(safe(str, found))


def _too_deep(kind: type) -> str:
    return f"... (a {kind.__name__}, nested more than {DEPTH} deep)"


def _long_number(value: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= _BITS else f"<an integer of {bits} bits>"
