"""Taps on the messages that a running component receives, without changing the chain or slowing it down.

A tap point is among a component's observers only while a client watches. The time that the chain's thread may spend
there is bounded (`TAP_SHARE`), and so is what is buffered for a client: the rest is only counted, and reported to
the client as missed.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from message_passing.codecs.json import JSONEncoder
from message_passing.console.governor import IDLE, SPARE, Bucket
from message_passing.errors import EncodingError
from message_passing.lines import MultiMessage, message_count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from message_passing.component import Component

WAITING = 200_000
"""Messages that may be buffered for a client; further ones are counted as missed."""

WAITING_BYTES = 4 * 1024 * 1024
"""And how many bytes, including `_EACH` for each message besides its text."""

TAP_SHARE = 0.01
"""The share of its time that the chain's thread may spend on all tap points together."""

TAP_BURST = 0.05
"""Seconds that it may spend there at once after a pause."""

_EACH = 64
"""Bytes that a message takes besides its text."""

_SHOWN_BYTES = 256 * 1024
"""Only the beginning of a longer message is kept, as text."""

_BETWEEN = 64
"""Messages after which the remaining time is checked."""

_encoder = JSONEncoder()


class Tap:
    """One client at one tap point: filled by the chain's thread, emptied by another one."""

    def __init__(self, wake: Callable[[], object], waiting: int = WAITING) -> None:
        """Nothing has come.

        Args:
            wake: called by the chain's thread when there is something, once until it is taken.
            waiting: how many messages may wait.
        """
        self._wake = wake
        self._limit = waiting
        self._came = self._taken = 0
        self._bytes_came = self._bytes_taken = 0
        self._batches: deque[tuple[float, Sequence[bytes]]] = deque()
        self._offset = 0  # in the first of them
        self._door: TapPoint | None = None
        self._from, self._until = 0, -1

    @property
    def waiting(self) -> int:
        """How many messages wait to be taken."""
        return self._came - self._taken

    @property
    def waiting_bytes(self) -> int:
        """How many bytes they are."""
        return self._bytes_came - self._bytes_taken

    @property
    def room(self) -> int:
        """How many messages may come now."""
        return self._limit - self.waiting if self.waiting_bytes < WAITING_BYTES else 0

    @property
    def missed(self) -> int:
        """Messages that went by at the door and were not kept, since the beginning."""
        if self._door is None:
            return 0
        seen = self._until if self._until >= 0 else self._door.count
        return max(0, seen - self._from - self._came)

    def stand(self, door: TapPoint | None) -> None:
        """From now on at this door; at None: no longer there. In the chain's thread."""
        if door is not None:
            self._door, self._from = door, door.count
        elif self._door is not None:
            self._until = self._door.count

    def keep(self, when: float, texts: Sequence[bytes]) -> None:
        """Keep as many of these as there is room for. In the chain's thread."""
        kept = texts if len(texts) <= self.room else texts[: max(self.room, 0)]
        size = sum(map(len, kept)) + _EACH * len(kept)
        if size > (left := WAITING_BYTES - self.waiting_bytes):
            kept, size = _within(kept, left)
        if not kept:
            return
        self._batches.append((when, kept))
        first = self._came == self._taken
        self._bytes_came += size
        self._came += len(kept)
        if first:
            self._wake()

    def take(
        self, most: int = WAITING, most_bytes: int = WAITING_BYTES
    ) -> list[tuple[float, Sequence[bytes]]]:
        """What has come since the last time: batches, and when each came (seconds since 1970).

        Args:
            most: messages at most.
            most_bytes: when these are reached it is enough.
        """
        taken: list[tuple[float, Sequence[bytes]]] = []
        while self._batches and most > 0 and most_bytes > 0:
            when, batch = self._batches[0]
            part, _ = _within(batch[self._offset : self._offset + most], most_bytes, at_least=1)
            self._offset += len(part)
            if self._offset == len(batch):
                self._batches.popleft()
                self._offset = 0
            size = sum(map(len, part)) + _EACH * len(part)
            most, most_bytes = most - len(part), most_bytes - size
            self._bytes_taken += size
            self._taken += len(part)
            taken.append((when, part))
        if self._door is not None:
            self._door.hungry = True
        return taken


def _within(texts: Sequence[bytes], size: int, at_least: int = 0) -> tuple[Sequence[bytes], int]:
    """As many of the first as fit into so many bytes, and how many bytes they take."""
    taken = 0
    for index, text in enumerate(texts):
        if taken + len(text) + _EACH > size and index >= at_least:
            return texts[:index], taken
        taken += len(text) + _EACH
    return texts, taken


class TapPoint:
    """A point in a chain with taps. All but `hungry` belongs to the chain's thread.

    Attributes:
        count: messages that went by.
        hungry: whether a tap may have room for more.
        taps: the clients' taps.
    """

    def __init__(self, time_left: Bucket, doors: Collection[object] = (None,)) -> None:
        """Make one without taps.

        Args:
            time_left: what may be spent at all tap points together.
            doors: the tap points that share it.
        """
        self.count = 0
        self.hungry = False
        self.taps: list[Tap] = []
        self._bucket, self._doors = time_left, doors
        self._again = 0.0

    def add(self, tap: Tap) -> None:
        """Add a tap."""
        self.taps.append(tap)
        tap.stand(self)
        self.hungry = True

    def see(self, messages: Sequence[Any]) -> None:
        """A batch goes by: what may change later is copied as JSON now."""
        if self.hungry and time.perf_counter() >= self._again:
            self._show(messages)
        # Not before they are kept: what is counted and not kept is missed.
        self.count += (
            message_count(messages) if type(messages) is list and _frames(messages) else len(messages)
        )

    def _show(self, messages: Sequence[Any]) -> None:
        began = time.perf_counter()
        self.hungry = False  # before anybody's room is looked at: one who makes room meanwhile says so
        when, level = time.time(), self._bucket.level() / len(self._doors)
        most = max((tap.room for tap in self.taps), default=0)
        texts = _texts(messages)
        while most > 0 and time.perf_counter() - began < level:
            part = [*islice(texts, min(most, _BETWEEN))]
            if not part:
                break
            for tap in self.taps:
                tap.keep(when, part)
            most -= len(part)
        now = time.perf_counter()
        self._bucket.spend(now - began)
        self._again = now + self._bucket.wait()
        self.hungry = self.hungry or any(tap.room > 0 for tap in self.taps)


def _frames(messages: list[Any]) -> bool:
    return bool(messages) and type(messages[0]) is MultiMessage


def _texts(messages: Iterable[Any]) -> Iterator[bytes]:
    for message in messages:
        if isinstance(message, MultiMessage):
            yield from map(_short, message.split(b"\n"))
            continue
        try:
            if type(message) is bytes:
                text = message
            elif isinstance(message, str):  # as it is, whatever the chain's own encoder makes of text
                text = message.encode("utf-8", "backslashreplace")
            else:
                text = _encoder.text_of(message)
        except EncodingError as error:
            text = f"{type(message).__name__} that cannot be shown: {error}".encode()
        yield _short(text)


def _short(text: bytes) -> bytes:
    return text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES]


class TapRegistry:
    """A chain's tap points that have clients. To be used in the chain's thread, or while it does not run."""

    def __init__(self) -> None:
        """Make one without tap points."""
        self._doors: dict[int, TapPoint] = {}
        self._bucket = Bucket(TAP_SHARE, TAP_BURST, time.perf_counter)

    def spare(self, busy: float) -> None:
        """Take more of the chain's time where it is not missed. From any thread.

        Args:
            busy: the share of a core that the chain takes, or would if it had it.
        """
        self._bucket.refill(TAP_SHARE + SPARE * max(0.0, IDLE - busy) / 2)

    def add(self, component: Component, tap: Tap) -> None:
        """Show `tap` what `component` is given from now on; of an input, what it hands on."""
        door = self._doors.get(id(component))
        if door is None:
            door = self._doors[id(component)] = TapPoint(self._bucket, self._doors)
            component.observers += (door.see,)
        door.add(tap)

    def remove(self, component: Component, tap: Tap) -> None:
        """No longer."""
        door = self._doors.get(id(component))
        if door is None:
            return
        if tap in door.taps:
            door.taps.remove(tap)
            tap.stand(None)
        if not door.taps:
            del self._doors[id(component)]
            component.observers = tuple(one for one in component.observers if one != door.see)
