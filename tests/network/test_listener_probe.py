"""What listens at an address, and what components and `doctor` say where it is something else than they want."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from kafka_broker import MockCluster
from message_passing.cli.commands import doctor
from message_passing.inputs.jetstream import JetStreamInput
from message_passing.inputs.kafka import KafkaInput
from message_passing.inputs.redis import RedisInput
from message_passing.inputs.redis_streams import RedisStreamsInput
from message_passing.network import listener_probe
from message_passing.network.listener_probe import KAFKA, DetectedServer, ListenerCheck, probe_listener
from message_passing.testing import running, wait_for
from nats_server import NatsServer
from redis_server import RedisServer, needs_redis
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.flow import Input

pytestmark = needs_redis
KINDS = {
    "nats": "NATS server",
    "redis": "Redis server",
    "kafka": "Kafka broker",
    "zeromq": "ZeroMQ socket",
    "http": "web server (HTTP)",
}


class _Quiet(http.server.BaseHTTPRequestHandler):
    """Says nothing of it in the log."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Where one of each listens."""
    nats, redis = NatsServer(tmp_path_factory.mktemp("nats")), RedisServer(tmp_path_factory.mktemp("redis"))
    nats.start()
    redis.start()
    kafka, web = MockCluster(), http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        zeromq = publisher.bind_to_random_port("tcp://127.0.0.1")
        broker = int(kafka.servers.rpartition(":")[2])
        yield {
            "nats": nats.port,
            "redis": redis.port,
            "kafka": broker,
            "zeromq": zeromq,
            "http": web.server_port,
        }
    web.shutdown()
    web.server_close()
    kafka.end()
    redis.end()
    nats.kill()


@pytest.mark.parametrize("there", KINDS)
def test_it_is_known_what_listens_there(ports: dict[str, int], there: str) -> None:
    """By its greeting, or its answer to a question of its protocol."""
    assert probe_listener("127.0.0.1", ports[there]) == DetectedServer(KINDS[there])


def test_what_says_nothing_is_not_known_and_nothing_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what does not listen; a server is asked once within a time, and few are remembered."""
    monkeypatch.setattr(listener_probe, "_ANSWER", 0.02)
    monkeypatch.setattr(listener_probe, "_MOST_KNOWN", 2)
    check = ListenerCheck(KAFKA, "the option tls")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tls://127.0.0.1:{silent.getsockname()[1]}"
        assert check.find(address) == DetectedServer()
        assert check.why_not(address, encrypted=True) == ""
    asked: list[int] = []

    def probed(_: str, port: int) -> DetectedServer:
        asked.append(port)
        return DetectedServer("SSH server")

    monkeypatch.setattr(listener_probe, "probe_listener", probed)
    for port in (1, 2, 1, 3, 1):
        said = check.why_not(f"host:{port}", encrypted=False)
        assert said == "what listens there is no Kafka broker: it is an SSH server"
    assert asked == [1, 2, 3, 1]


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("wanted", ["nats", "redis", "kafka", "tcp"])
def test_doctor_says_what_is_there_instead(
    ports: dict[str, int], capsys: pytest.CaptureFixture[str], wanted: str, there: str
) -> None:
    """Each engine's address with the port of each other one; and that of a ZeroMQ socket."""
    if there in (wanted, {"tcp": "zeromq"}.get(wanted)):
        return
    options = [] if wanted == "tcp" else ["--options", "connect_timeout=0.2"]
    words = [f"{wanted}://127.0.0.1:{ports[there]}", *options, "--json", "--timeout", "0.5"]
    assert doctor.COMMAND.main(words) == 1
    step = json.loads(capsys.readouterr().out)["steps"][-1]
    kind = "an HTTP server answers there" if (wanted, there) == ("tcp", "http") else f"it is a {KINDS[there]}"
    assert kind in step["text"]
    assert "another program uses this port" in step["advice"]


@pytest.mark.parametrize("wanted", ["nats", "redis", "pub/sub", "kafka"])
def test_a_node_says_what_is_there_instead(ports: dict[str, int], wanted: str) -> None:
    """Once it cannot connect: among its problems, with the kind of both."""
    there = "redis" if wanted in ("nats", "kafka") else "nats"
    place = f"127.0.0.1:{ports[there]}"
    quick: dict[str, Any] = {"connect_timeout": 0.3, "output_to": Kept(), "error": Kept()}
    made: dict[str, Input] = {
        "nats": JetStreamInput(servers=place, stream="a", durable="b", **quick),
        "redis": RedisStreamsInput(url=place, stream="a", group="b", **quick),
        "pub/sub": RedisInput(port=ports[there], topics="a", **quick),
        "kafka": KafkaInput(bootstrap_servers=place, topic="a", group="b", **quick),
    }
    ours = KINDS.get(wanted, KINDS["redis"])
    source = made[wanted]
    with running(source):
        said = f"what listens there is no {ours}: it is a {KINDS[there]}"
        wait_for(lambda: any(said in one for one in source.problems()), timeout=20)
