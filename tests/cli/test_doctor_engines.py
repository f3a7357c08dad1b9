"""The command `message-passing doctor` with servers of engines: what it finds, and what it advises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kafka_broker import MockCluster
from message_passing.cli.commands import doctor
from message_passing.testing import free_port
from nats_server import NatsServer
from redis_server import RedisServer, needs_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nats.js import JetStreamContext

Examined = Any


@pytest.fixture(scope="module")
def jetstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with a stream that is read, one that is not, and one that is full."""
    server = NatsServer(tmp_path_factory.mktemp("nats"), "max_payload: 4096")
    server.start()

    async def filled(context: JetStreamContext) -> None:
        for name, limit in (("READ", -1), ("UNREAD", -1), ("FULL", 1)):
            await context.add_stream(name=name, subjects=[f"{name}.>"], max_msgs=limit, discard="new")
            await context.publish(f"{name}.x", b"{}")
        await context.pull_subscribe("READ.>", "archive", stream="READ")
        await context.pull_subscribe("UNREAD.>", "nobody", stream="UNREAD")
        (message,) = await (await context.pull_subscribe("READ.>", "archive", stream="READ")).fetch(1)
        await message.ack()

    server.ask(filled)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with a stream that a group has not read."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), appendonly="yes")
    server.start()
    server.ask("XADD", "logs", "*", "message", "{}")
    server.ask("XGROUP", "CREATE", "logs", "archive", "0")
    server.ask("SET", "text", "1")
    yield server
    server.end()


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[dict[str, Any]]]]:
    """Runs the command: its status and steps."""

    def run(endpoint: str, *options: str) -> tuple[int, list[dict[str, Any]]]:
        words = [word for one in options for word in ("--options", one)]
        status = doctor.COMMAND.main([endpoint, "--json", "--timeout", "20", *words])
        steps: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["steps"]
        return status, steps

    return run


def check(steps: Sequence[dict[str, Any]], case: tuple[str, str, str]) -> None:
    """A step says this text, and advises that; without advice, nothing is wrong."""
    name, text, advice = case
    step = next(one for one in steps if one["step"] == name)
    assert text in step["text"]
    assert advice in step["advice"]
    assert all(one["ok"] for one in steps) is not bool(advice)


@pytest.mark.parametrize(
    ("options", "case"),
    [
        ([], ("stream", "none was named", "")),
        (["stream=READ"], ("consumer", "archive: 0 messages to be read, 0 not acknowledged", "")),
        (["stream=UNREAD"], ("consumer", "no node reads", "start a node: --input JetStream")),
        (["stream=FULL"], ("stream", "accepts nothing more", "retention workqueue")),
        (["stream=LOST"], ("stream", "there is no stream 'LOST'", "option create")),
        (["tls_ca=/dev/null"], ("server", "tls_ca", "describe JetStream")),
    ],
)
def test_a_nats_server(
    jetstream: NatsServer, examined: Examined, options: Sequence[str], case: tuple[str, str, str]
) -> None:
    """Each step up to one that fails, which says what to do."""
    status, steps = examined(jetstream.url, *options)
    assert [one["step"] for one in steps[:4]] == ["endpoint", "resolve", "connect", "server"]
    assert status == int(bool(case[2]))
    check(steps, case)


@needs_redis
@pytest.mark.parametrize(
    ("switch", "options", "case"),
    [
        ("", [], ("persistence", "appendonly yes", "")),
        ("", ["stream=new"], ("stream", "the first message will create it", "")),
        ("", ["stream=logs"], ("group", "archive: 1 entry to be read, 0 not acknowledged", "start a node")),
        ("", ["stream=text"], ("stream", "is no stream: a string", "another name")),
        ("REPLICAOF 127.0.0.1 1|REPLICAOF NO ONE", [], ("role", "replica", "127.0.0.1:1")),
        ("CONFIG SET maxmemory 1|CONFIG SET maxmemory 0", [], ("memory", "of 1 bytes", "full")),
        (
            "ACL SETUSER default -info|ACL SETUSER default +info",
            [],
            ("server", "does not allow it", "describe Redis::Streams"),
        ),
    ],
)
def test_a_redis_server(
    redis: RedisServer, examined: Examined, switch: str, options: Sequence[str], case: tuple[str, str, str]
) -> None:
    """The same, while something is wrong."""
    begin, _, end = switch.partition("|")
    if switch:
        redis.ask(*begin.split())
    try:
        status, steps = examined(redis.url, *options)
    finally:
        if switch:
            redis.ask(*end.split())
    assert status == int(bool(case[2]))
    check(steps, case)


def test_a_kafka_broker(examined: Examined) -> None:
    """Whether it accepts us, and has the topic."""
    broker = MockCluster()
    try:
        endpoint = f"kafka://{broker.servers}"
        for options, case in (
            ([], ("topic", "none was named", "")),
            (["topic=logs"], ("topic", "logs has 4 partitions", "")),
            (["tls=true"], ("server", "", "describe Kafka")),
        ):
            _, steps = examined(endpoint, *options)
            check(steps, case)
    finally:
        broker.end()


@pytest.mark.parametrize("scheme", ["nats", "redis", "kafka"])
def test_nothing_or_something_else_listens_there(
    scheme: str, examined: Examined, jetstream: NatsServer
) -> None:
    """It says which of the two, and what to do."""
    status, steps = examined(f"{scheme}://127.0.0.1:{free_port()}")
    assert (status, steps[-1]["step"]) == (1, "connect")
    assert "start the server" in steps[-1]["advice"]
    status, steps = examined(f"{scheme}://me:secret@127.0.0.1")
    assert (status, steps[-1]["step"]) == (1, "endpoint")
    assert "no names and passwords in addresses" in steps[-1]["text"]
    if scheme == "redis":
        status, steps = examined(f"{scheme}://127.0.0.1:{jetstream.port}")
        assert (status, steps[-1]["step"]) == (1, "server")
        assert "another program uses this port" in steps[-1]["advice"]


def test_errors_in_options_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that there is not, and options for an endpoint of ZeroMQ."""
    assert doctor.COMMAND.main(["nats://127.0.0.1", "--options", "strem=x"]) == 2
    assert "did you mean 'stream'?" in capsys.readouterr().err
    assert doctor.COMMAND.main(["tcp://127.0.0.1:1", "--options", "stream=x"]) == 2
    assert "--options is for servers of engines" in capsys.readouterr().err


def test_a_server_without_jetstream_and_one_that_wants_credentials(
    tmp_path_factory: pytest.TempPathFactory, examined: Examined
) -> None:
    """Each is told as what it is; the right password helps."""
    server = NatsServer(
        tmp_path_factory.mktemp("plain"), "# no jetstream\nauthorization { user: me, password: right }"
    )
    server.start()
    try:
        status, steps = examined(server.url)
        assert (status, steps[-1]["step"]) == (1, "server")
        assert "refuses the credentials" in steps[-1]["text"]
        status, steps = examined(server.url, "user=me", "password=right")
        assert (status, steps[-1]["step"]) == (1, "jetstream")
        assert "nats-server -js" in steps[-1]["text"]
    finally:
        server.kill()
