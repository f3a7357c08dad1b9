"""What `message-passing doctor kafka://...` finds out: whether a broker accepts us, and the topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import OpenError, needs_extra
from message_passing.kafka.options import KafkaComponent
from message_passing.kafka.reasons import kafka_reason
from message_passing.kafka.topics import ask_for_topic
from message_passing.network.diagnosis import EngineDiagnosis, Step, advice_on_refusal
from message_passing.options import option

with needs_extra("kafka"):
    from confluent_kafka import KafkaException

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_NAME = "message-passing"
"""A topic that is asked for where none was named: the question does not create it."""


class KafkaDiagnosis(KafkaComponent, EngineDiagnosis):
    """Examines a Kafka broker."""

    schemes = ("kafka",)
    address_option = "bootstrap_servers"
    name = "Kafka"

    topic: str = option(default="", description="The topic.")

    @classmethod
    def address_of(cls, endpoint: str) -> str:
        """See `EngineDiagnosis`: the option has no scheme."""
        return endpoint.partition("://")[2]

    def connected(self) -> int:
        """See `KafkaComponent`: it has no connection of its own."""
        return 0

    def examine(self, seconds: float) -> Iterator[Step]:
        """See `EngineDiagnosis`."""
        try:
            found = ask_for_topic(self.client_config(), self.topic or _NO_NAME, seconds)
        except (KafkaException, OpenError) as error:
            reason = error.faults[0].text if isinstance(error, OpenError) else kafka_reason(error)
            yield Step("server", reason, advice_on_refusal("Kafka", reason))
            return
        encrypted = "encrypted" if self._encrypted else "not encrypted"
        yield Step("server", f"a Kafka broker accepted us; the connection is {encrypted}")
        if not self.topic:
            yield Step("topic", 'none was named: --options \'{"topic":"NAME"}\'', skipped=True)
        elif found is None:
            advice = "create it, or have an output do so (option create); or give the right name"
            yield Step("topic", f"there is no topic {self.topic!r}", advice)
        else:
            partitions = f"{found[0]} partition{'' if found[0] == 1 else 's'}"
            replicas = f"{found[1]} replica{'' if found[1] == 1 else 's'}"
            yield Step("topic", f"{self.topic} has {partitions}, and {replicas} of each")
            yield Step("canary", "none was sent: the topic would keep it", skipped=True)
