"""Acknowledgements of a ZeroMQ input: each frame once the chain has settled it, and not before."""

from __future__ import annotations

import asyncio
import functools
import heapq
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import DecodingError
from message_passing.zeromq.hop.consumer import KEEP_ALIVE
from message_passing.zeromq.hop.packing import unpacked
from message_passing.zeromq.user_id import NO_OBJECT, with_user_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.source import Source
    from message_passing.zeromq.hop.consumer import Delivered
    from message_passing.zeromq.hop.frames import Data
    from message_passing.zeromq.hop.link import HopReceiver

_FIRST_RETRY, _LONGEST_RETRY = 0.1, 5.0
"""Initial and maximum delay until a frame that the chain lost is redelivered, in seconds."""


class AcknowledgedReceiving:
    """Runs the receiving end for one input, in its event loop.

    Attributes:
        redelivered: frames that were delivered to the chain again because it had lost some of their messages.
        stalled: why no more frames are accepted now; empty if they are.
    """

    def __init__(
        self, receiver: HopReceiver, owner: Source, tell: Callable[[], object], key_field: str = ""
    ) -> None:
        """Prepare it.

        Args:
            receiver: the open receiving end.
            owner: the input that delivers.
            tell: reports the notices about peers.
            key_field: a field of each message to set to its sender's name.
        """
        self._key_field = key_field
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
        keeping_alive = asyncio.create_task(self._keep_alive())
        try:
            while True:
                self._ready.clear()
                self._tell()
                came = await self._deliver_some()
                self._receiver.answer()
                if not came:
                    await self._wait()
        finally:
            keeping_alive.cancel()
            sockets.on_ready(lambda: None)
            for descriptor in sockets.file_descriptors:
                loop.remove_reader(descriptor)

    async def _keep_alive(self) -> None:
        """While the chain has no room for more, senders still hear what is acknowledged, and that this is alive."""
        while True:
            await asyncio.sleep(KEEP_ALIVE / 2)
            self._receiver.answer()

    async def _deliver_some(self) -> bool:
        """Deliver what has arrived, in order; return whether there was anything to do."""
        if self._lost and monotonic() < self._retry_at:
            return False
        if not self._waiting:
            for frame in self._receiver.receive():
                self._arrived += 1
                self._waiting.append((self._arrived, frame))
        some = bool(self._waiting)
        while self._waiting and not (self._lost and monotonic() < self._retry_at):
            number, frame = heapq.heappop(self._waiting)
            self.redelivered += number in self._lost
            self._lost.discard(number)
            settled = functools.partial(self._settled, number, frame)
            with Delivery(settled, self._owner, asyncio.get_running_loop(), comes_again=True):
                self._owner.emit(self._messages_of(frame.data))
            await self._owner.drain()
        if some:
            await asyncio.sleep(0)  # other inputs get their turn
        return some

    def _messages_of(self, data: Data) -> list[bytes]:
        """The messages of a frame; those that cannot have the field are rejected, within its delivery."""
        messages = unpacked(data)
        if not self._key_field:
            return messages
        named = [(message, with_user_id(message, self._key_field, data.user)) for message in messages]
        if refused := [message for message, text in named if text is None]:
            self._owner.fail(DecodingError(NO_OBJECT), refused)
        return [text for _, text in named if text is not None]

    def _settled(self, number: int, frame: Delivered, outcome: Outcome) -> None:
        if outcome is Outcome.LOST:  # it precedes all that arrived after it
            heapq.heappush(self._waiting, (number, frame))
            self._lost.add(number)
            self._retry_at = monotonic() + self._pause
            self._pause = min(_LONGEST_RETRY, 2 * self._pause)
            self.stalled = (
                "the chain lost messages, which are delivered again; until then no others are accepted"
            )
        else:
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
