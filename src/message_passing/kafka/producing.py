"""A producer, and batches of which each message is stored, or not, by itself.

The library tells of each message in whichever thread asks it, and takes Python's lock for each: in a thread beside a
busy event loop, each would wait for that. So the loop asks while reports are to come, without waiting; otherwise a
thread does, and it makes and ends the producers, which may take time.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.errors import EncodingError, needs_extra
from message_passing.kafka.client_thread import ClientThread
from message_passing.kafka.reasons import MISSING, REFUSED, SIZES, kafka_reason
from message_passing.kafka.records import FRAME_MARK
from message_passing.kafka.watch import ClientWatch
from message_passing.lines import message_count
from message_passing.network.backoff import RetryLater
from message_passing.network.packing import is_frame

with needs_extra("kafka"):
    from confluent_kafka import KafkaException, Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import KafkaError, Message

_POLL = 0.1
"""The most seconds that the thread waits for a delivery report."""

_SHORTEST, _LONGEST = 0.001, 0.02
"""Seconds between two looks for delivery reports while some are to come."""

ANY_PARTITION = -1

_HEADERS: list[tuple[str, str | bytes | None]] = [FRAME_MARK]


class Route(NamedTuple):
    """Where a message goes.

    Attributes:
        key: messages with the same one go to the same partition, in their order; None for no key.
        partition: its number, or `ANY_PARTITION`.
    """

    key: bytes | None = None
    partition: int = ANY_PARTITION


ANYWHERE = Route()


class NoTopic(RetryLater):
    """There is no topic (any more)."""


class NotInTime(NoTopic):
    """The library had its time: it waits for a topic that is missing, and where brokers no longer know it."""


class ProducerThread(ClientThread):
    """A producer, made anew if it fails for good, and the thread in which it tells what was stored.

    Attributes:
        watch: its connections.
        producer: None while there is none. Its own threads and connections end when nobody keeps it any more.
        has_topic: the topic was found since this producer was made.
        trouble: why there is none; empty if there is one.
        waiting: how many batches look for reports themselves.
    """

    def __init__(self, config: Callable[[], dict[str, Any]], wake: Callable[[], object]) -> None:
        """Prepare it.

        Args:
            config: see `ClientThread`.
            wake: likewise.
        """
        super().__init__(config, wake)
        self.producer: Producer | None = None
        self.has_topic = False
        self.trouble = ""
        self.watch = ClientWatch(self._wake)
        self.waiting = 0
        self._stale = False
        self._made = asyncio.Event()

    def renew(self, producer: Producer) -> None:
        """Make another producer in place of this one, if it is connected and has nothing stored nevertheless."""
        if producer is self.producer and self.watch.connected:
            self._stale = True

    async def ready(self, seconds: float) -> Producer:
        """The producer, once there is one.

        Raises:
            RetryLater: there was none within so many seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.producer is None:
                    self._made.clear()
                    await self._made.wait()
        if self.producer is None:
            raise RetryLater(self.trouble or "not ready yet")
        return self.producer

    def live(self, config: dict[str, Any]) -> bool:
        """See `ClientThread`."""
        watch = self.watch
        watch.fatal, watch.refused, self._stale, self.has_topic = "", False, False, False
        self.producer = Producer({**config, **watch.config()})
        self.trouble = ""
        self.call(self._made.set)
        return self._serve(self.producer, config)

    def cannot(self, reason: str) -> None:
        """See `ClientThread`."""
        self.trouble = reason
        self._wake()

    def _serve(self, producer: Producer, config: dict[str, Any]) -> bool:
        """Have it tell what was stored, until the end, or until there has to be another; whether it was connected."""
        connected = False
        watch = self.watch
        while not (self._ending.is_set() or watch.fatal or watch.refused or self._stale):
            if self.waiting:
                self._ending.wait(_POLL)
            else:
                producer.poll(_POLL)
            self.watch.look(config)
            connected = connected or bool(self.watch.connected)
        self.producer, self.trouble = None, self.watch.fatal or self.watch.trouble
        producer.purge()
        producer.poll(0)  # what was purged is told of
        self.watch.connected = 0
        return connected


class ProducedBatch:
    """The messages of one batch, until each is stored or refused.

    Attributes:
        left: what is not stored yet, and where it goes, by its number in the batch.
        refused: what will never be stored, and why.
    """

    def __init__(self, payloads: Iterable[tuple[Route, bytes]], most: int) -> None:
        """Begin with all.

        Args:
            payloads: frames and single messages.
            most: the most bytes of one.
        """
        self.left = dict(enumerate(payloads))
        self.refused: list[tuple[bytes, EncodingError]] = []
        for number in [number for number, (_, payload) in self.left.items() if len(payload) > most]:
            size = len(self.left[number][1])
            self._refuse(number, f"it has {size} bytes, more than message_bytes ({most})")
        self._sent: list[int] = []  # of what reports are to come
        self._reports: list[tuple[KafkaError, Message] | None] = []
        self._suspects: list[int] = []  # were refused together with others

    def messages(self) -> int:
        """How many are not stored yet, counting those in frames."""
        return message_count([payload for _, payload in self.left.values()])

    async def publish(self, thread: ProducerThread, producer: Producer, topic: str) -> None:
        """Have everything stored that is not yet.

        Raises:
            RetryLater: not everything was, and may be later.
            NoTopic: the topic is not there.
        """
        thread.waiting += 1
        try:
            # An earlier attempt may not have been waited for to its end: until then nothing is sent twice.
            await self._answer(producer)
            await self._send(producer, topic, [one for one in self.left if one not in self._suspects])
            while self._suspects:
                await self._send(producer, topic, [self._suspects.pop()])
        finally:
            thread.waiting -= 1

    async def _send(self, producer: Producer, topic: str, numbers: Sequence[int]) -> None:
        """Give messages to the producer, which sends and repeats them in their order; and wait for all reports."""
        left, sent, report = self.left, self._sent, self._report
        for number in numbers:
            (key, partition), payload = left[number]
            headers = None if type(payload) is bytes or not is_frame(payload) else _HEADERS
            while True:
                try:
                    producer.produce(topic, payload, key, partition, report, None, 0, headers)
                except BufferError:
                    producer.poll(0)
                    await asyncio.sleep(_SHORTEST)
                except KafkaException as error:
                    self._failed_at_once(number, error.args[0])
                    break
                else:
                    sent.append(number)
                    break
        await self._answer(producer)

    def _failed_at_once(self, number: int, error: KafkaError) -> None:
        if error.code() not in REFUSED:
            raise _retry(error) from None
        self._refuse(number, kafka_reason(error))

    def _report(self, error: KafkaError | None, message: Message) -> None:
        """What became of a message; in any thread. One function for all: making one for each would take longer."""
        self._reports.append(None if error is None else (error, message))

    async def _answer(self, producer: Producer) -> None:
        """Wait for all reports."""
        pause = _SHORTEST
        while len(self._reports) < len(self._sent):
            pause = _SHORTEST if producer.poll(0) else min(2 * pause, _LONGEST)
            if len(self._reports) < len(self._sent):
                await asyncio.sleep(pause)
        failed = self._failed()
        if len(self._sent) == len(self.left) and not failed:
            self.left.clear()
        else:
            for number in self._sent:
                if number not in failed:
                    del self.left[number]
        alone = len(self._sent) == 1
        self._reports, self._sent = [], []
        reasons = [error for error in failed.values() if error.code() not in REFUSED]
        for number, error in failed.items():
            if error.code() in REFUSED and (alone or error.code() not in SIZES):
                self._refuse(number, kafka_reason(error))
            elif error.code() in REFUSED:
                self._suspects.append(number)
        if reasons:
            raise _retry(reasons[0])

    def _failed(self) -> dict[int, KafkaError]:
        """Which messages were not stored: those with the bytes that are reported. Of equal ones any is as good."""
        reports = [*filter(None, self._reports)]
        failed: dict[int, KafkaError] = {}
        numbers: dict[tuple[object, object], list[int]] = {}
        if reports:  # those that name their partition before those that may be in any
            for number in sorted(self._sent, key=lambda one: -self.left[one][0].partition):
                route, payload = self.left[number]
                numbers.setdefault((route.key, payload), []).append(number)
        for error, message in reports:
            same = numbers[message.key(), message.value() or b""]
            places = (message.partition(), ANY_PARTITION)
            number = next((one for one in same if self.left[one][0].partition in places), same[0])
            same.remove(number)
            failed[number] = error
        return failed

    def _refuse(self, number: int, reason: str) -> None:
        self.refused.append((self.left.pop(number)[1], EncodingError(reason)))


def _retry(error: KafkaError) -> RetryLater:
    if error.code() == error._MSG_TIMED_OUT:  # noqa: SLF001 - librdkafka's own errors are named so
        return NotInTime(kafka_reason(error))
    return NoTopic(kafka_reason(error)) if error.code() in MISSING else RetryLater(kafka_reason(error))
