"""The beginning of any value as text, at a cost that does not depend on its size, depth or references.

`repr` builds the whole text before it can be cut, and calls methods of the value's class. Nothing here does: of an
instance of an unknown class, the stored attributes are shown.
"""

from __future__ import annotations

import codecs
import json
import math
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEEP = 8
"""How many levels of nested containers are shown."""

_BITS = 4096
"""The longest integer, in bits, that is written out: converting to decimal takes quadratic time."""

_PLAIN = frozenset({bool, float, complex, type(None), type(...), datetime, date, time, timedelta})
_BRACKETS: tuple[tuple[type[Any], str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "frozenset({", "})"),
)


def bounded_repr(value: Any, limit: int) -> str:
    """The value as `repr` would write it, in at most about `limit` characters; `...` where it was cut.

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
    """The text, or its beginning and how much more there is; lone surrogates are escaped."""
    size = str.__len__(text)
    kept = str.__getitem__(text, slice(limit)).encode("utf-8", "backslashreplace").decode()
    return kept if size <= limit else f"{kept}... ({size - limit} characters more)"


def abbreviate_bytes(data: bytes | bytearray | memoryview, limit: int) -> str:
    """The bytes as text, or their beginning and how many more there are; what is not UTF-8 is escaped."""
    head, more = beginning(data, limit)
    text = head.decode("utf-8", "backslashreplace")
    return f"{text}... ({more} bytes more)" if more else text


def beginning(data: bytes | bytearray | memoryview, limit: int) -> tuple[bytes, int]:
    """The first bytes, and how many more there are. A UTF-8 character is not cut in two."""
    view = memoryview(data)
    size = view.nbytes
    head = bytes(view.cast("B")[:limit]) if view.c_contiguous and size else b""
    if size > limit:
        whole = codecs.getincrementaldecoder("utf-8")("replace")
        whole.decode(head)
        head = head[: len(head) - len(whole.getstate()[0])]
    return head, size - len(head) if view.c_contiguous else max(0, size - limit)


def abbreviate_json(value: Any, limit: int) -> tuple[str, bool] | None:
    """The value as JSON text, in at most about `limit` characters; `...` where it was cut.

    Args:
        value: anything. None of its methods is called.
        limit: characters, before the mark of the cut.

    Returns:
        The text, and whether it was cut; None if the value contains something that JSON has not, such as bytes.
    """
    parts: list[str] = []
    room = limit
    try:
        for part in _json_parts(value, limit):
            parts.append(part[: room + 1])
            room -= len(part)
            if room < 0:
                break
    except Exception:  # noqa: BLE001 - it is not JSON, or changed meanwhile, or its class is a strange one
        return None
    # Half a surrogate pair: JSON writes it so too.
    text = "".join(parts).encode("utf-8", "backslashreplace").decode()
    return (text, False) if room >= 0 else (f"{text[:limit]}...", True)


def class_name(cls: type) -> str:
    """The qualified name of a class; the short one for built-in classes."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _parts(value: Any, limit: int, depth: int) -> Iterator[str]:
    """The text in pieces, each made only on demand."""
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


def _json_parts(value: Any, limit: int) -> Iterator[str]:
    """JSON text in pieces, each made only on demand, without recursion.

    Raises:
        TypeError: it contains something that JSON cannot express.
    """
    waiting: list[Iterator[str | _Inner]] = [iter((_Inner(value),))]
    while waiting:
        part = next(waiting[-1], None)
        if part is None:
            waiting.pop()
        elif isinstance(part, str):
            yield part
        else:
            waiting.append(_json_of(part.value, limit))


class _Inner:
    """A value whose pieces come next."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _json_of(value: Any, limit: int) -> Iterator[str | _Inner]:
    cls = type(value)  # `isinstance` asks the value too
    if value is None or cls is bool:
        yield {None: "null", True: "true", False: "false"}[value]
    elif issubclass(cls, str):
        yield _json_text(value, limit)
    elif issubclass(cls, int) and int.bit_length(value) <= _BITS:
        yield int.__repr__(value)
    elif issubclass(cls, float) and math.isfinite(value):
        yield float.__repr__(value)
    elif issubclass(cls, dict):
        yield "{"
        for number, (key, item) in enumerate(islice(dict.items(value), limit + 1)):
            if not issubclass(type(key), str):
                raise TypeError
            yield "," if number else ""
            yield _json_text(key, limit)
            yield ":"
            yield _Inner(item)
        yield "}"
    elif issubclass(cls, (list, tuple)):
        yield "["
        kind = list if issubclass(cls, list) else tuple
        for number, item in enumerate(islice(kind.__iter__(value), limit + 1)):
            yield "," if number else ""
            yield _Inner(item)
        yield "]"
    else:
        raise TypeError


def _json_text(text: str, limit: int) -> str:
    return json.dumps(str.__getitem__(text, slice(limit + 1)), ensure_ascii=False)


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
