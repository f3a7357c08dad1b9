"""The clocks of a node, and of its engine, are set forward and back an hour while messages flow.

They are deceived by a library that is loaded before C's own: see clock/clock.c. That does not reach nats-server and
Tansu, which are linked statically: with these it is the node's clock alone, with Redis both.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audit import LONG
from clocks import HOUR
from engine_parts import Delivering, numbers
from kafka_broker import Tansu
from message_passing.codecs.json import JSONEncoder
from message_passing.console.client import NodeClient
from message_passing.delivery import Outcome
from message_passing.outputs.jetstream import JetStreamOutput
from message_passing.outputs.kafka import KafkaOutput
from message_passing.outputs.redis_streams import RedisStreamsOutput
from message_passing.testing import run_input, wait_for
from nats_server import NatsServer
from nodes import node, part, wait_for_control
from redis_server import RedisServer, needs_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.network.output import NetworkOutput

JUMPS = (HOUR, -HOUR, 0.0)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says how wrong the clock is, for all programs that the test starts."""
    path, library = tmp_path / "clock", tmp_path / "clock.so"
    source = Path(__file__).with_name("clock") / "clock.c"
    subprocess.run(
        [shutil.which("gcc") or "gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True
    )
    path.write_text("0")
    monkeypatch.setenv("FAULT_CLOCK", str(path))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    return path


@contextlib.contextmanager
def engine(kind: str, folder: Path) -> Iterator[tuple[dict[str, Any], type[NetworkOutput], dict[str, Any]]]:
    """A server; the options of the input, and an output with its options."""
    server: NatsServer | RedisServer | Tansu
    made: tuple[dict[str, Any], type[NetworkOutput], dict[str, Any]]
    if kind == "JetStream":
        server = NatsServer(folder / "nats")
        options: dict[str, Any] = {"servers": server.url, "stream": "LOGS"}
        made = {"durable": "archive", "ack_wait": 2}, JetStreamOutput, {"subject": "logs", "create": True}
    elif kind == "Redis::Streams":
        server = RedisServer(folder)
        options = {"url": server.url, "stream": "logs"}
        made = {"group": "archive", "ack_wait": 2}, RedisStreamsOutput, {}
    else:
        server = Tansu(folder)
        options = {"bootstrap_servers": server.servers, "topic": "logs"}
        made = {"group": "archive", "session_timeout": 2}, KafkaOutput, {"create": True, "partitions": 1}
    try:
        server.start()
        yield {**options, **made[0]}, made[1], {**options, **made[2]}
    finally:
        if isinstance(server, NatsServer):
            server.kill()
        else:
            server.end()


@needs_redis
@pytest.mark.program("gcc")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("JetStream", marks=pytest.mark.skipif(not LONG, reason="in `make faults` only")),
        "Redis::Streams",
        pytest.param("Kafka", marks=pytest.mark.skipif(not LONG, reason="in `make faults` only")),
    ],
)
def test_a_clock_that_jumps_loses_nothing(kind: str, tmp_path: Path, clock: Path) -> None:
    """After each jump messages arrive as before, none is missing, the lag ends at 0, and hardly anything is said."""
    archive, control = tmp_path / "archive", tmp_path / "control"
    with engine(kind, tmp_path) as (reads, output, writes):
        to = output(error=None, **writes)

        def send(first: int) -> None:
            source = Delivering(batches=[numbers(50, first)], output_to=JSONEncoder(output_to=to))
            run_input(source, timeout=60)
            assert source.outcomes == [Outcome.DELIVERED]

        def arrived() -> set[int]:
            text = archive.read_bytes() if archive.exists() else b""
            return {json.loads(line)["n"] for line in text.splitlines(keepends=True) if line.endswith(b"\n")}

        send(0)
        words = [*part("input", kind, **reads), *part("output", "File", filename=str(archive))]
        with node(*words, "--control", str(control)) as reader:
            wait_for_control(control)
            for count, jump in enumerate(JUMPS, start=1):
                whole = set(range(50 * count))
                wait_for(lambda: arrived() == whole, timeout=30)  # noqa: B023
                clock.write_text(f"{jump:.0f}")
                to = output(error=None, **writes)
                send(50 * count)
            wait_for(lambda: arrived() == set(range(50 * (len(JUMPS) + 1))), timeout=30)

            def lag() -> Any:
                components = NodeClient(str(control)).get("/state")["components"]
                return next((one["lag"] for one in components if "lag" in one), None)

            wait_for(lambda: lag() == 0, timeout=30)
            status, _, said = reader.stop()
    assert status == 0
    assert said.count(b"\n") <= 2 * len(JUMPS), said
    assert archive.read_bytes().count(b"\n") <= 2 * 50 * (len(JUMPS) + 1)
