"""Text in lines: a batch that is also one block of it, and a message that carries several.

Messages are joined to be checked, to be written and to travel together. Passed on as these, they are joined once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_Item = TypeVar("_Item")

SHARED = "a batch belongs to all who get it and is not changed: return, or emit, a list of your own"


def _refused(self: ImmutableBatch[Any], *_given: Any, **_named: Any) -> NoReturn:
    self.refuse()


class ObjectFrames(list[bytes]):
    """Messages as they were received, each exactly `bytes` that begin with `{`; and their block.

    Whoever receives them looks at each anyway, and needs their size: so who comes next need not do that again. It is
    for components that say that they do not change a batch (`wiring.Wiring.frames`).
    """

    __slots__ = ("block",)

    def join(self) -> int:
        """Make the block; the bytes of all."""
        self.append(b"")
        self.block = b"\n".join(self)
        """Every message, each followed by a newline; there may be others within one."""
        self.pop()
        return len(self.block) - len(self)


class ImmutableBatch(list[_Item]):
    """A batch that its receivers cannot change, since others have it too. A copy is a list."""

    __slots__ = ()

    append = clear = extend = insert = pop = remove = reverse = sort = _refused
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refused

    def refuse(self) -> NoReturn:
        """Refuse a change.

        Raises:
            TypeError: always.
        """
        raise TypeError(SHARED)

    def __reduce__(self) -> tuple[type, tuple[list[_Item]]]:
        return list, ([*self],)

    __reduce_ex__ = lambda self, _protocol: self.__reduce__()  # noqa: E731


class LineBatch(ImmutableBatch[bytes]):
    """A batch of messages of one line each, and the block of text that they make together.

    Attributes:
        checked: each line is a JSON text, and contains nothing that a reader would take for a line break.
    """

    __slots__ = ("block", "checked")

    def __init__(self, messages: Iterable[bytes]) -> None:
        """Join `messages`, none of which has a line break in it."""
        super().__init__(messages)
        list.append(self, b"")  # a newline after the last one
        self.block = b"\n".join(self)
        """Every message, each followed by a newline."""
        list.pop(self)
        self.checked = False

    @classmethod
    def of_block(cls, block: bytes) -> Self:
        """The lines of a block that ends with a newline, or is empty."""
        made = cls._of(block.split(b"\n"), block)
        list.pop(made)
        return made

    @classmethod
    def of(cls, messages: list[bytes]) -> Self:
        """Messages, none of which has a line break in it."""
        return cls._of(messages, messages.block) if type(messages) is ObjectFrames else cls(messages)

    @classmethod
    def _of(cls, lines: Iterable[bytes], block: bytes) -> Self:
        made = cls.__new__(cls)
        list.__init__(made, lines)
        made.block, made.checked = block, False
        return made


class ReadLines(LineBatch):
    """A batch of checked lines of JSON text, and the fields of each that filters read.

    Attributes:
        fields: an instance of `read_fields.ReadFields` for each line.
    """

    __slots__ = ("fields",)
    fields: list[Any]

    @classmethod
    def read(cls, lines: LineBatch, fields: list[Any]) -> Self:
        """These lines with their fields."""
        made = cls.__new__(cls)
        list.__init__(made, lines)
        made.block, made.checked, made.fields = lines.block, lines.checked, fields
        return made

    def chosen(self, which: Sequence[Any], *, to_read: bool) -> LineBatch:
        """Those lines for which there is a true value in `which`; `to_read`: with their fields."""
        if all(which):
            return self.whole(to_read=to_read)
        return self._some(compress(self, which), [*compress(self.fields, which)] if to_read else None)

    def at(self, numbers: Sequence[int], *, to_read: bool) -> LineBatch:
        """The lines of these numbers, likewise."""
        return self._some(
            map(self.__getitem__, numbers), [*map(self.fields.__getitem__, numbers)] if to_read else None
        )

    def part(self, first: int, end: int) -> ReadLines:
        """The lines from one number to before another."""
        lines = LineBatch(self[first:end])
        lines.checked = self.checked
        return ReadLines.read(lines, self.fields[first:end])

    def whole(self, *, to_read: bool) -> LineBatch:
        """All of them, likewise."""
        if to_read:
            return self
        lines = LineBatch.__new__(LineBatch)
        list.__init__(lines, self)
        lines.block, lines.checked = self.block, self.checked
        return lines

    def with_others(
        self, others: Sequence[tuple[int, Sequence[tuple[Any, bytes]]]], *, to_read: bool
    ) -> LineBatch:
        """These lines with others in the place of some: for a line's number, objects and the text of each."""
        if not others:
            return self.whole(to_read=to_read)
        lines, fields = [*self], [*self.fields] if to_read else None
        for number, found in reversed(others):
            lines[number : number + 1] = [text for _, text in found]
            if fields is not None:
                fields[number : number + 1] = [type(self.fields[0]).complete.of(one) for one, _ in found]
        made = self._some(lines, fields)
        # What is written anew may have a line break that was escaped.
        made.checked = self.checked and all(text.isascii() for _, found in others for _, text in found)
        return made

    def _some(self, lines: Iterable[bytes], fields: list[Any] | None) -> LineBatch:
        kept = LineBatch(lines)
        kept.checked = self.checked
        return kept if fields is None else ReadLines.read(kept, fields)


class LineBlock(Sequence[bytes]):
    """A batch of messages of one line each, as the block that they form.

    It is for outputs that write the block (`Output.takes_blocks`), and is split only if a message is asked for.

    Attributes:
        block: every message, each followed by a newline.
        checked: each is a JSON text: of what some reader takes for a line break, only the separators may be in it.
    """

    __slots__ = ("_count", "_lines", "block", "checked")

    def __init__(self, block: bytes, count: int, *, checked: bool = True) -> None:
        """`block` holds `count` lines, each ended by a newline."""
        self.block, self.checked = block, checked
        self._count = count
        self._lines: list[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if self._lines is None:
            self._lines = self.block.split(b"\n")[:-1]
        return self._lines[index]


class MultiMessage(bytes):
    """One message that carries several: it counts as that many if it is lost.

    Attributes:
        lines: how many.
        joined: they are lines of it, with newlines between them, so that it may be split, and joined with others.
    """

    lines: int
    joined = False

    def __new__(cls, data: bytes, lines: int) -> Self:
        """`data` as a frame of `lines` messages."""
        self = super().__new__(cls, data)
        self.lines = lines
        return self

    def __init_subclass__(cls) -> None:
        """An instance of a subclass carries several, too."""
        FRAME_TYPES.add(cls)


FRAME_TYPES: set[type] = {MultiMessage}
"""The types of messages that carry several."""


class Indented(bytes):
    """One message that was broken over several lines on purpose: text for a person to read."""


def message_count(messages: Collection[Any]) -> int:
    """How many messages these are, counting those that each frame carries."""
    if FRAME_TYPES.isdisjoint(map(type, messages)):
        return len(messages)
    return sum([message.lines if isinstance(message, MultiMessage) else 1 for message in messages])


def beyond(messages: Sequence[Any], count: int) -> Sequence[Any]:
    """Those after the first `count` of what these messages carry."""
    if FRAME_TYPES.isdisjoint(map(type, messages)):
        return messages[count:]
    index = 0
    while count > 0 and index < len(messages):
        count -= message_count([messages[index]])
        index += 1
    return messages[index:]


def line_count(block: bytes) -> int:
    """How many newlines a block has: in a sixth of the time that counting them takes, where they are rare."""
    return len(block) - len(block.replace(b"\n", b""))


def joined_lines(data: bytes, lines: int) -> MultiMessage:
    """Messages of one line each, with newlines between them, as one."""
    frame = MultiMessage(data, lines)
    frame.joined = True
    return frame


def frames_of(lines: LineBatch, size: int) -> Iterator[MultiMessage]:
    """Pack a batch into as few frames as needed, in order.

    Args:
        lines: the batch.
        size: the most bytes of a frame; a longer line gets a frame of its own. The last line of a
            frame has no newline.
    """
    block, start, first, end = lines.block, 0, 0, len(lines)
    while first < end:
        stop = block.rfind(b"\n", start, start + size + 1) + 1 or block.index(b"\n", start) + 1
        frame = block[start : stop - 1]
        # As `line_count`, without a call for each frame.
        count = end - first if stop == len(block) else len(frame) - len(frame.replace(b"\n", b"")) + 1
        yield joined_lines(frame, count)
        start, first = stop, first + count
