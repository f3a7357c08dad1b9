"""Entries of a stream of Redis, as the output makes them; and those that a node has and is not done with."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from message_passing.network.consumer_window import ConsumerWindow, Received
from message_passing.network.room import RoomEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MESSAGE_FIELD, FRAME_FIELD = "message", "lines"
"""The field of an entry that is one message, and of one that is a frame of them: see `network.packing`."""

_MESSAGE, _FRAME = MESSAGE_FIELD.encode(), FRAME_FIELD.encode()


class StreamEntry(Received):
    """An entry of a stream.

    Attributes:
        key: its id.
        fault: why it has no messages; empty if it has.
        rest: what it has then.
        others: the names of fields that are not passed on.
    """

    __slots__ = ("fault", "others", "rest")
    key: bytes

    def __init__(self, key: bytes, fields: Sequence[bytes], now: float) -> None:
        """Take it apart; it has just been delivered for the first time.

        Args:
            key: its id.
            fields: names and values, in turn.
            now: seconds, monotonic.

        Raises:
            TypeError: one of these is no text.
        """
        # The usual one has one field, for which nothing else need be made.
        given = (
            {fields[0]: fields[1]} if len(fields) == 2 else dict(zip(fields[::2], fields[1::2], strict=False))
        )
        self.fault = self.others = ""
        body = given.get(_FRAME, given.get(_MESSAGE))
        if body is None:
            self.fault = (
                f"an entry without a field {MESSAGE_FIELD!r} or {FRAME_FIELD!r}: it has {_names(given)}"
            )
        else:
            require_bytes(body)
            if len(fields) > 2:
                names = fields[::2]
                if names.count(_MESSAGE) + names.count(_FRAME) > 1:
                    self.fault = f"an entry with more than one field {MESSAGE_FIELD!r} or {FRAME_FIELD!r}"
                self.others = _names({*given} - {_MESSAGE, _FRAME})
        if self.fault:
            self.rest = b" ".join(fields)
        require_bytes(key)
        super().__init__(key, body, sum(map(len, fields)), 1, now, lines=_FRAME in given)


def require_bytes(given: object) -> bytes:
    """What the server gave, if it is a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(given, bytes):
        raise TypeError(f"{given!r:.50} is no text")
    return given


def _names(given: Iterable[bytes]) -> str:
    return ", ".join(sorted(name.decode("utf-8", "replace") for name in given))[:200]


class EntryWindow(ConsumerWindow[StreamEntry]):
    """Entries of a stream from their arrival to their answer.

    Attributes:
        done: ids to acknowledge.
        later: ids to be delivered again, and after how many seconds.
        next_due: when the first of those is due; seconds, monotonic.
        freed: set when there is room again.
    """

    def prepare(self) -> None:
        """See `ConsumerWindow`."""
        self.done: list[bytes] = []
        self.later: dict[bytes, float] = {}
        self.next_due = math.inf
        self.freed = asyncio.Event()
        self._estimate = RoomEstimate(self._window, self._window_bytes, least=0.25)

    def now(self) -> float:
        """The time, in seconds, monotonic."""
        return self._clock()

    def room(self) -> int:
        """How many entries may be requested."""
        return 0 if self.stopping else self._estimate.room(len(self._open), self._open_bytes)

    def saw(self, entries: Sequence[StreamEntry]) -> None:
        """Learn from what has come how much there is room for."""
        if entries:
            self._estimate.saw(sum([entry.size for entry in entries]) / len(entries), len(entries))

    def is_new(self, entry: StreamEntry) -> bool:
        """Whether it is to be passed on: it is neither here, nor has it been settled, nor is nothing wanted."""
        if known := self._open.get(entry.key):
            known.deliveries, known.told = entry.deliveries, entry.told
            self.duplicates += 1
        elif entry.key in self._done:
            self.duplicates += 1
            self.answer_done([entry])
        elif self.stopping:
            self.answer_later(entry, 0.0)
        else:
            return True
        self._wake()
        return False

    def answer_done(self, items: Sequence[StreamEntry]) -> None:
        """See `ConsumerWindow`."""
        self.done += [item.key for item in items]
        self.freed.set()

    def answer_later(self, item: StreamEntry, delay: float) -> None:
        """See `ConsumerWindow`."""
        self.later[item.key] = delay
        self.next_due = min(self.next_due, self._clock() + delay)
        self.freed.set()

    def forget(self) -> None:
        """The group is another one: what it delivers again is passed on again, and nothing acknowledged to it."""
        self._done.clear()
        self.done.clear()
        self.later.clear()
        self.next_due = math.inf
