"""What a node has of an engine's stream and is not done with: bounded, and answered message by message."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

from message_passing.clock import monotonic
from message_passing.zeromq.hop.packing import TOGETHER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_MOST_REMEMBERED = 10_000
"""The most settled messages that are remembered, to be acknowledged again without being delivered again."""

_BATCH = 1000
"""The most messages of a stream that are passed on together."""


class Received:
    """A message of a stream, which the engine waits for an answer to.

    Attributes:
        key: what tells it from others.
        body: its bytes; None if there is nothing to be passed on, or it is not kept any more.
        lines: it is a frame: several messages, each a line.
        size: its bytes.
        deliveries: how often it was delivered, to whomever.
        told: when the engine last heard of it; seconds, monotonic.
    """

    __slots__ = ("body", "deliveries", "key", "lines", "size", "told")

    def __init__(
        self, key: Hashable, body: bytes | None, size: int, deliveries: int, now: float, *, lines: bool
    ) -> None:
        """It has just come."""
        self.key, self.body, self.lines, self.size = key, body, lines, size
        self.deliveries, self.told = deliveries, now

    @property
    def messages(self) -> list[bytes]:
        """The messages in it."""
        if self.body is None:
            return []
        return self.body.split(b"\n") if self.lines else [self.body]


AnyReceived = TypeVar("AnyReceived", bound=Received)


class ConsumerWindow(Generic[AnyReceived]):
    """Messages of a stream from their arrival to their answer. A subclass keeps the answers, and sends them.

    Attributes:
        ready: messages to be passed on.
        lag: messages of the stream that are not acknowledged, as far as known; None before that.
        duplicates: messages that came again while they were here, or after they had been settled.
        stopping: nothing more is wanted.
    """

    def __init__(
        self,
        window: int,
        window_bytes: int,
        wake: Callable[[], object],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin without any.

        Args:
            window: the most messages that are here at a time.
            window_bytes: about the most bytes of them.
            wake: called when there is something to do.
            clock: seconds, monotonic.
        """
        self.ready: deque[AnyReceived] = deque()
        self.lag: int | None = None
        self.duplicates = 0
        self.stopping = False
        self._window, self._window_bytes, self._wake, self._clock = window, window_bytes, wake, clock
        self._open: dict[Hashable, AnyReceived] = {}
        self._open_bytes = 0
        # Not a dict: finding its first key takes as long as there are gaps before it.
        self._done: OrderedDict[Hashable, None] = OrderedDict()
        self.prepare()

    def prepare(self) -> None:
        """What else a subclass keeps: nothing yet."""

    def answer_done(self, items: Sequence[AnyReceived]) -> None:
        """Keep the answers that the chain is done with these."""
        raise NotImplementedError

    def answer_failed(self, item: AnyReceived) -> None:
        """Keep the answer that it is not to come again, though the chain has never handled it."""
        self.answer_done([item])

    def answer_later(self, item: AnyReceived, delay: float) -> None:
        """Keep the answer that it is to come again after so many seconds."""
        raise NotImplementedError

    def unsettled(self) -> int:
        """How many messages of the stream are here."""
        return len(self._open)

    def admit(self, item: AnyReceived) -> None:
        """It is to be passed on."""
        self.keep(item)
        self.ready.append(item)

    def keep(self, item: AnyReceived) -> None:
        """It is here, and is not passed on."""
        self._open[item.key] = item
        self._open_bytes += item.size

    def take(self, most_bytes: int = TOGETHER_BYTES) -> list[AnyReceived]:
        """What is passed on next, together: several frames, or several single messages; alone what was lost before.

        Args:
            most_bytes: of them; the first may have more.
        """
        found = [self.ready.popleft()]
        first, size = found[0], found[0].size
        while self.ready and len(found) < _BATCH and first.deliveries == 1:
            following = self.ready[0]
            size += following.size
            if size > most_bytes or following.deliveries > 1 or following.lines != first.lines:
                break
            found.append(self.ready.popleft())
        return found

    def acknowledge(self, items: Sequence[AnyReceived]) -> None:
        """The chain is done with these."""
        closed = self._closed(items)
        self._remember(closed)
        self.answer_done(closed)
        self._wake()

    def terminate(self, item: AnyReceived) -> None:
        """It has failed for good."""
        if closed := self._closed([item]):
            self._remember(closed)
            self.answer_failed(item)
            self._wake()

    def put_off(self, item: AnyReceived, delay: float) -> None:
        """The chain has lost it, or not begun: it is to come again, to whomever."""
        if self._closed([item]):
            self.answer_later(item, delay)
            self._wake()

    def _closed(self, items: Sequence[AnyReceived]) -> list[AnyReceived]:
        """Those of these that were here, and are not any more."""
        closed = [item for item in items if self._open.pop(item.key, None)]
        self._open_bytes -= sum([item.size for item in closed])
        return closed

    def _remember(self, items: Sequence[AnyReceived]) -> None:
        done = self._done
        for item in items:
            done[item.key] = None
        while len(done) > _MOST_REMEMBERED:
            done.popitem(last=False)

    def release(self, *, everything: bool = False) -> None:
        """Want nothing more, and give back what was not passed on, so that others get it at once.

        Args:
            everything: what was passed on and is not settled, too: nobody will tell of it any more.
        """
        self.stopping = True
        for item in [*(self._open.values() if everything else self.ready)]:
            self.put_off(item, 0.0)
        self.ready.clear()

    def overdue(self, seconds: float, now: float) -> list[AnyReceived]:
        """What the engine has not heard of for so long, and is now told that somebody works on it."""
        late = [item for item in self._open.values() if now - item.told >= seconds]
        for item in late:
            item.told = now
        return late
