"""A topic as somebody wants it: created where it is missing, compared where it exists, and never changed.

What is here asks and waits: it is called in a thread.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import OpenError, needs_extra
from message_passing.kafka.reasons import MISSING, NO_TOPIC, kafka_reason
from message_passing.kafka.watch import ClientWatch, new_broker_check

with needs_extra("kafka"):
    from confluent_kafka import Consumer, KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined] # they are re-exported

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.network.listener_probe import ListenerCheck

ASK_TIMEOUT = 3.0
"""Seconds that the brokers may take to answer a question about a topic."""

_PART = 0.3
"""Seconds after which it is looked whether there is a connection at all."""


@dataclass(frozen=True, slots=True)
class TopicWish:
    """The options of a topic: see `KafkaComponent`."""

    name: str
    create: bool
    partitions: int
    replicas: int
    max_age: float
    max_bytes: int
    min_insync_replicas: int

    def settings(self) -> dict[str, int]:
        """Those of its settings that were given, as Kafka calls them."""
        given = {
            "retention.ms": round(self.max_age * 1000),
            "retention.bytes": self.max_bytes,
            "min.insync.replicas": self.min_insync_replicas,
        }
        return {name: value for name, value in given.items() if value}

    def new(self) -> NewTopic:
        """What the broker is asked to create."""
        return NewTopic(
            self.name,
            num_partitions=self.partitions or -1,
            replication_factor=self.replicas or -1,
            config={name: str(value) for name, value in self.settings().items()},
        )

    def differences(self, partitions: int, replicas: int, settings: dict[str, str]) -> list[str]:
        """In which options an existing topic differs, in words; what was not given, or is not known, is not compared.

        Args:
            partitions: how many it has.
            replicas: how many its first partition has.
            settings: as Kafka calls them.
        """
        pairs: list[tuple[str, object, object]] = [
            ("partitions", partitions, self.partitions or partitions),
            ("replicas", replicas, self.replicas or replicas),
        ]
        pairs += [(name, settings.get(name, str(want)), str(want)) for name, want in self.settings().items()]
        return [f"{name} {have}, not {want}" for name, have, want in pairs if have != want]


def ask_for_topic(
    config: dict[str, Any], name: str, timeout: float, check: ListenerCheck | None = None
) -> tuple[int, int] | None:
    """How many partitions a topic has, and how many replicas each; None if there is none. It is not created by this.

    Raises:
        KafkaException: no broker answered, or it does not tell this user.
        OpenError: no broker could be reached, and why.
    """
    watch, until = ClientWatch(lambda: None, check=check), monotonic() + timeout
    # A consumer's questions create no topic, where brokers create those that are asked for; others' do.
    client = Consumer({**config, **watch.config(), "group.id": "message-passing"})
    try:
        while True:
            try:
                found = client.list_topics(name, timeout=min(_PART, timeout)).topics[name]
            except KafkaException as error:
                client.poll(0)  # it tells of its connections
                watch.look(config, always=monotonic() >= until)
                if watch.trouble:
                    raise OpenError(watch.trouble) from error
                if monotonic() >= until:
                    raise
            else:
                break
    finally:
        client.close()
    if found.error is not None and found.error.code() in MISSING:
        return None
    if found.error is not None:
        raise KafkaException(found.error)
    return len(found.partitions), max((len(one.replicas) for one in found.partitions.values()), default=0)


class TopicKeeper:
    """Makes sure that the topic exists.

    Attributes:
        trouble: why it cannot be used, as a sentence; empty if it can, as far as known.
        partitions: how many it has; 0 if that is not known.
    """

    def __init__(
        self, wish: TopicWish, config: Callable[[], dict[str, Any]], tell: Callable[[str], object]
    ) -> None:
        """Begin without knowing.

        Args:
            wish: the topic.
            config: gives what to connect with; raises `OpenError`.
            tell: called with a sentence, once, in which options an existing topic differs. It is called in the
                thread that calls `ensure`.
        """
        self.trouble = ""
        self.partitions = 0
        self._wish, self._config, self._tell = wish, config, tell
        self._told = ""
        self._check = new_broker_check()

    @property
    def creates(self) -> bool:
        """Whether it creates the topic if there is none."""
        return self._wish.create

    def ensure(self) -> bool:
        """Look for the topic, and create it if that is wanted; whether it can be used."""
        try:
            self.trouble = self._look()
        except OpenError as error:
            self.trouble = error.faults[0].text
        except (KafkaException, TimeoutError) as error:
            self.trouble = f"the topic {self._wish.name!r}: {kafka_reason(error)}"
        return not self.trouble

    def _look(self) -> str:
        config, wish = self._config(), self._wish
        found = ask_for_topic(config, wish.name, ASK_TIMEOUT, self._check)
        if found is None:
            if not wish.create:
                return NO_TOPIC.format(wish.name)
            if _create(config, wish):
                return (
                    ""
                    if ask_for_topic(config, wish.name, ASK_TIMEOUT, self._check)
                    else "it is being created"
                )
            found = ask_for_topic(config, wish.name, ASK_TIMEOUT, self._check)  # another node was quicker
            if found is None:
                return "it is being created"
        self.partitions = found[0]
        settings = _settings_of(config, wish.name) if wish.create and wish.settings() else {}
        different = "; ".join(wish.differences(*found, settings)) if wish.create else ""
        if different and different != self._told:
            self._tell(f"the topic {wish.name!r} exists, and is used as it is: it has {different}")
        self._told = different
        return ""


def _create(config: dict[str, Any], wish: TopicWish) -> bool:
    """Create it; False if it exists meanwhile."""
    client = AdminClient({**config, "log_level": 0})  # without which nothing answers
    asked = client.create_topics([wish.new()], request_timeout=ASK_TIMEOUT)
    try:
        asked[wish.name].result(ASK_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        return False
    return True


def _settings_of(config: dict[str, Any], name: str) -> dict[str, str]:
    """The settings of a topic, as far as this user may see them."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    with contextlib.suppress(KafkaException, TimeoutError):
        client = AdminClient({**config, "log_level": 0})
        asked = client.describe_configs([resource], request_timeout=ASK_TIMEOUT)
        found = asked[resource].result(ASK_TIMEOUT)
        return {one: str(entry.value) for one, entry in found.items()}
    return {}


def try_topic(config: dict[str, Any], wish: TopicWish, seconds: float) -> str:
    """Connect, and look for the topic, changing nothing; what was found, as words.

    Raises:
        OpenError: no broker could be used within that time, or there is no topic.
    """
    try:
        found = ask_for_topic(config, wish.name, seconds)
    except KafkaException as error:
        raise OpenError(kafka_reason(error)) from error
    if found is None and not wish.create:
        raise OpenError(NO_TOPIC.format(wish.name))
    if found is None:
        return f"connected; the topic {wish.name!r} would be created"
    partitions = f"{found[0]} partition{'' if found[0] == 1 else 's'}"
    return f"connected, and there is a topic {wish.name!r} with {partitions}"
