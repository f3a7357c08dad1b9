"""Receive messages from a topic of Kafka. The original has no such input."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import monotonic
from message_passing.errors import PeerError
from message_passing.kafka.consuming import ConsumerThread
from message_passing.kafka.options import KafkaComponent
from message_passing.kafka.topics import TopicKeeper
from message_passing.kafka.window import RecordWindow
from message_passing.network.engine_input import LOOK, EngineInput
from message_passing.network.room import RoomEstimate
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMIT_MS = 1000
"""Milliseconds between two commits of what was settled."""

_CLOSING = 5.0
"""The most seconds that the last commit, and leaving the group, may take."""

_FETCHED, _BACKOFF_MS = 10_000, 10
"""How many records the library has ready, within `window_bytes` once more; milliseconds until it looks again whether
there are fewer."""

_FETCH_BYTES = 1 << 20
"""The most bytes that are fetched of a partition at a time; one record may have more."""


class KafkaInput(KafkaComponent, EngineInput):
    """Receives messages from a topic of Kafka, as a member of a consumer group: its nodes share the partitions.

    The offset of a partition is committed up to the first message that the chain is not done with, so that after a
    crash another node of the group begins there. When partitions go to another node, what the chain has begun is
    finished within `revoke_wait`, and the other node has the rest. A message that the chain loses is redelivered on
    this node, with increasing delays. Frames, as the output `Kafka` makes them, are taken apart; records without a
    value are skipped.
    """

    name = "Kafka"
    example = MappingProxyType({"topic": "logs", "group": "archive"})

    group: str = option(
        min_length=1, description="Name of the consumer group: nodes with the same one share the partitions."
    )
    start: Literal["all", "new"] = option(
        default="all",
        description="Where a group begins that has never read the topic: with the first message, or the next.",
    )
    session_timeout: float = option(
        default=30.0,
        ge=1,
        description="Seconds after which a node that has died, or is cut off, no longer has its partitions: others"
        " get them. Brokers accept 6 to 1800, unless configured otherwise.",
    )
    revoke_wait: float = option(
        default=5.0,
        ge=0,
        le=200,
        description="The most seconds that the group waits for this node's chain to finish what it has begun, when"
        " partitions go to another node. What is not finished is processed twice.",
    )

    def on_init(self) -> None:
        """Nothing is read yet."""
        super().on_init()
        self.arrivals = self._records = RecordWindow(self.window, self.window_bytes, self._woken)
        self._thread = ConsumerThread(
            TopicKeeper(self.wish(), self.client_config, self._report_later),
            self.topic,
            self._consumer_config,
            self._records,
            RoomEstimate(self.window, self.window_bytes),
            revoke_wait=self.revoke_wait,
            latest=self.start == "new",
            together=self.max_deliveries
            != 1,  # of which each that is lost fails at once, and nothing with it
            report=self._report,
            wake=self.changed.set,
        )
        self._watch = self._thread.watch
        self._reported: set[str] = set()

    def _consumer_config(self) -> dict[str, Any]:
        session = round(self.session_timeout * 1000)
        return {
            **self.client_config(),
            "group.id": self.group,
            # A group that is new begins elsewhere if need be; one whose place was removed, with what is left.
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session,
            "heartbeat.interval.ms": max(1, min(3000, session // 5)),
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": _COMMIT_MS,
            "queued.min.messages": max(_FETCHED, self.window),
            "fetch.queue.backoff.ms": _BACKOFF_MS,
            "queued.max.messages.kbytes": max(1, self.window_bytes >> 10),
            "fetch.message.max.bytes": _FETCH_BYTES,
            "fetch.max.bytes": max(_FETCH_BYTES, self.window_bytes),
        }

    def _woken(self) -> None:
        self._thread.freed.set()
        self.changed.set()

    def _report(self, text: str) -> None:
        self.report(PeerError(text))

    def _report_later(self, text: str) -> None:
        self._thread.call(self._report, text)

    def stopped(self) -> None:
        """Give back what was not passed on."""
        super().stopped()
        self._woken()

    async def background(self) -> None:
        """Pass on again what the chain lost, and tell of troubles; a thread consumes."""
        self._thread.start(f"{self.label} consuming")
        try:
            while True:
                self.changed.clear()
                self._records.repeat()
                self._records.lag = self._thread.lag
                self._tell_troubles()
                self.arrival.set()
                due = self._records.next_due - monotonic()
                await self.wait_for(self.changed, max(0.01, min(LOOK, due)))
        finally:
            self._records.release(everything=True)
            await self._thread.end(_CLOSING)

    def connected(self) -> int:
        """See `KafkaComponent`."""
        return self._watch.connected

    def _troubles(self) -> list[str]:
        found = [*self._thread.troubles.values()]
        return [*dict.fromkeys([self._watch.trouble, *found])] if self._watch.trouble else found

    def _tell_troubles(self) -> None:
        """Report each once, until it is over."""
        troubles = self._troubles()
        for reason in troubles:
            if reason not in self._reported:
                self._report(reason)
        self._reported = {*troubles}

    def info(self) -> Mapping[str, Any]:
        """See `EngineInput`: and how many partitions this node has."""
        return {**super().info(), "partitions": len(self._thread.offsets)}

    def notes(self) -> list[str]:
        """See `Component`: and that it has no partition."""
        return [*super().notes(), *filter(None, [self._thread.idle()])]

    def problems(self) -> list[str]:
        """See `EngineInput`: and that the topic cannot be read."""
        return [*self._troubles(), *super().problems()]
