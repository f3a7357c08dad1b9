"""Acknowledgements of a ZeroMQ input: each frame once the chain has settled it, and not before."""

from __future__ import annotations

import asyncio
import functools
import heapq
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.zeromq.hop.packing import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.source import Source
    from message_passing.zeromq.hop.consumer import Delivered
    from message_passing.zeromq.hop.link import HopReceiver

TOGETHER_BYTES = 160 << 10
"""The most bytes of frames that are delivered to the chain together, unless one has more. A chain that loses a part
of them gets all again."""

_ACKNOWLEDGED_BYTES = 1 << 20
"""Bytes that are delivered between two acknowledgements at most, so that a sender's window does not run out."""

_FIRST_RETRY, _LONGEST_RETRY = 0.1, 5.0
"""Initial and maximum delay until a frame that the chain lost is redelivered, in seconds."""


class AcknowledgedReceiving:
    """Runs the receiving end for one input, in its event loop.

    Attributes:
        redelivered: frames that were delivered to the chain again because it had lost some of their messages.
        stalled: why no more frames are accepted now; empty if they are.
    """

    def __init__(self, receiver: HopReceiver, owner: Source, tell: Callable[[], object]) -> None:
        """Prepare it.

        Args:
            receiver: the open receiving end.
            owner: the input that delivers.
            tell: reports the notices about peers.
        """
        self.redelivered = 0
        self.stalled = ""
        self._receiver, self._owner, self._tell = receiver, owner, tell
        self._waiting: list[tuple[int, Delivered]] = []  # a heap, by the order in which they came
        self._lost: set[int] = set()  # those of them that the chain has lost before
        self._arrived = 0
        self._pause = _FIRST_RETRY
        self._retry_at = 0.0
        self._ready = asyncio.Event()

    def counted(self) -> dict[str, int]:
        """The counts of duplicates, redelivered frames, and messages that were not understood."""
        return {
            "duplicates": self._receiver.consumer.duplicates,
            "redelivered": self.redelivered,
            "strange": self._receiver.sockets.strange,
        }

    async def run(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        sockets = self._receiver.sockets
        sockets.on_ready(functools.partial(loop.call_soon_threadsafe, self._ready.set))
        for descriptor in sockets.file_descriptors:
            loop.add_reader(descriptor, self._ready.set)
        try:
            while True:
                self._ready.clear()
                self._tell()
                came = await self._deliver_some()
                self._receiver.answer()
                if not came:
                    await self._wait()
        finally:
            sockets.on_ready(lambda: None)
            for descriptor in sockets.file_descriptors:
                loop.remove_reader(descriptor)

    async def _deliver_some(self) -> bool:
        """Deliver what has arrived, in order; return whether there was anything to do."""
        if self._lost and monotonic() < self._retry_at:
            return False
        if not self._waiting:
            for frame in self._receiver.receive():
                self._arrived += 1
                self._waiting.append((self._arrived, frame))
        some = bool(self._waiting)
        unanswered = 0
        while self._waiting and not (self._lost and monotonic() < self._retry_at):
            together, size = self._next_frames()
            frames = [frame.data for _, frame in together]
            messages = unpacked(frames, blocks=self._owner.wiring.blocks)
            self._owner.deliver(messages, functools.partial(self._settled, together), comes_again=True)
            await self._owner.drain()
            unanswered += size
            if unanswered >= _ACKNOWLEDGED_BYTES and self._waiting:
                unanswered = 0
                self._receiver.answer()
        if some:
            await asyncio.sleep(0)  # other inputs get their turn
        return some

    def _next_frames(self) -> tuple[list[tuple[int, Delivered]], int]:
        """The frames to be delivered next, which are several if they are small, and their bytes.

        One that the chain has lost goes alone: whatever is delivered with it would come twice if it is lost again.
        """
        together: list[tuple[int, Delivered]] = []
        size = 0
        while self._waiting:
            number, frame = self._waiting[0]
            size += len(frame.data.body)
            if together and (number in self._lost or size > TOGETHER_BYTES):
                size -= len(frame.data.body)
                break
            together.append(heapq.heappop(self._waiting))
            if number in self._lost:
                self.redelivered += 1
                self._lost.discard(number)
                break
        return together, size

    def _settled(self, together: Sequence[tuple[int, Delivered]], outcome: Outcome) -> None:
        if outcome is Outcome.LOST:  # they precede all that arrived after them
            for number, frame in together:
                heapq.heappush(self._waiting, (number, frame))
                self._lost.add(number)
            self._retry_at = monotonic() + self._pause
            self._pause = min(_LONGEST_RETRY, 2 * self._pause)
            self.stalled = (
                "the chain lost messages, which are delivered again; until then no others are accepted"
            )
        else:
            for _, frame in together:
                self._receiver.consumer.settle(frame)
            if not self._lost:
                self._pause, self.stalled = _FIRST_RETRY, ""
        self._ready.set()

    async def _wait(self) -> None:
        now = monotonic()
        until = self._receiver.consumer.next_time(now)
        if self._lost:
            until = min(until, self._retry_at)
        try:
            async with asyncio.timeout(max(0.0, until - now) + 0.001):
                await self._ready.wait()
        except TimeoutError:
            pass

    def close(self, linger: float) -> None:
        """Acknowledge what has been settled, and close."""
        self._receiver.answer()
        self._receiver.close(linger)
