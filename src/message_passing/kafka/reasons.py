"""What a Kafka broker and its client library say, in plain words."""

from __future__ import annotations

import re

from message_passing.errors import OpenError, needs_extra
from message_passing.escaping import one_line
from message_passing.network.listener_probe import KAFKA
from message_passing.network.reasons import CLOSED_BY_SERVER, NO_ANSWER, NOT_WANTED

with needs_extra("kafka"):
    from confluent_kafka import KafkaError, KafkaException

NO_TOPIC = "there is no topic {!r}: create it, or have it created (option create)"

MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_ID)  # noqa: SLF001 - librdkafka's own errors are named so
"""That there is no such topic."""

SIZES = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)
"""That something is too large: one message, or all that were sent together."""

REFUSED = (*SIZES, KafkaError.INVALID_RECORD, KafkaError._UNKNOWN_PARTITION)  # noqa: SLF001 - likewise
"""What will never be accepted, at least not together with others."""

_MEANT = {
    KafkaError.SASL_AUTHENTICATION_FAILED: "the broker refuses the credentials (options username, password and"
    " sasl_mechanism)",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the broker does not allow this user to use the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the broker does not allow this user to use the group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the broker does not allow it to this user",
    KafkaError.NOT_ENOUGH_REPLICAS: "fewer replicas are in sync than the topic wants (its min.insync.replicas)",
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: "fewer replicas are in sync than the topic wants (its"
    " min.insync.replicas)",
    KafkaError.KAFKA_STORAGE_ERROR: "the broker cannot write to its disk",
    KafkaError.MSG_SIZE_TOO_LARGE: "it is larger than the broker accepts (its message.max.bytes, or the topic's"
    " max.message.bytes)",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "other members of the group do not share partitions in the same way"
    " (cooperative-sticky): use another group",
    KafkaError.GROUP_MAX_SIZE_REACHED: "the group has as many members as the broker accepts",
    KafkaError.INVALID_REPLICATION_FACTOR: "there are fewer brokers than replicas",
    KafkaError.POLICY_VIOLATION: "a policy of the broker forbids it",
    KafkaError.UNKNOWN_MEMBER_ID: "the group has gone on without this node",
    KafkaError.ILLEGAL_GENERATION: "the group has gone on without this node",
    KafkaError.REBALANCE_IN_PROGRESS: "the group is sharing its partitions anew",
    KafkaError._WAIT_COORD: "no broker leads the group now",  # noqa: SLF001 - likewise
    KafkaError._MSG_TIMED_OUT: "not stored in time",  # noqa: SLF001 - likewise
    KafkaError._TIMED_OUT: NO_ANSWER,  # noqa: SLF001 - likewise
    KafkaError._UNKNOWN_PARTITION: "the topic has no such partition",  # noqa: SLF001 - likewise
    KafkaError._PURGE_QUEUE: "not sent before the end",  # noqa: SLF001 - likewise
    KafkaError._PURGE_INFLIGHT: "no answer before the end",  # noqa: SLF001 - likewise
}
"""What an error means for the user, by its number."""

_CERTIFICATE = (
    "the server's certificate is not accepted: another authority has signed it (option tls_ca), or it is for another"
    " host name"
)

_WORDS = {
    "Connection refused": "connection refused: no server listens there",
    "Failed to resolve": "the host is not known",
    "No route to host": "no route to the host",
    "Network is unreachable": "the network is not reachable",
    "timed out in state CONNECT": NO_ANSWER,
    "Connection setup timed out": NO_ANSWER,
    "ApiVersionRequest failed": f"{NOT_WANTED}{KAFKA}, or wants TLS (option tls) or credentials",
    "Unsupported SASL mechanism": "the broker does not know this way of logging in (option sasl_mechanism)",
    "Authentication failed": "the broker refuses the credentials (options username, password and sasl_mechanism)",
    "authentication error": "the broker refuses the credentials (options username, password and sasl_mechanism)",
    "Invalid username or password": "the broker refuses the credentials (options username, password and"
    " sasl_mechanism)",
    "certificate verify failed": _CERTIFICATE,
    "broker certificate could not be verified": _CERTIFICATE,
    "handshake failed": "TLS failed: is this a port for TLS, and does the broker want a certificate (tls_cert)?",
    "SSL handshake": "TLS failed: is this a port for TLS, and does the broker want a certificate (tls_cert)?",
    "Connection reset by peer": CLOSED_BY_SERVER,
    "Broken pipe": CLOSED_BY_SERVER,
    "connection closed by peer": CLOSED_BY_SERVER,
    "Disconnected": CLOSED_BY_SERVER,
}
"""What librdkafka says about a connection, and what it means; the first that fits."""

_ADDRESS = re.compile(r"(?:(?:ssl|sasl_ssl|sasl_plaintext|plaintext)://)?(\S+?:\d+)/(?:bootstrap|\d+): ")


def kafka_reason(error: KafkaError | BaseException) -> str:
    """What went wrong, as words for a user, in one line."""
    if isinstance(error, OpenError):
        return error.faults[0].text
    if isinstance(error, KafkaException):
        error = error.args[0]
    if not isinstance(error, KafkaError):
        return NO_ANSWER if isinstance(error, TimeoutError) else one_line(str(error))[:300]
    if error.code() in _MEANT and error.code() not in _OF_CONNECTIONS:
        return _MEANT[error.code()]
    text = one_line(error.str())[:300]
    address = _ADDRESS.search(text)
    where = f"{address[1]}: " if address else ""
    for begin, meant in _WORDS.items():
        if begin.lower() in text.lower():
            return f"{where}{meant}"
    return f"{where}{_ADDRESS.sub('', text)}" or error.name()


_OF_CONNECTIONS = (KafkaError._TIMED_OUT,)  # noqa: SLF001 - likewise
"""What says more in its text than in its number."""
