"""The output to Redis streams, against a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from engine_parts import certificate, deliver, numbers, reports
from message_passing.delivery import Outcome
from message_passing.errors import OpenError, OptionError
from message_passing.outputs.redis_streams import RedisStreamsOutput
from message_passing.testing import ListInput, free_port, running, wait_for
from nodes import OURS
from redis_server import RedisServer, needs_redis
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


pytestmark = needs_redis

DELIVERED, REJECTED, LOST = Outcome

QUICK: dict[str, Any] = {"retry_first": 0.01, "retry_longest": 0.1, "batch_age": 0.01, "stream": "logs"}


def output(url: str, **options: Any) -> RedisStreamsOutput:
    """One that retries soon."""
    return RedisStreamsOutput(url=url, **{"error": Kept(), **QUICK, **options})


def stored(server: RedisServer) -> list[int]:
    """The numbers that a stream has."""
    return [json.loads(line)["n"] for line in server.lines()]


def test_the_command_of_the_guide_stores_lines_in_a_stream(server: RedisServer) -> None:
    """Several lines are one entry, a frame; each is there once, in order."""
    options = json.dumps({"url": server.url, "stream": "logs"})
    words = ["--input", "STDIN", "--output", "Redis::Streams", "--output_options", options]
    lines = b"".join(b'{"n":%d}\n' % number for number in range(3000))
    done = subprocess.run([*OURS, *words], input=lines, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert stored(server) == list(range(3000))
    assert {name for fields in server.entries() for name in fields} == {b"lines"}
    assert len(server.entries()) < 30


def test_single_messages_and_a_limit(server: RedisServer) -> None:
    """Without frames each message is an entry, and a stream has about as many as it may."""
    to = output(server.url, frames=False, maxlen=200)
    assert deliver(to, [numbers(100, first) for first in range(0, 2000, 100)]) == [DELIVERED] * 20
    found = stored(server)
    assert found == list(range(2000 - len(found), 2000))
    assert 200 <= len(found) <= 400
    assert set(server.entries()[-1]) == {b"message"}


def test_a_killed_server_loses_nothing_that_was_accepted(server: RedisServer) -> None:
    """Killed between batches: what was on its way is sent again, and the order is kept."""

    def between(number: int) -> None:
        if number in (10, 20):
            server.end(signal.SIGKILL)
            server.start()

    to = output(server.url, frame_bytes=200)
    assert deliver(to, [numbers(50, first) for first in range(0, 1500, 50)], between) == [DELIVERED] * 30
    found = stored(server)
    assert sorted(set(found)) == list(range(1500))
    assert len(found) < 1700


def test_a_storm_of_reconnections_leaves_one_connection(server: RedisServer) -> None:
    """All connections are cut again and again: nothing is lost, and none is left over."""
    to = output(server.url, frame_bytes=200)

    def between(number: int) -> None:
        if number:
            server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert deliver(to, [numbers(20, first) for first in range(0, 800, 20)], between) == [DELIVERED] * 40
    assert sorted(set(stored(server))) == list(range(800))
    wait_for(lambda: len(server.ask("CLIENT", "LIST").splitlines()) == 1, timeout=20)


def test_a_wrong_password_is_told_and_a_right_one_helps(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is read anew for each attempt, so that nobody needs to restart anything."""
    server.ask("CONFIG", "SET", "requirepass", "right")
    monkeypatch.setenv("REDIS_SECRET", "wrong")
    to, without = output(server.url, password="env:REDIS_SECRET"), output(server.url)
    with (
        running(ListInput(messages=[b"1"], output_to=to)),
        running(ListInput(messages=[b"1"], output_to=without)),
    ):
        wait_for(lambda: "refuses the credentials" in str(to.problems()), timeout=20)
        wait_for(lambda: "wants a password" in str(without.problems()), timeout=20)
        monkeypatch.setenv("REDIS_SECRET", "right")
        wait_for(lambda: not to.problems() and not to.held(), timeout=20)
        server.ask("CONFIG", "SET", "requirepass", "", password="right")
        wait_for(lambda: not without.problems() and not without.held(), timeout=20)
    assert "wrong" not in reports(to)
    assert server.lines() == [b"1", b"1"]


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        (("SET", "logs", "1"), ("DEL", "logs"), "is no stream"),
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "is full (its maxmemory)"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "is a replica"),
        (
            ("ACL", "SETUSER", "default", "-xadd"),
            ("ACL", "SETUSER", "default", "+xadd"),
            "the server does not allow it",
        ),
    ],
    ids=["type", "full", "replica", "denied"],
)
def test_what_a_server_refuses_is_told_and_sent_once_it_accepts(
    server: RedisServer, begin: Sequence[Any], end: Sequence[Any], said: str
) -> None:
    """Nothing is lost or stored twice meanwhile."""
    server.ask(*begin)
    to = output(server.url)
    with running(ListInput(messages=[b"%d" % number for number in range(100)], output_to=to)):
        wait_for(lambda: said in str(to.problems()), timeout=20)
        server.ask(*end)
        wait_for(lambda: not to.held(), timeout=20)
    assert server.lines() == [b"%d" % number for number in range(100)]
    assert said in reports(to)
    assert to.problems() == []


def test_an_entry_that_the_server_finds_too_large_fails_alone(server: RedisServer) -> None:
    """The others of its batch arrive."""
    server.ask("CONFIG", "SET", "proto-max-bulk-len", 1 << 20)
    to = output(server.url, frame_bytes=100)
    messages = [{"n": number, "text": "x" * (3 << 20 if number == 5 else 100)} for number in range(10)]
    assert deliver(to, [messages]) == [REJECTED]
    assert stored(server) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert "the server accepts 1048576 (proto-max-bulk-len)" in reports(to)


def test_a_server_without_a_file_is_noted(server: RedisServer) -> None:
    """What it stores is gone when it ends: whoever looks at the node is told."""
    to = output(server.url)
    assert deliver(to, [numbers(1)]) == [DELIVERED]
    assert to.notes() == []
    server.ask("CONFIG", "SET", "appendonly", "no")
    other = output(server.url)
    assert deliver(other, [numbers(1)]) == [DELIVERED]
    assert "appendonly yes" in str(other.notes())


def test_tls_with_certificates_of_both_sides(server: RedisServer, tmp_path: Path) -> None:
    """What is stored travels encrypted; a server of an unknown authority, or without TLS, is not talked to."""
    certificate(tmp_path, "authority")
    certificate(tmp_path, "server", "authority")
    certificate(tmp_path, "client", "authority")
    files = {"tls_cert_file": "server.pem", "tls_key_file": "server.key", "tls_ca_cert_file": "authority.pem"}
    server.end()
    tls = RedisServer(tmp_path, **{name: tmp_path / file for name, file in files.items()})
    tls.options["tls_port"] = port = free_port()
    tls.start()
    try:
        given = {
            "tls_ca": str(tmp_path / "authority.pem"),
            "tls_cert": str(tmp_path / "client.pem"),
            "tls_key": str(tmp_path / "client.key"),
        }
        to = output(f"rediss://127.0.0.1:{port}", **given)
        assert deliver(to, [numbers(10)]) == [DELIVERED]
        assert stored(tls) == list(range(10))
        with pytest.raises(OpenError, match="certificate is not accepted"):
            output(f"rediss://127.0.0.1:{port}").try_connection(5)
        with pytest.raises(OpenError, match=r"no answer|closed the connection|TLS failed"):
            output(f"rediss://127.0.0.1:{tls.port}").try_connection(1)
    finally:
        tls.end()


def test_a_trial_connects_and_changes_nothing(server: RedisServer) -> None:
    """It says what is there; without a server, why there is none."""
    to = output(server.url)
    assert "with the first message there will be a stream 'logs'" in to.try_connection(5)
    assert server.ask("EXISTS", "logs") == 0
    nowhere = output(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(OpenError, match="connection refused: no server listens there"):
        nowhere.try_connection(5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "redis://me:secret@127.0.0.1"}, "no names and passwords in addresses"),
        ({"url": "http://127.0.0.1"}, "is no address: redis://HOST:PORT"),
        ({"url": "redis://127.0.0.1:99999"}, "no valid port"),
        ({"url": "redis://127.0.0.1/logs"}, "is no address"),
        ({"username": "me"}, "username needs password"),
        ({"tls_ca": "ca.pem"}, "tls_ca needs an address with TLS: rediss://"),
        ({"stream": ""}, "stream"),
    ],
)
def test_mistakes_in_options_are_the_users(options: dict[str, Any], said: str) -> None:
    """Each is told before anything is sent, and no secret is in it."""
    with pytest.raises(OptionError) as caught:
        RedisStreamsOutput(**{"stream": "logs", **options})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
