"""What the client library tells of itself: its connections, and the topics' positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.errors import needs_extra
from message_passing.kafka.reasons import kafka_reason
from message_passing.network.listener_probe import KAFKA, ListenerCheck
from message_passing.network.reasons import says_little

with needs_extra("kafka"):
    from confluent_kafka import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INTERVAL_MS = 1000
"""Milliseconds between two statistics."""

_MOST_ASKED = 3
"""The most brokers that are asked what they are."""

_CREDENTIALS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED)  # noqa: SLF001 - librdkafka's own errors are named so
_CONNECTION = (KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT, *_CREDENTIALS)  # noqa: SLF001 - likewise


class _Broker(msgspec.Struct):
    state: str
    nodeid: int = -1


class PartitionStatistics(msgspec.Struct):
    """What the library knows of a partition (librdkafka's STATISTICS.md).

    Attributes:
        hi_offset: the offset after its last message; negative if not known.
        lo_offset: the offset of its first one; negative if not known.
        next_offset: what is fetched next.
    """

    hi_offset: int = -1
    lo_offset: int = -1
    next_offset: int = -1


class _Topic(msgspec.Struct):
    partitions: dict[str, PartitionStatistics] = {}


class _Statistics(msgspec.Struct):
    brokers: dict[str, _Broker] = {}
    topics: dict[str, _Topic] = {}


_read = msgspec.json.Decoder(_Statistics).decode


def new_broker_check() -> ListenerCheck:
    """Finds out why brokers cannot be used, where the library does not say."""
    return ListenerCheck(KAFKA, "the option tls")


class ClientWatch:
    """The connections of one client. The library calls it in the thread that polls.

    Attributes:
        connected: how many brokers it is connected to.
        trouble: why to none, as a sentence; empty otherwise.
        reason: what the last connection that failed said.
        refused: it is for the credentials or the certificates: a new client may read others.
        fatal: why the client can do nothing any more; empty if it can.
    """

    def __init__(
        self,
        tell: Callable[[], object],
        positions: Callable[[dict[str, dict[str, PartitionStatistics]]], object] | None = None,
        check: ListenerCheck | None = None,
    ) -> None:
        """Begin without knowing anything.

        Args:
            tell: called when something has changed.
            positions: called with what is known of partitions, by topic and number.
            check: what others have found out already of brokers that cannot be used.
        """
        self.connected = 0
        self.trouble = self.fatal = ""
        self.refused = False
        self._all_down, self.reason, self._last_refused = False, "", False
        self._tell, self._positions = tell, positions
        self._check = check or new_broker_check()

    def config(self) -> dict[str, Any]:
        """What the client is made with, so that it tells this."""
        return {
            "error_cb": self.failed,
            "stats_cb": self.told,
            "statistics.interval.ms": _INTERVAL_MS,
            "log_level": 0,
        }

    def failed(self, error: KafkaError) -> None:
        """A connection, or the client, has failed."""
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - likewise
            self.fatal = kafka_reason(error)
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - likewise
            self._all_down, self.connected = True, 0
        elif error.code() in _CONNECTION:
            self.reason, self._last_refused = kafka_reason(error), error.code() in _CREDENTIALS
        if self._all_down:
            self.refused = self._last_refused
            if not says_little(self.reason):
                self.trouble = f"not connected: {self.reason}"
        self._tell()

    def look(self, config: Mapping[str, Any], *, always: bool = False) -> None:
        """If no broker can be reached, and the library does not say why, find out; that takes its time.

        Args:
            config: what the client was made with.
            always: even if the library has not given up.
        """
        if self.trouble or not (self._all_down or always):
            return
        for address in config["bootstrap.servers"].split(",")[:_MOST_ASKED]:
            reason = self._why_not(address, config)
            if reason:
                self.reason = f"{address}: {reason}"
                break
        self.trouble = f"not connected: {self.reason or 'no broker can be reached'}"
        self._tell()

    def _why_not(self, address: str, config: Mapping[str, Any]) -> str:
        encrypted = config["security.protocol"].endswith("SSL")
        if reason := self._check.why_not(address, encrypted):
            return reason
        found = self._check.find(address)
        if found.encrypted:
            verb = "accept" if "ssl.certificate.location" in config else "want"
            return f"the broker closes the connection: does it {verb} this client's certificate (option tls_cert)?"
        if found.kind and "sasl.username" not in config:
            return "the broker closes the connection: does it want credentials (option username)?"
        return ""

    def told(self, text: str) -> None:
        """Statistics have come."""
        found = _read(text)
        connected = sum(one.state == "UP" and one.nodeid >= 0 for one in found.brokers.values())
        if connected != self.connected:
            self.connected = connected
            if connected:
                self.trouble, self.refused, self._all_down = "", False, False
            self._tell()
        if self._positions:
            self._positions({name: one.partitions for name, one in found.topics.items()})
