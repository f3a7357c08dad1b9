"""The thread that consumes: the client library waits in it, and calls back in it when partitions come and go."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import OpenError, needs_extra
from message_passing.kafka.client_thread import ClientThread, client_pause
from message_passing.kafka.reasons import MISSING, NO_TOPIC, kafka_reason
from message_passing.kafka.records import KafkaRecord, PartitionOffsets, records_of, without_gaps
from message_passing.kafka.topics import ask_for_topic
from message_passing.kafka.watch import ClientWatch

with needs_extra("kafka"):
    from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from message_passing.kafka.topics import TopicKeeper
    from message_passing.kafka.watch import PartitionStatistics
    from message_passing.kafka.window import RecordWindow
    from message_passing.network.room import RoomEstimate

_POLL = 0.1
"""The most seconds that the library waits for a record."""

_FULL = 0.2
"""Seconds without room after which the partitions are paused, which discards what the library has fetched."""

_RECENTLY = 60.0
"""Seconds after a topic was missing in which lost partitions are no surprise."""

_SHARING = 10.0
"""Seconds that a group may take to give a node partitions without a word about it."""

_ANSWER = 3.0
"""Seconds that the brokers may take to say where a group is, and where a partition begins."""


class ConsumerThread(ClientThread):
    """Consumes one topic as a member of a group, as long as there is room, and stores the offsets of what is settled.

    Attributes:
        watch: the client's connections.
        troubles: what keeps it from its work, as sentences, by what they concern.
        offsets: what is here of each partition.
        lag: how many records of the assigned partitions are not settled; None if that is not known.
    """

    def __init__(
        self,
        topics: TopicKeeper,
        topic: str,
        config: Callable[[], dict[str, Any]],
        window: RecordWindow,
        estimate: RoomEstimate,
        *,
        revoke_wait: float,
        latest: bool,
        together: bool,
        report: Callable[[str], object],
        wake: Callable[[], object],
    ) -> None:
        """Prepare it.

        Args:
            topics: makes sure that there is the topic.
            topic: its name.
            config: gives what a client is made with; raises `OpenError`.
            window: where the records go, in the loop's thread.
            estimate: how many there may be.
            revoke_wait: seconds that the chain has to be done with what it has of partitions that go elsewhere.
            latest: a group that is new begins with the next record.
            together: records may be passed on together.
            report: called in the loop's thread, with a sentence.
            wake: called there when something has changed.
        """
        super().__init__(config, wake)
        self.offsets = PartitionOffsets()
        self.troubles: dict[str, str] = {}
        self.lag: int | None = None
        self.freed = threading.Event()
        self._topics, self._topic = topics, topic
        self._window, self._estimate = window, estimate
        self._revoke_wait, self._latest, self._together = revoke_wait, latest, together
        self._report = report
        self._paused = self._joined = self._lost = False
        self._idle_since = math.inf
        self._first_partitions = 0  # how many there were when this began with new records
        self._looks, self._look_at = 0, 0.0
        self._missing_at = -math.inf
        self.watch = ClientWatch(self._wake, self._positions)

    async def end(self, seconds: float) -> None:
        """Leave the group, after storing what was settled; wait for that, at most so long."""
        self._ending.set()
        self.freed.set()
        await super().end(seconds)

    def idle(self) -> str:
        """Why it is connected and has no partition, as a sentence; empty if it has one, or there is a trouble."""
        if len(self.offsets) or not self.watch.connected or self.troubles:
            self._idle_since = math.inf
            return ""
        self._idle_since = min(self._idle_since, monotonic())
        if monotonic() - self._idle_since < _SHARING:
            return ""
        if self._joined:
            return "it has no partition: the group has as many nodes as the topic has partitions, or more"
        return "the group has not given it partitions yet"

    def _set_trouble(self, what: str, reason: str) -> None:
        before = self.troubles.get(what, "")
        if reason == before:
            return
        if reason:
            self.troubles[what] = reason
        else:
            del self.troubles[what]
        self._wake()

    def _run(self) -> None:
        if self._topics.creates:
            self._look_for_topic(always=True)
        super()._run()

    def live(self, config: dict[str, Any]) -> bool:
        """See `ClientThread`."""
        consumer = self._new(config)
        self._set_trouble("client", "")
        return self._use(consumer, config)

    def cannot(self, reason: str) -> None:
        """See `ClientThread`."""
        self._set_trouble("client", reason)

    def _new(self, config: dict[str, Any]) -> Consumer:
        watch = self.watch
        watch.fatal, watch.refused = "", False
        return Consumer({**config, **watch.config(), "on_commit": self._committed})

    def _use(self, consumer: Consumer, config: dict[str, Any]) -> bool:
        """Consume until the end, or until there has to be another client; whether it was connected."""
        connected = False
        self._paused = self._joined = self._lost = False
        try:
            consumer.subscribe(
                [self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
            )
            while not self._ending.is_set() and not self.watch.fatal and not self.watch.refused:
                self._step(consumer)
                self._explain_loss(consumer)
                self.watch.look(config)
                self._look_for_topic()
                connected = connected or bool(self.watch.connected)
            self._store(consumer)
            self._set_trouble("client", self.watch.fatal)
        except KafkaException as error:
            self._set_trouble("client", kafka_reason(error))
        finally:
            with contextlib.suppress(KafkaException, RuntimeError):
                consumer.close()
            self._give_up([*self.offsets])
            self.watch.connected = 0
            self.lag = None
        return connected

    def _room(self) -> int:
        return 0 if self._window.stopping else self._estimate.room(self.offsets.count, self.offsets.size)

    def _step(self, consumer: Consumer) -> None:
        """Wait for records, or for room."""
        until = monotonic() + (0 if self._paused else _FULL)
        while True:
            self.freed.clear()
            self._store(consumer)
            room, left = self._room(), until - monotonic()
            if room or left <= 0:
                break
            self.freed.wait(left)
        if bool(room) is self._paused:
            self._paused = not room
            (consumer.pause if self._paused else consumer.resume)(consumer.assignment())
        first = consumer.poll(_POLL if room else _POLL / 2)
        if first is not None:
            self._receive(consumer, [first, *consumer.consume(room - 1, 0)] if room > 1 else [first])

    def _receive(self, consumer: Consumer, messages: list[Message]) -> None:
        """Have records passed on, and note their offsets."""
        if any(map(Message.error, messages)):
            for error in filter(None, map(Message.error, messages)):
                self._failed(error)
            messages = [message for message in messages if message.error() is None]
        by_partition: dict[int | None, list[Message]] = {}
        numbers = [*map(Message.partition, messages)]
        if len({*numbers}) == 1:
            by_partition[numbers[0]] = messages
        else:
            for number, message in zip(numbers, messages, strict=True):
                by_partition.setdefault(number, []).append(message)
        records: list[KafkaRecord] = []
        for partition, found in by_partition.items():
            if partition is not None and partition in self.offsets:
                records += self._received(consumer, partition, found)
        if records:
            self._set_trouble("topic", "")
            self.call(self._window.arrived, records)

    def _received(
        self, consumer: Consumer, partition: int, messages: Sequence[Message]
    ) -> Iterator[KafkaRecord]:
        """What has come of one partition. The library is asked for all of it at once, not message by message."""
        offsets = [message.offset() or 0 for message in messages]
        values: list[bytes | None] = [*map(Message.value, messages)]
        headers: list[Any] = [*map(Message.headers, messages)]
        now = monotonic()
        for first, end in without_gaps(offsets):
            if offsets[first] != self.offsets.expected(partition):
                self._jumped(consumer, partition, offsets[first])
            key = self.offsets.assignment(partition), offsets[first]
            part = values[first:end], headers[first:end]
            for record in records_of(key, partition, *part, now, together=self._together):
                self.offsets.receive(record)
                self._estimate.saw(record.size / record.count, record.count)
                yield record

    def _jumped(self, consumer: Consumer, partition: int, offset: int) -> None:
        """The next record is not the next one. Gaps are no losses, unless the partition begins only after them."""
        expected = self.offsets.expected(partition)
        if expected is None:
            return
        if offset < expected:
            text = f"partition {partition} is another one than before: it is read from offset {offset}"
            self.call(self._window.forget, [self.offsets.assignment(partition)])
            self.offsets.assign(partition, offset)
        else:
            low, _ = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            lost = min(low, offset) - expected
            if lost <= 0:
                return
            what = "record was" if lost == 1 else "records were"
            text = (
                f"{lost} {what} removed from partition {partition} (retention, or by hand) before this group was"
                " done with them: lost"
            )
        self.call(self._report, f"the topic {self._topic!r}: {text}")

    def _store(self, consumer: Consumer) -> None:
        """Tell the library up to where everything is settled; it commits that once a second, and at the end."""
        if moved := self.offsets.advance():
            places = [TopicPartition(self._topic, number, offset) for number, offset in moved.items()]
            with contextlib.suppress(KafkaException):  # it is not this node's any more
                consumer.store_offsets(offsets=places)

    def _failed(self, error: Any) -> None:
        """The library tells of an error in place of a record."""
        code = error.code()
        if code in MISSING:
            self._looks, self._look_at = 0, monotonic()
            self._missing_at = monotonic()
            missing = "" if self._topics.creates else NO_TOPIC.format(self._topic)
            self._set_trouble("topic", missing or f"there is no topic {self._topic!r}")
        elif code == error.GROUP_AUTHORIZATION_FAILED:
            self._set_trouble("group", kafka_reason(error))
        elif code != error._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own errors are named so
            self._set_trouble("topic", f"the topic {self._topic!r}: {kafka_reason(error)}")

    def _look_for_topic(self, *, always: bool = False) -> None:
        """If it is said to be missing: have it created, or say that it is to be."""
        if not always and ("topic" not in self.troubles or monotonic() < self._look_at):
            return
        self._looks += 1
        found = self._topics.ensure()
        self._look_at = monotonic() + client_pause(self._looks)
        self._set_trouble("topic", "" if found else self._topics.trouble)

    def _committed(self, error: Any, _places: Any) -> None:
        reason = "" if error is None or error.code() == error._NO_OFFSET else kafka_reason(error)  # noqa: SLF001 - likewise
        self._set_trouble("commit", f"the group's offsets are not committed: {reason}" if reason else "")

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Partitions are this node's from now on."""
        known = {one.partition: -1 for one in places}
        ends: dict[int, TopicPartition] = {}
        try:
            for one in consumer.committed(places, timeout=_ANSWER):
                known[one.partition] = one.offset
                if one.offset < 0:  # the group has never been here
                    low, high = consumer.get_watermark_offsets(one, timeout=_ANSWER)
                    latest = self._latest and self._is_old(one.partition)
                    known[one.partition] = high if latest else low
                    if latest:
                        ends[one.partition] = TopicPartition(self._topic, one.partition, high)
        except KafkaException:
            if self._latest:  # it must not begin anywhere else: there has to be another client
                raise
        for number, offset in known.items():
            self.offsets.assign(number, offset if offset >= 0 else None)
        # From this end, not from where it is once the library looks for it, or when another node gets the partition.
        consumer.incremental_assign([ends.get(one.partition, one) for one in places])
        if ends:
            with contextlib.suppress(KafkaException):
                consumer.store_offsets(offsets=[*ends.values()])
        if self._paused and places:
            consumer.pause(places)
        self._joined = True
        self._set_trouble("group", "")
        self._wake()

    def _is_old(self, partition: int) -> bool:
        """Whether a partition was there when this began. All that is in one which was added later is new."""
        self._first_partitions = self._first_partitions or self._partitions()
        return not self._first_partitions or partition < self._first_partitions

    def _revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Partitions go to another node: be done with what was begun, within a bound, and store that."""
        numbers = [one.partition for one in places]
        self.call(self._window.drop, {self.offsets.assignment(number) for number in numbers})
        until = monotonic() + self._revoke_wait
        while self.offsets.busy(numbers) and not self._ending.is_set() and monotonic() < until:
            self.freed.clear()
            if self.offsets.busy(numbers):
                self.freed.wait(min(_POLL, max(0.0, until - monotonic())))
        self._store(consumer)
        self._give_up(numbers)
        consumer.incremental_unassign(places)  # which commits what is stored

    def _lose(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        """Another node has had these partitions for some time; or the topic is gone: see `_explain_loss`."""
        self._lost = True
        self._give_up([one.partition for one in places])

    def _explain_loss(self, consumer: Consumer) -> None:
        """Say that other nodes have this one's partitions, unless the topic is gone, which is told elsewhere.

        Not while the library calls back: a question for topics there has confluent-kafka 2.16 forget in which call it
        is, and it aborts the process (`CallState_get: Assertion`) at the next callback of the same call.
        """
        if not self._lost:
            return
        self._lost = False
        gone = (
            "topic" in self.troubles
            or monotonic() - self._missing_at < _RECENTLY
            or self._is_missing(consumer)
        )
        if not gone:
            text = "the brokers had not heard of this node for some time (session_timeout): others have its"
            self.call(self._report, f"{text} partitions, and process its unfinished messages again")

    def _partitions(self) -> int:
        """How many the topic has; 0 if that is not known. Another client is asked: see `_explain_loss`."""
        with contextlib.suppress(KafkaException, OpenError):
            found = ask_for_topic(self._config(), self._topic, _ANSWER)
            return found[0] if found else 0
        return 0

    def _is_missing(self, consumer: Consumer) -> bool:
        with contextlib.suppress(KafkaException):
            found = consumer.list_topics(self._topic, timeout=_ANSWER).topics[self._topic]
            return found.error is not None and found.error.code() in MISSING
        return False

    def _give_up(self, numbers: list[int]) -> None:
        self.call(self._window.forget, {self.offsets.assignment(number) for number in numbers})
        self.offsets.revoke(numbers)
        self._wake()

    def _positions(self, topics: dict[str, dict[str, PartitionStatistics]]) -> None:
        """How far this node's partitions are from their ends."""
        known = topics.get(self._topic, {})
        lags = [self._lag_of(number, known.get(str(number))) for number in self.offsets]
        known_all = self._joined and self.watch.connected and None not in lags
        self.lag = sum(one or 0 for one in lags) if known_all else None
        self._wake()

    def _lag_of(self, number: int, told: PartitionStatistics | None) -> int | None:
        if told is None or told.hi_offset < 0:
            return None
        first = self.offsets.next(number)
        return None if first is None else max(0, told.hi_offset - max(first, told.lo_offset))
