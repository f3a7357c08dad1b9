"""Store messages in a stream of Redis. The original has no such output."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.encoded import all_as_bytes
from message_passing.errors import EncodingError, needs_extra
from message_passing.lines import message_count
from message_passing.network.backoff import RetryLater
from message_passing.network.output import NetworkOutput
from message_passing.network.packing import buffered_frames, is_frame, messages_of, payloads_of
from message_passing.options import option
from message_passing.redis.entries import FRAME_FIELD, MESSAGE_FIELD
from message_passing.redis.options import RedisStreamComponent
from message_passing.redis.reasons import NO_REDIS, redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from message_passing.network.buffer import Batch

_ENTRY_ID = re.compile(rb"\d+-\d+")
"""What the server answers once it has stored an entry (redis.io, XADD)."""


class RedisStreamsOutput(RedisStreamComponent, NetworkOutput):
    """Stores messages in a stream of Redis (XADD), and retries until the server has confirmed them.

    Messages that wait together are packed into frames, of many lines each, which is many times faster than one by
    one; the input `Redis::Streams` takes them apart. If the connection breaks before the server has answered, what
    had no answer is sent again, and may be stored twice.
    """

    name = "Redis::Streams"
    example = MappingProxyType({"stream": "logs"})
    confirms = "stored by the stream"

    maxlen: int = option(
        default=0,
        ge=0,
        description="Approximate maximum number of entries in the stream, a frame being one: older ones are removed,"
        " read or not (Redis removes whole blocks of them). 0: no limit.",
    )
    frames: bool = option(default=True, description="Pack messages into frames. False: one by one.")
    frame_bytes: int = option(
        default=64 << 10, ge=1, description="The most bytes of a frame; a larger message is sent alone."
    )
    in_flight: int = option(
        default=1, ge=1, description="How many batches may be in flight. 1 preserves their order."
    )
    retry_longest: float = option(
        default=5.0, gt=0, description="Maximum delay between two attempts, in seconds."
    )

    def accept(self, target: Hashable, messages: Sequence[bytes]) -> None:
        """See `NetworkOutput`: they are packed at once, since what waits is then little."""
        super().accept(target, buffered_frames(all_as_bytes(self, messages)) if self.frames else messages)

    async def send_batch(self, batch: Batch) -> None:
        """See `NetworkOutput`.

        Raises:
            RetryLater: there is no connection, or not everything was stored.
        """
        await self.look_at_server()
        if batch.prepared is None:
            batch.prepared = list(payloads_of(batch.messages, self.frame_bytes))
        sent: list[bytes] = batch.prepared
        stored: set[int] = set()
        refused: dict[int, str] = {
            number: f"it has {len(payload)} bytes, and the server accepts {self.most_bytes} (proto-max-bulk-len)"
            for number, payload in enumerate(sent)
            if len(payload) > self.most_bytes
        }
        rest = [number for number in range(len(sent)) if number not in refused]
        reasons: list[str] = []

        def answered(index: int, answer: Any) -> None:
            if isinstance(answer, bytes) and _ENTRY_ID.fullmatch(answer):
                stored.add(rest[index])
            elif not isinstance(answer, ResponseError):
                reasons.append(NO_REDIS)
            elif "invalid bulk length" in str(answer):
                refused[rest[index]] = "it is larger than the server accepts (its proto-max-bulk-len)"
            else:
                reasons.append(redis_reason(answer))

        try:
            if rest:
                await self.link.ask_all([self._command(sent[number]) for number in rest], answered)
        finally:  # what has been answered is not sent again, whatever happens
            batch.prepared = [
                payload
                for number, payload in enumerate(sent)
                if number not in stored and number not in refused
            ]
            for number, text in refused.items():
                self.fail_some(batch, EncodingError(text), messages_of(sent[number]))
            batch.count = message_count(batch.prepared)
        if reasons:
            raise RetryLater(f"the stream {self.stream!r}: {reasons[0]}")

    def _command(self, payload: bytes) -> tuple[bytes | str | int, ...]:
        limit: tuple[str | int, ...] = ("MAXLEN", "~", self.maxlen) if self.maxlen else ()
        field = FRAME_FIELD if is_frame(payload) else MESSAGE_FIELD
        return ("XADD", self.stream, *limit, "*", field, payload)

    def unsent_of(self, batch: Batch) -> list[bytes]:
        """See `NetworkOutput`: what was not stored, each message by itself."""
        left = batch.messages if batch.prepared is None else batch.prepared
        return [message for payload in left for message in messages_of(payload)]

    async def background(self) -> None:
        """See `NetworkOutput`: and be connected."""
        try:
            await super().background()
        finally:
            self.link.close()
