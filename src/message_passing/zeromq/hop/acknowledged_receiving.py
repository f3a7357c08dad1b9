"""Acknowledgements of a ZeroMQ input: each frame once the chain has settled it, and not before."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import DecodingError
from message_passing.redelivery import OrderedBatch, Redelivery
from message_passing.zeromq.hop.consumer import KEEP_ALIVE
from message_passing.zeromq.hop.packing import BLOCK_BYTES, TOGETHER_BYTES, as_batch, unpacked
from message_passing.zeromq.user_id import NO_OBJECT, with_user_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.source import Source
    from message_passing.zeromq.hop.consumer import Delivered
    from message_passing.zeromq.hop.link import HopReceiver

_ACKNOWLEDGED_BYTES = 1 << 20
"""Bytes that are delivered between two acknowledgements at most, so that a sender's window does not run out."""


class _Unnamed(bytes):
    """A message that cannot have the field with its sender's name."""


class AcknowledgedReceiving:
    """Runs the receiving end for one input, in its event loop."""

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
        self._receiver, self._owner, self._tell = receiver, owner, tell
        self._redelivery = Redelivery(
            owner, self._settled, as_batch, emit=self._emit_named if key_field else owner.emit
        )
        self._waiting: deque[Delivered] = deque()
        self._arrived = 0
        self._ready = asyncio.Event()

    def counted(self) -> dict[str, int]:
        """The counts of duplicates, redelivered frames, and messages that were not understood."""
        return {
            "duplicates": self._receiver.consumer.duplicates,
            "redelivered": self._redelivery.redelivered,
            "strange": self._receiver.sockets.strange + self._receiver.consumer.excess,
        }

    @property
    def stalled(self) -> str:
        """Why no more frames are accepted now; empty if they are."""
        text = "the chain lost messages, which are delivered again; until then no others are accepted"
        return text if self._redelivery.stalls() else ""

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
                answered = self._receiver.answer()
                if not came and not answered:
                    await self._wait()
        finally:
            sockets.on_ready(lambda: None)
            for descriptor in sockets.file_descriptors:
                loop.remove_reader(descriptor)

    async def keep_alive(self, linger: float) -> None:
        """Acknowledge, and show that this is alive, also while `run` waits for room, or no more, until cancelled.

        Args:
            linger: the most seconds that senders then have to read the last acknowledgements, before `close`.
        """
        try:
            while True:
                await asyncio.sleep(KEEP_ALIVE / 2)
                if self._receiver.answer():
                    self._ready.set()  # there may be something to receive
        finally:
            self._receiver.answer()
            await asyncio.sleep(min(self._receiver.seconds_to_read(), linger))

    async def _deliver_some(self) -> bool:
        """Deliver what has arrived, in order; return whether there was anything to do."""
        again, some, unanswered = self._redelivery, False, 0
        while again.again():
            some = True
            await self._owner.drain()
        if not again.stalls() and not self._waiting:
            self._waiting.extend(self._receiver.receive())
        while self._waiting and not again.stalls():
            some = True
            frames, size = self._next_frames()
            self._arrived += 1
            again.deliver(OrderedBatch(self._arrived, self._messages_of(frames), frames))
            await self._owner.drain()
            unanswered += size
            if unanswered >= _ACKNOWLEDGED_BYTES and self._waiting:
                unanswered = 0
                self._receiver.answer()
        if some:
            await asyncio.sleep(0)  # other inputs get their turn
        return some

    def _messages_of(self, frames: list[Delivered]) -> Any:
        """The messages of some frames, with the field."""
        if not self._key_field:
            return unpacked([frame.data for frame in frames], blocks=self._owner.wiring.blocks)
        named = [
            (message, with_user_id(message, self._key_field, frame.data.user))
            for frame in frames
            for message in unpacked([frame.data], blocks=False)
        ]
        return [_Unnamed(message) if text is None else text for message, text in named]

    def _emit_named(self, messages: list[bytes]) -> None:
        """Reject, within their delivery, those that cannot have the field."""
        if refused := [message for message in messages if isinstance(message, _Unnamed)]:
            self._owner.fail(DecodingError(NO_OBJECT), refused)
        self._owner.emit([message for message in messages if not isinstance(message, _Unnamed)])

    def _next_frames(self) -> tuple[list[Delivered], int]:
        """The frames to be delivered next, which are several if they are small, and their bytes."""
        frames = [self._waiting.popleft()]
        size = len(frames[0].data.body)
        most = BLOCK_BYTES if self._owner.wiring.blocks and not self._key_field else TOGETHER_BYTES
        while self._waiting and size + len(self._waiting[0].data.body) <= most:
            frames.append(self._waiting.popleft())
            size += len(frames[-1].data.body)
        return frames, size

    def _settled(self, batch: OrderedBatch, settled: bool) -> None:
        if settled:
            for frame in batch.token:
                self._receiver.consumer.settle(frame)
        self._ready.set()

    async def _wait(self) -> None:
        now = monotonic()
        until = min(self._receiver.consumer.next_time(now), self._redelivery.next_time())
        try:
            async with asyncio.timeout(max(0.0, until - now) + 0.001):
                await self._ready.wait()
        except TimeoutError:
            pass

    def close(self, linger: float) -> None:
        """Acknowledge what has been settled, and close."""
        self._receiver.answer()
        self._receiver.close(linger)
