"""Publish messages in Redis (Message::Passing::Output::Redis)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import needs_extra
from message_passing.network.backoff import RetryLater
from message_passing.network.output import NetworkOutput
from message_passing.options import option
from message_passing.redis.options import RedisPubSubComponent
from message_passing.redis.reasons import NO_REDIS, redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.network.buffer import Batch


class RedisOutput(RedisPubSubComponent, NetworkOutput):
    """Publishes each message to a topic of Redis (PUBLISH), and retries until the server has taken it.

    Only current subscribers get it. Redis keeps nothing that is published: without a subscriber it is gone, which is
    counted (`unheard`) and reported. Where that matters, use `Redis::Streams`.
    """

    name = "Redis"
    example = MappingProxyType({"topic": "logs"})
    confirms = "taken by the server, for those who are subscribed"
    confirms_early = True

    topic: str = option(min_length=1, description="The topic to publish to.")
    in_flight: int = option(
        default=1, ge=1, description="How many batches may be in flight. 1 preserves their order."
    )
    retry_longest: float = option(
        default=5.0, gt=0, description="Maximum delay between two attempts, in seconds."
    )

    def on_init(self) -> None:
        """Nothing is published."""
        super().on_init()
        self._unheard, self._heard_last = 0, True

    async def send_batch(self, batch: Batch) -> None:
        """See `NetworkOutput`.

        Raises:
            RetryLater: there is no connection, or not everything was taken.
        """
        sent: list[bytes] = batch.messages if batch.prepared is None else batch.prepared
        taken: set[int] = set()
        reasons: list[str] = []

        def answered(number: int, answer: Any) -> None:
            if isinstance(answer, ResponseError):
                reasons.append(redis_reason(answer))
                return
            if not isinstance(answer, int):
                reasons.append(NO_REDIS)
                return
            taken.add(number)
            self._heard_last = answer > 0
            self._unheard += not answer

        try:
            await self.link.ask_all([("PUBLISH", self.topic, payload) for payload in sent], answered)
        finally:  # what has been taken is not sent again, whatever happens
            batch.prepared = [payload for number, payload in enumerate(sent) if number not in taken]
            batch.count = len(batch.prepared)
        if reasons:
            raise RetryLater(f"the topic {self.topic!r}: {reasons[0]}")

    def unsent_of(self, batch: Batch) -> list[bytes]:
        """See `NetworkOutput`: what the server has not taken."""
        left: list[bytes] = batch.messages if batch.prepared is None else batch.prepared
        return left

    async def background(self) -> None:
        """See `NetworkOutput`: and be connected."""
        try:
            await super().background()
        finally:
            self.link.close()

    def notes(self) -> list[str]:
        """See `Component`: and that nobody is subscribed."""
        given = [*super().notes()]
        if not self._heard_last:
            given.append(f"nobody is subscribed to the topic {self.topic!r}: what is published is lost")
        return given

    def info(self) -> Mapping[str, Any]:
        """See `NetworkOutput`; and how many messages had no subscriber."""
        return {**super().info(), "unheard": self._unheard}
