"""How many messages a component keeps, and how many bytes; how much of a batch there is room for."""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.lines import FRAME_TYPES, LineBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_encode_lines = msgspec.json.Encoder().encode_lines


def bytes_of(messages: Sequence[Any]) -> int:
    """The bytes of messages: of bytes and text their length, of objects that of their JSON text.

    In memory, an object takes several times as much. What has no JSON text counts as what Python needs for it.
    """
    if isinstance(messages, LineBatch):
        return len(messages.block)
    types = {*map(type, messages)}
    if types <= {bytes, *FRAME_TYPES}:
        return sum(map(len, messages))
    if types == {str}:
        return sum(map(bytes_of_text, messages))
    try:
        return len(_encode_lines(messages))
    except Exception:  # noqa: BLE001 - not Unicode, nested too deeply, or an object of a user's own
        return sum(map(_bytes_of_one, messages)) if len(messages) > 1 else _in_memory(messages)


def bytes_of_text(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _bytes_of_one(message: Any) -> int:
    return bytes_of([message])


def _in_memory(value: Any) -> int:
    """The bytes of a value and all that is in it, however deep; what is in it twice counts once."""
    size, seen, found = 0, set[int](), [value]
    while found:
        one = found.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        size += getsizeof(one)
        if isinstance(one, dict):
            found += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            found += one
    return size


def how_many_fit(sizes: Iterable[int], room: int, room_bytes: int, *, alone: bool) -> int:
    """How many of some messages, from the first, there is room for.

    Args:
        sizes: the bytes of each.
        room: how many may be kept.
        room_bytes: how many bytes of them.
        alone: nothing else is kept: then the first fits however large it is, since it never would.
    """
    count = 0
    for size in sizes:
        room_bytes -= size
        if count >= room or (room_bytes < 0 and (count or not alone)):
            break
        count += 1
    return count


class Occupancy:
    """What is kept, and its bounds.

    Attributes:
        count: the messages.
        size: their bytes: see `bytes_of`.
    """

    __slots__ = ("_most", "_most_bytes", "count", "size")

    def __init__(self, most: int, most_bytes: int) -> None:
        """Nothing yet.

        Args:
            most: the most messages.
            most_bytes: the most bytes; one message alone, or what comes while there is room, may have more.
        """
        self._most, self._most_bytes = most, most_bytes
        self.count = self.size = 0

    def reaches(self, share: float) -> bool:
        """Whether that much of either bound is taken; 1: there is no room."""
        return self.count >= self._most * share or self.size >= self._most_bytes * share

    def take_in(self, messages: list[Any], *, whole: bool) -> tuple[int, int]:
        """Add the first of these, as far as there is room.

        Args:
            messages: a batch.
            whole: all of it, if there is any room.

        Returns:
            How many of them were added, and their bytes.
        """
        count, size = len(messages), bytes_of(messages)
        room, room_bytes = self._most - self.count, self._most_bytes - self.size
        if (count > room or size > room_bytes) and not (whole and room > 0 and room_bytes > 0):
            count = how_many_fit(map(_bytes_of_one, messages), room, room_bytes, alone=not self.count)
            size = bytes_of(messages[:count])
        self.count += count
        self.size += size
        return count, size

    def give_back(self, count: int, size: int) -> None:
        """So many messages with so many bytes are not kept any more."""
        self.count -= count
        self.size -= size
