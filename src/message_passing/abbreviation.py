"""The beginning of any value as text, at a cost that does not depend on how large, deep or entangled it is.

`repr` builds all of a text before anybody can cut it, and calls methods of the value's class. Nothing of the kind is
done here: of a class that is not known, the attributes are shown that it keeps.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEEP = 8
"""Levels of containers that are shown."""

_BITS = 4096
"""The longest integer that is written out; making decimal digits takes time that grows with the square of it."""

_PLAIN = frozenset({bool, float, complex, type(None), type(...), datetime, date, time, timedelta})
_BRACKETS: tuple[tuple[type[Any], str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "frozenset({", "})"),
)


def abbreviate(value: Any, limit: int) -> str:
    """The value as Python writes it, in about `limit` characters at most; `...` where it was cut.

    Args:
        value: anything. None of its methods is called.
        limit: characters, before the mark of the cut.
    """
    parts: list[str] = []
    room = limit
    try:
        for part in _parts(value, limit, 0):
            parts.append(part[: room + 1])
            room -= len(part)
            if room < 0:
                break
    except Exception as error:  # noqa: BLE001 - it changed meanwhile, or its class is a strange one
        parts.append(f"<{type(error).__name__}>")
    text = "".join(parts)
    return text if len(text) <= limit else f"{text[:limit]}..."


def abbreviate_text(text: str, limit: int) -> str:
    """The text, or its beginning and how much more there is; what UTF-8 does not have is spelt out."""
    size = str.__len__(text)
    kept = str.__getitem__(text, slice(limit)).encode("utf-8", "backslashreplace").decode()
    return kept if size <= limit else f"{kept}... ({size - limit} characters more)"


def abbreviate_bytes(data: bytes | bytearray | memoryview, limit: int) -> str:
    """The bytes as text, or their beginning and how many more there are; what is not UTF-8 is spelt out."""
    view = memoryview(data)
    size = view.nbytes
    head = bytes(view.cast("B")[:limit]) if view.c_contiguous and size else b""
    text = head.decode("utf-8", "backslashreplace")
    return text if size <= limit else f"{text}... ({size - limit} bytes more)"


def class_name(cls: type) -> str:
    """The full name of a class; of Python's own, the short one."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _parts(value: Any, limit: int, depth: int) -> Iterator[str]:
    """The text in pieces, each made only when it is asked for."""
    cls = type(value)  # `isinstance` asks the value too
    if cls in _PLAIN:
        yield repr(value)
    elif issubclass(cls, str):
        yield repr(str.__getitem__(value, slice(limit + 1)))
    elif issubclass(cls, int):
        bits = int.bit_length(value)
        yield int.__repr__(value) if bits <= _BITS else f"<int of {bits} bits>"
    elif issubclass(cls, (bytes, bytearray)):
        yield repr(bytes(memoryview(value)[: limit + 1]))
    elif depth == _DEEP:
        yield "..."
    elif issubclass(cls, dict):
        yield "{"
        yield from _joined(dict.items(value), limit, depth, ": ")
        yield "}"
    else:
        for kind, opening, closing in _BRACKETS:
            if issubclass(cls, kind):
                yield opening
                yield from _joined(((item,) for item in kind.__iter__(value)), limit, depth)
                yield closing
                return
        yield f"<{class_name(cls)}"
        for name, item in _attributes(value):
            yield f" {str(name)[:limit]}="
            yield from _parts(item, limit, depth + 1)
        yield ">"


def _joined(entries: Iterable[tuple[Any, ...]], limit: int, depth: int, between: str = "") -> Iterator[str]:
    # Each entry makes at least one character, so that there is no need for more of them.
    for number, entry in enumerate(islice(entries, limit + 1)):
        if number:
            yield ", "
        for place, item in enumerate(entry):
            if place:
                yield between
            yield from _parts(item, limit, depth + 1)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        kept = object.__getattribute__(value, "__dict__")
    except AttributeError:
        kept = None
    if isinstance(kept, dict):
        yield from dict.items(kept)
        return
    slots = type.__getattribute__(type(value), "__dict__").get("__slots__", ())
    for name in (slots,) if isinstance(slots, str) else slots:
        try:
            yield name, object.__getattribute__(value, name)
        except AttributeError:
            continue
