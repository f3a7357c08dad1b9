"""Store messages in a topic of Kafka. The original has no such output."""

from __future__ import annotations

import asyncio
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.abbreviation import bounded_repr
from message_passing.dotted import value_at
from message_passing.encoded import all_as_bytes
from message_passing.errors import EncodingError, PeerError
from message_passing.kafka.options import MESSAGE_BYTES, KafkaComponent
from message_passing.kafka.producing import (
    ANY_PARTITION,
    ANYWHERE,
    NotInTime,
    NoTopic,
    ProducedBatch,
    ProducerThread,
    Route,
)
from message_passing.kafka.topics import TopicKeeper
from message_passing.lines import MultiMessage
from message_passing.network.backoff import RetryLater
from message_passing.network.output import NetworkOutput
from message_passing.network.packing import buffered_frames, joined_frame, messages_of, payloads_of
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from message_passing.network.buffer import Batch

_PATIENCE = 0.9
"""The share of `timeout` in which the library sends, and sends again; what is lacking is then said."""

_CLOSING = 2.0
"""The most seconds that closing may take, after what waits was sent."""

_LARGEST = 1 << 63
_LONGEST_KEY = 1000
"""The most bytes of a key."""


class _RoutedMessage(bytes):
    """A message, and where it goes."""

    route: Route


class _RoutedFrame(MultiMessage):
    """A frame, and where it goes."""

    route: Route


class KafkaOutput(KafkaComponent, NetworkOutput):
    """Stores messages in a topic of Kafka, and retries until all replicas that are in sync have them.

    Messages that wait together are packed into frames, of many lines each, which is several times faster than one by
    one; the input `Kafka` takes them apart. The producer is idempotent: what the library sends again is stored once,
    in order. If it gives up after `timeout`, and begins anew, what had no answer may be stored twice.
    """

    name = "Kafka"
    example = MappingProxyType({"topic": "logs"})
    confirms = "stored by the topic"
    takes_objects = True

    key_field: str = option(
        default="",
        min_length=1,
        description="The field with the key: messages with the same one go to the same partition, in order. A message"
        " without it has no key. Text or a whole number.",
    )
    partition_field: str = option(
        default="",
        min_length=1,
        description="The field with the number of the partition. A message without it goes where its key, or the"
        " library, says.",
    )
    frames: bool = option(default=True, description="Pack messages into frames. False: one by one.")
    frame_bytes: int = option(
        default=64 << 10, ge=1, description="The most bytes of a frame; a larger message is sent alone."
    )
    message_bytes: int = option(
        default=MESSAGE_BYTES,
        ge=1000,
        le=1_000_000_000,
        description="The most bytes of a message; a larger one fails. At most what the brokers accept (their"
        " `message.max.bytes`, the topic's `max.message.bytes`).",
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = option(
        default="none", description="How messages are compressed on their way, and in the topic."
    )
    in_flight: int = option(
        default=20,
        ge=1,
        description="How many batches may be in flight. The library preserves their order in each partition.",
    )
    timeout: float = option(
        default=120.0,
        ge=1,
        description="Seconds in which the library sends a batch, and sends it again if need be, without storing it"
        " twice. After that it is sent as a new one.",
    )
    retry_longest: float = option(
        default=5.0, gt=0, description="Maximum delay between two attempts, in seconds."
    )

    def on_init(self) -> None:
        """Nothing is sent yet."""
        self.takes_objects = bool(self.key_field or self.partition_field)
        super().on_init()
        self._each = self.in_flight  # they have one target
        self._thread = ProducerThread(self._producer_config, self._tell_trouble)
        self._watch = self._thread.watch
        self.topics = TopicKeeper(
            self.wish(), self.client_config, lambda text: self._thread.call(self.report, PeerError(text))
        )
        self._turn = asyncio.Lock()
        self._told = ""

    def _producer_config(self) -> dict[str, Any]:
        return {
            **self.client_config(),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": round(self.timeout * _PATIENCE * 1000),
            "message.max.bytes": self.message_bytes + 1000,
            "batch.size": min(self.message_bytes, MESSAGE_BYTES),
            "queue.buffering.max.messages": max(100, self.in_flight * self.batch_messages),
            "queue.buffering.max.kbytes": max(
                1, self.in_flight * max(self.batch_bytes, self.message_bytes) >> 10
            ),
            "compression.type": self.compression,
            "partitioner": "murmur2_random",  # as Java's clients do
        }

    def target_of(self, message: Any) -> Route:
        """See `NetworkOutput`.

        Raises:
            EncodingError: a field has a value that is no key, or no number of a partition.
        """
        key = value_at(message, self.key_field) if self.key_field else None
        number = value_at(message, self.partition_field) if self.partition_field else None
        return Route(None if key is None else self._key(key), self._partition(number))

    def _key(self, found: Any) -> bytes:
        if isinstance(found, int) and not isinstance(found, bool) and abs(found) < _LARGEST:
            return b"%d" % found
        if isinstance(found, str) and found:
            key = found.encode("utf-8", "surrogatepass")
            if len(key) <= _LONGEST_KEY:
                return key
        raise EncodingError(
            f"the field {self.key_field!r} is no key: {bounded_repr(found, 60)} (allowed: text of at most"
            f" {_LONGEST_KEY} bytes, or a whole number)"
        )

    def _partition(self, found: Any) -> int:
        if found is None:
            return ANY_PARTITION
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 31:
            return found
        raise EncodingError(
            f"the field {self.partition_field!r} is no number of a partition: {bounded_repr(found, 60)}"
        )

    def accept(self, target: Hashable, messages: Sequence[bytes]) -> None:
        """See `NetworkOutput`: they are packed at once; all share one queue, wherever they go."""
        found = buffered_frames(all_as_bytes(self, messages)) if self.frames else messages
        if isinstance(target, Route) and target != ANYWHERE:
            found = [_routed(one, target) for one in found]
        super().accept(None, found)

    async def send_batch(self, batch: Batch) -> None:
        """See `NetworkOutput`.

        Raises:
            RetryLater: no broker can be reached, or not everything was stored.
        """
        producer = await self._thread.ready(self.timeout * _PATIENCE)
        async with self._turn:  # those that wait for it go on in the order in which they came
            if not self._thread.has_topic:
                if not await asyncio.to_thread(self.topics.ensure):
                    raise RetryLater(self.topics.trouble)
                self._thread.has_topic = True
        if batch.prepared is None:
            batch.prepared = ProducedBatch(self._payloads(batch), self.message_bytes)
        publication: ProducedBatch = batch.prepared
        try:
            await publication.publish(self._thread, producer, self.topic)
        except NoTopic as error:
            self._thread.has_topic = False
            if isinstance(error, NotInTime):
                self._thread.renew(producer)
            raise
        finally:
            self._fail_refused(batch, publication)

    def _payloads(self, batch: Batch) -> list[tuple[Route, bytes]]:
        most = min(self.frame_bytes, self.message_bytes)
        if not self.takes_objects:
            return [*zip(repeat(ANYWHERE), payloads_of(batch.messages, most))]
        groups: dict[Route, list[bytes]] = {}
        for message in batch.messages:
            groups.setdefault(getattr(message, "route", ANYWHERE), []).append(message)
        return [(route, payload) for route, group in groups.items() for payload in payloads_of(group, most)]

    def _fail_refused(self, batch: Batch, publication: ProducedBatch) -> None:
        """Fail what the brokers will never accept; the rest of its batch is not concerned."""
        refused, publication.refused = publication.refused, []
        for payload, error in refused:
            self.fail_some(batch, error, messages_of(payload))
        batch.count = publication.messages()

    def unsent_of(self, batch: Batch) -> list[bytes]:
        """See `NetworkOutput`: what was not stored, each message by itself."""
        left = batch.messages if batch.prepared is None else [one for _, one in batch.prepared.left.values()]
        return [message for payload in left for message in messages_of(payload)]

    def _tell_trouble(self) -> None:
        """Report a trouble once, until it is over."""
        trouble = self._watch.trouble or self._thread.trouble
        if trouble and trouble != self._told and not self._obstacles:
            self.report(PeerError(trouble))
        self._told = trouble

    async def background(self) -> None:
        """See `NetworkOutput`: and have a producer."""
        self._thread.start(f"{self.label} producing")
        try:
            await super().background()
        finally:
            await self._thread.end(_CLOSING)

    def connected(self) -> int:
        """See `KafkaComponent`."""
        return self._watch.connected

    def problems(self) -> list[str]:
        """See `NetworkOutput`: and that no broker can be reached."""
        trouble = self._watch.trouble or self._thread.trouble
        return [*([trouble] if trouble else []), *super().problems()]

    def info(self) -> Mapping[str, Any]:
        """See `NetworkOutput`."""
        return {**super().info(), "partitions": self.topics.partitions}


def _routed(message: bytes, route: Route) -> bytes:
    """The same message, or frame, that knows where it goes."""
    frame = joined_frame(message)
    if frame is None:
        alone = _RoutedMessage(message)
        alone.route = route
        return alone
    found = _RoutedFrame(frame, frame.lines)
    found.joined, found.route = True, route
    return found
