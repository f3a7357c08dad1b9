"""The Kafka output, against librdkafka's mock of a cluster, and against Tansu."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import ssl
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError

from engine_parts import Delivering, certificate, deliver, numbers, reports
from kafka_broker import FRAME, Tansu
from message_passing.cli.chain_probe import try_ends
from message_passing.codecs.json import JSONEncoder
from message_passing.delivery import Outcome
from message_passing.errors import OpenError, OptionError
from message_passing.kafka.producing import ANYWHERE, ProducedBatch, Route
from message_passing.network.backoff import RetryLater
from message_passing.outputs.kafka import KafkaOutput
from message_passing.testing import free_port, run_input, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kafka_broker import MockCluster, Questions

DELIVERED, REJECTED, LOST = Outcome

PRODUCE = 0
"""The API key of what stores messages (kafka.apache.org/protocol)."""

QUICK: dict[str, Any] = {
    "retry_first": 0.01,
    "retry_longest": 0.1,
    "reconnect_longest": 0.1,
    "batch_age": 0.01,
}


def output(servers: str, **options: Any) -> KafkaOutput:
    """One that retries soon."""
    return KafkaOutput(**{"bootstrap_servers": servers, "topic": "logs", "error": Kept(), **QUICK, **options})


def stored_numbers(broker: Questions) -> list[int]:
    """The numbers that the topic has."""
    return [json.loads(line)["n"] for line in broker.lines()]


@pytest.fixture
def tansu(tmp_path: Path) -> Iterator[Tansu]:
    """A real broker that is not started."""
    found = Tansu(tmp_path)
    yield found
    found.end()


def test_lines_are_stored_in_frames_and_what_is_no_line_alone(cluster: MockCluster) -> None:
    """Messages that wait together share a record, whose header says so; text with a line break stays one message."""
    to = output(cluster.servers, batch_age=0.2)
    run_input(Delivering(batches=[[b"1"], [b"2"], [b"a\nb"], [b"3"], [b"4"]], output_to=to), timeout=60)
    found = [(record.value(), record.headers()) for record in cluster.stored()]
    assert sorted(found) == [(b"1\n2", [FRAME]), (b"3\n4", [FRAME]), (b"a\nb", None)]
    to = output(cluster.servers, compression="zstd")
    assert deliver(to, [numbers(300, 300 * index) for index in range(10)]) == [DELIVERED] * 10
    assert len(cluster.stored()) < 30


def test_single_messages_with_keys_and_partitions(cluster: MockCluster) -> None:
    """What has one key is in one partition, in order; a partition may be named; other values are rejected."""
    to = output(cluster.servers, frames=False, key_field="user.id", partition_field="part")
    batch: list[Any] = [{"user": {"id": f"u{number % 5}"}, "n": number} for number in range(200)]
    batch += [{"n": 200, "part": 3}, {"user": {"id": 7}, "n": 201}, {"n": 202}]
    bad: list[Any] = [
        *({"user": {"id": value}} for value in ("", True, [1], 10**30, "x" * 1001)),
        *({"part": value} for value in (-1, "1", True, 1 << 40)),
    ]
    outcomes = deliver(to, [batch, *([one] for one in bad)])
    assert sorted(outcomes) == [DELIVERED] + [REJECTED] * len(bad)
    places: dict[bytes | None, list[tuple[int, int]]] = {}
    for record in cluster.stored():
        places.setdefault(record.key(), []).append((record.partition(), json.loads(record.value())["n"]))
    assert set(places) == {b"u0", b"u1", b"u2", b"u3", b"u4", b"7", None}
    for found in places.values():
        if len(found) > 2:
            assert len({partition for partition, _ in found}) == 1
            assert found == sorted(found)
    assert (3, 200) in places[None]
    beyond = output(cluster.servers, frames=False, partition_field="part")
    assert deliver(beyond, [[{"part": 99}]]) == [REJECTED]
    for text in ("'user.id' is no key", "'part' is no number of a partition", "has no such partition"):
        assert text in reports(to) + reports(beyond)


def test_frames_have_one_key_each(cluster: MockCluster) -> None:
    """However the keys come."""
    to = output(cluster.servers, key_field="k")
    assert deliver(to, [[{"k": number % 3, "n": number} for number in range(300)]]) == [DELIVERED]
    for record in cluster.stored():
        assert {json.loads(line)["k"] for line in record.value().split(b"\n")} == {int(record.key())}
    assert sorted(stored_numbers(cluster)) == list(range(300))
    assert len(cluster.stored()) < 20


def test_brokers_that_are_away_for_a_time_have_everything_once(cluster: MockCluster) -> None:
    """The library sends again what had no answer; that they are away is said."""

    def between(number: int) -> None:
        if number == 3:
            cluster.down()
            wait_for(lambda: "no server listens there" in str(to.problems()), timeout=20)
            threading.Timer(0.1, cluster.up).start()

    to = output(cluster.servers, frame_bytes=1000)
    assert deliver(to, [numbers(200, 200 * index) for index in range(8)], between) == [DELIVERED] * 8
    assert sorted(stored_numbers(cluster)) == list(range(1600))
    assert "not connected: 127.0.0.1:" in reports(to)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "does not allow this user to use the topic"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "there is no topic 'logs': create it"),
    ],
)
def test_a_topic_that_cannot_be_used_is_said_and_waited_for(
    cluster: MockCluster, code: int, said: str
) -> None:
    """Nothing is lost meanwhile, and it needs no hand."""

    def mend() -> None:
        wait_for(lambda: said in str(to.problems()), timeout=20)
        cluster.topic_error("logs", 0)

    cluster.topic_error("logs", code)
    to = output(cluster.servers)
    helper = threading.Thread(target=mend)
    helper.start()
    assert deliver(to, [numbers(100)]) == [DELIVERED]
    helper.join()
    assert stored_numbers(cluster) == list(range(100))
    assert not to.problems()


def test_a_topic_that_is_deleted_under_us_is_waited_for(cluster: MockCluster) -> None:
    """What was not stored by then is, once there is a topic again."""

    def between(number: int) -> None:
        if number == 2:
            cluster.topic_error("logs", KafkaError.UNKNOWN_TOPIC_OR_PART)
            threading.Thread(target=mend).start()

    def mend() -> None:
        wait_for(lambda: "there is no topic 'logs': create it" in str(to.problems()), timeout=20)
        cluster.topic_error("logs", 0)

    to = output(cluster.servers)
    assert deliver(to, [numbers(50, 50 * index) for index in range(4)], between) == [DELIVERED] * 4
    assert sorted(stored_numbers(cluster)) == list(range(200))
    assert "there is no topic 'logs'" in reports(to)


def test_a_message_too_large_fails_alone(cluster: MockCluster) -> None:
    """For the option at once; for the broker after it was sent without its neighbours, which are stored."""
    batch = [*numbers(2000), {"n": -1, "text": "x" * 5000}, *numbers(10, 2000)]
    to = output(cluster.servers, message_bytes=5000, dead_letters=True)
    assert deliver(to, [batch]) == [DELIVERED]
    (report,) = to.error.messages
    assert "more than message_bytes (5000)" in report["exception"]
    assert json.loads(report["packed_data"])["n"] == -1
    cluster.make("small")
    cluster.fail(PRODUCE, *[KafkaError.MSG_SIZE_TOO_LARGE] * 2)
    to = output(cluster.servers, topic="small", frames=False)
    assert deliver(to, [numbers(20)]) == [REJECTED]
    assert "larger than the broker accepts" in reports(to)
    assert to.metrics.failed == 1
    assert len(cluster.lines("small")) == 19


def test_a_failing_broker_is_asked_again(cluster: MockCluster) -> None:
    """By the library, in order, without storing anything twice."""
    cluster.fail(PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.NOT_ENOUGH_REPLICAS)
    to = output(cluster.servers, frames=False)
    assert deliver(to, [numbers(100)]) == [DELIVERED]
    assert sorted(stored_numbers(cluster)) == list(range(100))


def test_what_the_library_gives_up_is_sent_anew(cluster: MockCluster) -> None:
    """After `timeout`; and a batch that is given up leaves a dead letter for each message that is not stored."""
    deliver(output(cluster.servers), [numbers(1)])

    def between(_: int) -> None:
        wait_for(lambda: to.topics.partitions or to.connected(), timeout=20)
        cluster.down()

    to = output(cluster.servers, timeout=1.0, attempts=1, frames=False, dead_letters=True, flush_timeout=20.0)
    assert deliver(to, [numbers(5)], between) == [DELIVERED]
    letters = [json.loads(one["packed_data"])["n"] for one in to.error.messages if "attempts" in one]
    assert sorted(letters) == list(range(5))


def test_a_full_queue_of_the_library_is_waited_for(cluster: MockCluster) -> None:
    """Its bounds are those of the batches in flight, in messages and bytes."""
    options = {
        "frames": False,
        "batch_messages": 25,
        "in_flight": 1,
        "batch_bytes": 1000,
        "message_bytes": 1000,
    }
    to = output(cluster.servers, **options)
    config = to._producer_config()
    assert (config["queue.buffering.max.messages"], config["queue.buffering.max.kbytes"]) == (100, 1)
    batch = [{"n": number, "text": "x" * 300} for number in range(150)]
    to = output(cluster.servers, **{**options, "batch_messages": 500, "batch_bytes": 1 << 20})
    to._producer_config = lambda: {**config, "queue.buffering.max.messages": 5}  # type: ignore[method-assign]
    to._thread._config = to._producer_config
    assert deliver(to, [batch]) == [DELIVERED]
    assert sorted(stored_numbers(cluster)) == list(range(150))


@pytest.mark.parametrize("options", [{}, {"key_field": "k"}])
def test_at_the_end_what_no_broker_took_is_counted(options: dict[str, Any]) -> None:
    """Messages, not frames, with keys or without; within the bound."""
    to = output(f"127.0.0.1:{free_port()}", flush_timeout=0.2, **options)

    class Once(Delivering):
        """Emits, and ends."""

        async def run(self) -> None:
            self.emit([{"k": number % 3, "n": number} for number in range(700)])

    source = Once(output_to=JSONEncoder(output_to=to))
    run_input(source, timeout=60)
    assert to.snapshot()["dropped"] == {"unsent at close": 700}


class _Failing:
    """A producer that refuses the messages with these numbers, and tells of each when it is asked."""

    def __init__(self, *failing: int) -> None:
        """Refuse these, once."""
        self._failing, self._reports, self.produced = {*failing}, list[Any](), list[Any]()

    def produce(
        self, _topic: str, value: bytes, key: bytes | None, partition: int, report: Any, *_: Any
    ) -> None:
        """Keep it; what has no partition goes to the first."""
        error = KafkaError(KafkaError._MSG_TIMED_OUT) if len(self.produced) in self._failing else None
        message = Mock(key=lambda: key, value=lambda: value, partition=lambda: max(0, partition))
        self.produced.append((key, partition, value))
        self._reports.append(lambda: report(error, message))

    def poll(self, _seconds: float) -> int:
        """Tell of all, the last one first."""
        count = len(self._reports)
        while self._reports:
            self._reports.pop()()
        return count


def test_what_is_reported_as_not_stored_is_found_again_by_its_bytes_and_its_place() -> None:
    """So that exactly this is sent once more, however many are alike."""
    places = [Route(b"k"), ANYWHERE, Route(None, 3), Route(None, 4), ANYWHERE, Route(b"k", 3), Route(b"l")]
    for failing in range(2, 7):
        batch = ProducedBatch([(one, b"same") for one in places], 1000)
        producer: Any = _Failing(failing, 1)
        with pytest.raises(RetryLater):
            asyncio.run(batch.publish(Mock(waiting=0), producer, "logs"))
        expected = sorted([places[1], places[failing]], key=repr)
        assert sorted([route for route, _ in batch.left.values()], key=repr) == expected
        asyncio.run(batch.publish(Mock(waiting=0), producer, "logs"))
        assert sorted([Route(*one[:2]) for one in producer.produced[7:]], key=repr) == expected
        assert not batch.left


def test_a_topic_of_a_real_broker_is_created_as_asked_for_and_never_changed(tansu: Tansu) -> None:
    """What differs is reported once; and a broker without SASL is said to be one."""
    tansu.start()
    wish = {"create": True, "partitions": 2, "replicas": 1, "max_age": 3600.0}
    to = output(tansu.servers, **wish)
    assert deliver(to, [numbers(1000)]) == [DELIVERED]
    assert sorted(stored_numbers(tansu)) == list(range(1000))
    assert reports(to) == ""
    to = output(tansu.servers, **{**wish, "partitions": 5, "max_age": 60.0})
    assert deliver(to, [numbers(1)]) == [DELIVERED]
    assert "'logs' exists, and is used as it is: it has " in reports(to)
    assert "partitions 2, not 5; retention.ms 3600000, not 60000" in reports(to)
    assert to.topics.partitions == 2
    to = output(tansu.servers, username="me", password="x", attempts=1)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "does not know this way of logging in (option sasl_mechanism)" in reports(to)


def test_a_broker_that_comes_back_empty_gets_another_producer(tansu: Tansu) -> None:
    """It knows neither the topic nor the producer any more; once the library's time is over, both are made anew."""

    def restart(number: int) -> None:
        if number == 1:
            wait_for(lambda: not to.held() and to.connected(), timeout=20)
            tansu.end()
            tansu.start()

    tansu.start()
    to = output(tansu.servers, create=True, timeout=2.0)
    assert deliver(to, [numbers(3), numbers(3, 3)], restart) == [DELIVERED, DELIVERED]
    assert stored_numbers(tansu) == [3, 4, 5]
    assert "not stored in time" in str(to.error.messages)


def test_wrong_credentials_are_said_and_not_shown(tansu: Tansu, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real broker refuses them; the password is in no report."""
    tansu.start("--authentication")
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    to = output(tansu.servers, username="me", password="env:KAFKA_PASSWORD", attempts=1)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "the broker refuses the credentials" in reports(to)
    assert "secret" not in reports(to)


def test_certificates_are_checked(tmp_path: Path) -> None:
    """A server of another authority is not talked to, and that is said."""
    for name, issuer in (("ca", ""), ("other", ""), ("server", "ca")):
        certificate(tmp_path, name, issuer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    class Handler(socketserver.BaseRequestHandler):
        """Greets, and hangs up."""

        def handle(self) -> None:
            """Greet."""
            with contextlib.suppress(OSError):
                context.wrap_socket(self.request, server_side=True).close()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        given = {"tls_ca": str(tmp_path / "other.pem"), "attempts": 1}
        to = output(f"127.0.0.1:{server.server_address[1]}", **given)
        assert deliver(to, [numbers(1)]) == [LOST]
        assert "the server's certificate is not accepted" in reports(to)
        server.shutdown()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bootstrap_servers": "kafka://x"}, "no address: HOST:PORT"),
        ({"bootstrap_servers": "me:secret@x"}, "no names and passwords in addresses"),
        ({"bootstrap_servers": "x:99999"}, "no valid port"),
        ({"bootstrap_servers": []}, "give at least one"),
        ({"username": "me"}, "username needs password"),
        ({"tls_key": "x"}, "tls_key needs tls_cert"),
        ({"topic": "a b"}, "topic"),
        ({"compression": "zip"}, "compression"),
        ({"sasl_mechanism": "GSSAPI"}, "sasl_mechanism"),
    ],
)
def test_mistakes_in_options_are_the_users(options: dict[str, Any], said: str) -> None:
    """Each says what was found and what is allowed, and none shows a password."""
    with pytest.raises(OptionError) as caught:
        KafkaOutput(**{"topic": "logs", **options})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["tls_ca", "tls_cert"])
def test_a_file_that_is_missing_or_wrong_is_named(tmp_path: Path, name: str) -> None:
    """Before anything is sent."""
    with pytest.raises(OpenError, match=rf"missing \(option {name}\) cannot be read: No such file"):
        output("127.0.0.1", **{name: str(tmp_path / "missing")}).open()
    (tmp_path / "wrong").write_text("no certificate")
    with pytest.raises(OpenError, match=rf"wrong \(option {name}\) cannot be used"):
        output("127.0.0.1", **{name: str(tmp_path / "wrong")}).open()


def test_check_connect_says_whether_the_broker_and_the_topic_are_there(cluster: MockCluster) -> None:
    """Nothing is created by it; a password in the clear is warned of."""

    def tried(servers: str, **options: Any) -> str:
        (found,) = try_ends([output(servers, **options)], 0.5)
        return str(found)

    name = f"Kafka output {cluster.servers}"
    assert (
        tried(cluster.servers) == f"ok      {name}: connected, and there is a topic 'logs' with 4 partitions"
    )
    cluster.topic_error("logs", KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert "the topic 'logs' would be created" in tried(cluster.servers, create=True)
    assert "there is no topic 'logs'" in tried(cluster.servers)
    assert "connection refused: no server listens there" in tried(f"127.0.0.1:{free_port()}")
    plain = output("kafka.example", username="me", password="x", sasl_mechanism="PLAIN")
    assert "the password may be sent unencrypted: use the option tls" in "".join(plain.warnings())
