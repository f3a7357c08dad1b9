"""Objects that JSON does not know, in terms of what it knows: the rules that the codec and the log handler share."""

from __future__ import annotations

import binascii
import enum
import json
import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CONVERSIONS = ("__json__", "to_dict", "to_hash", "pack")

DEPTH = 20
"""How deep `Sample` goes: what is nested deeper is marked."""

ITEMS = 5000
"""How many items it takes in all, of all containers together."""

_FREE_CALLS, _SECONDS = 20, 0.005
"""How many objects of other types than JSON's are dealt with in any case, and seconds that more may take."""

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1  # integers that msgspec writes
_BITS = 4096  # of the largest integer that is written as text: Python refuses more than some 14,000
_WHOLE = (date, time, timedelta, UUID, Decimal)  # each is one text in JSON; a datetime is a date


def has(value: Any, name: str) -> bool:
    """Whether the type of `value` has an attribute.

    An instance is not asked: mocks, proxies and lazy objects answer that they have any.
    """
    return any(name in base.__dict__ for base in type(value).__mro__)


def converter(value: Any) -> Callable[[], Any] | None:
    """What turns an object into something that JSON knows, if its type has a method for that."""
    if has(value, "model_dump"):
        return lambda: value.model_dump(mode="json")
    for method in _CONVERSIONS:
        if has(value, method) and callable(getattr(value, method, None)):
            return partial(_call, value, method)
    return None


def _call(value: Any, method: str) -> Any:
    return getattr(value, method)()


def as_plain(value: Any) -> Any:
    """An object that JSON does not know, in terms of what it knows.

    Raises:
        NotImplementedError: it offers no way.
    """
    if convert := converter(value):
        return convert()
    kind = type(value)
    if issubclass(kind, os.PathLike):
        return os.fspath(value)
    if issubclass(kind, Mapping):
        return dict(value)
    if issubclass(kind, (Sequence, AbstractSet)):
        return list(value)
    raise NotImplementedError(f"an object of type {kind.__name__} has no JSON form")


def tidy(value: Any) -> Any:
    """What msgspec would write of `value`, with keys, surrogates and numbers that it refuses made plain."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict):
        return {_key(key): tidy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [tidy(item) for item in value]
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=as_plain)
    except NotImplementedError as error:
        raise TypeError(str(error)) from error
    return tidy(plain)


def _key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(tidy(key if isinstance(key, str) else str(key)))


def safe(convert: Any, value: Any) -> str:
    """What `convert` makes of a value as text; what can be said of it if that raises."""
    try:
        text = convert(value)
        # A subclass of str may have methods that raise, or worse: this makes a copy without asking it.
        return text if type(text) is str else str.__str__(text)
    except Exception as error:  # noqa: BLE001 - a __str__ or __repr__ that raises
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and how many more there were."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} characters more)"


class Sample:
    """Makes values plain (dicts, lists, texts, numbers), no more of them than there is room for.

    For whoever must do it at once and must not take long, whatever he is given: a million items, a text of a
    gigabyte, a structure that holds itself, an iterable without an end, objects whose methods raise. Where something
    was left out a text says how much. Nothing raises for what a value holds. An iterator is not consumed.

    What cannot be bounded is the time that one method of an object's own takes.
    """

    def __init__(self, characters: int) -> None:
        """Begin.

        Args:
            characters: of all texts together.
        """
        self._characters = characters
        self._items = ITEMS
        self._calls = 0
        self._deadline = 0.0

    def of(self, value: Any, depth: int = 0) -> Any:
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
            if self._is_too_late():
                return f"... (a {kind.__name__}: there was no time for more)"
            return self._of_other(value, kind, depth)
        except Exception:  # noqa: BLE001 - whatever it holds, who asked must not fail for it
            return self.text(safe(repr, value))

    def _is_too_late(self) -> bool:
        """Whether objects have taken too long to be told what they are, and to turn into something else."""
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
        taken = list(islice(pairs, self._items))
        self._items -= len(taken)
        found = {self._key(key, depth): self.of(item, depth + 1) for key, item in taken}
        if size > len(taken):
            found["..."] = f"({size - len(taken)} items more)"
        return found

    def _of_other(self, value: Any, kind: type, depth: int) -> Any:  # noqa: C901 - a row for each kind
        if issubclass(kind, enum.Enum):
            return self.of(value._value_, depth + 1) if depth < DEPTH else self.text(safe(str, value))
        for exact, base in ((str, str.__str__), (int, int.__int__), (float, float.__float__)):
            if issubclass(kind, exact):  # a subclass, whose own methods are not called
                return self.of(base(value), depth)
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return self._octets(value)
        if issubclass(kind, _WHOLE):
            return self.of(msgspec.to_builtins(value, enc_hook=str), depth)
        if depth >= DEPTH:
            return f"... (a {kind.__name__}, nested more than {DEPTH} deep)"
        if (fields := _fields(value)) is not None:
            return self.pairs(fields, len(fields), depth)
        if convert := converter(value):
            return self.of(convert(), depth + 1)
        if issubclass(kind, os.PathLike):
            return self.of(os.fspath(value), depth)
        if issubclass(kind, Mapping):
            return self.pairs(value.items(), len(value), depth)
        if issubclass(kind, (Sequence, AbstractSet)):
            return self._list(value, len(value), depth)
        return self.text(safe(repr, value))

    def _list(self, items: Iterable[Any], size: int, depth: int) -> list[Any]:
        taken = list(islice(items, self._items))
        self._items -= len(taken)
        found = [self.of(item, depth + 1) for item in taken]
        return [*found, f"... ({size - len(taken)} items more)"] if size > len(taken) else found

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
        if key is None or kind is bool:
            return json.dumps(key)
        found = self.of(key, max(depth + 1, DEPTH - 2))
        return found if type(found) is str else self.text(safe(str, found))


def _fields(value: Any) -> list[tuple[str, Any]] | None:
    """The fields of a dataclass, an attrs object or a msgspec.Struct, by their names in JSON."""
    if has(value, "__struct_encode_fields__"):
        kind = type(value)
        config = kind.__struct_config__
        tag = [] if config.tag is None else [(config.tag_field, config.tag)]
        names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        return [*tag, *((name, getattr(value, own)) for name, own in names)]
    if has(value, "__dataclass_fields__"):
        given: Iterable[str] = type(value).__dataclass_fields__
    elif has(value, "__attrs_attrs__"):
        given = [field.name for field in type(value).__attrs_attrs__]
    else:
        return None
    return [(name, getattr(value, name)) for name in given if hasattr(value, name)]


def _long_number(value: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= _BITS else f"<an integer of {bits} bits>"
