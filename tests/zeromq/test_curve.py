"""CURVE between real nodes: who is let in, who is not, and that both sides say why."""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.commands import keys
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, read_key_file
from nodes import Node, lines, node, part, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ring:
    """Keys in files, and a server's folder of allowed ones."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.allowed = folder / "keys", folder / "allowed"
        self.allowed.mkdir()
        self.out = folder / "out"
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        for name in ("server", "client", "other"):
            assert keys.COMMAND.main(["new", name, "--folder", str(self.keys)]) == 0

    def secret(self, name: str) -> str:
        """The path of somebody's secret key."""
        return str(self.keys / f"{name}{SECRET}")

    def public(self, name: str) -> str:
        """Somebody's public key itself."""
        return read_key_file(str(self.keys / f"{name}{PUBLIC}"))["public-key"]

    def allow(self, name: str) -> None:
        """As the command does it."""
        assert keys.COMMAND.main(["allow", name, self.public(name), "--folder", str(self.allowed)]) == 0

    def server(self, **more: Any) -> list[str]:
        """The words of an aggregator that lets in whom it knows."""
        options = {
            "socket_bind": self.endpoint,
            "curve_secret_key": self.secret("server"),
            "curve_allowed_keys": str(self.allowed),
        }
        return [
            *part("input", "ZeroMQ", **{**options, **more}),
            *part("output", "File", filename=str(self.out)),
        ]

    def client(self, name: str = "client", **more: Any) -> list[str]:
        """The words of a sender with a key."""
        options = {
            "connect": self.endpoint,
            "curve_secret_key": self.secret(name),
            "curve_server_key": self.public("server"),
            "linger": 0,
        }
        chosen = {key: value for key, value in {**options, **more}.items() if value is not None}
        return ["--input", "STDIN", *part("output", "ZeroMQ", **chosen)]

    def arrived(self) -> list[Any]:
        """What the aggregator has written."""
        return [json.loads(line) for line in lines(self.out)]


@pytest.fixture(name="ring")
def fixture_ring(tmp_path: Path) -> Ring:
    """Keys of a server and two clients, none allowed yet."""
    return Ring(tmp_path)


@pytest.fixture(name="server")
def fixture_server(ring: Ring) -> Iterator[Node]:
    """An aggregator that lets in whom it knows."""
    with node(*ring.server()) as started:
        wait_for_port(int(ring.endpoint.rpartition(":")[2]))
        yield started


class Said:
    """What a node reports on stderr, read while it runs."""

    def __init__(self, started: Node) -> None:
        assert started.process.stderr
        self._file = started.process.stderr
        self._data = b""

    def all(self) -> list[str]:
        """The reports so far."""
        while select.select([self._file], [], [], 0)[0] and (more := os.read(self._file.fileno(), 65536)):
            self._data += more
        whole = self._data[: self._data.rfind(b"\n") + 1]
        return [json.loads(line)["exception"] for line in whole.splitlines() if line.startswith(b"{")]

    def wait(self, words: str) -> None:
        """Wait until one of them has these words."""
        wait_for(lambda: any(words in text for text in self.all()), 40)  # it may take several tries


def test_who_is_allowed_is_heard(ring: Ring, server: Node) -> None:
    """Encrypted, with not a word said about it."""
    ring.allow("client")
    with node(*ring.client()) as client:
        client.write(b'{"n":1}\n')
        wait_for(lambda: ring.arrived() == [{"n": 1}], 10)
        assert client.end() == (0, b"", b"")
    assert Said(server).all() == []
    assert server.stop()[0] == 0


def test_who_is_refused_is_let_in_once_allowed_without_a_restart(ring: Ring, server: Node) -> None:
    """Both sides say what is wrong and what to run, once and not at each try; nothing that was held is lost."""
    with node(*ring.client()) as client:
        client.write(b'{"n":1}\n')
        said = Said(client)
        said.wait(
            "the peer rejected us: it does not know our key; on that host, run: "
            f"message-passing keys allow NAME '{ring.public('client')}'"
        )
        assert ring.arrived() == []
        ring.allow("client")
        wait_for(lambda: ring.arrived() == [{"n": 1}], 20)
        assert len(said.all()) == 1
        assert client.end() == (0, b"", b"")
    (heard,) = Said(server).all()
    assert "refused a client at 127.0.0.1: its key is not among the allowed ones" in heard
    assert f"keys allow NAME '{ring.public('client')}' --folder {ring.allowed}" in heard


def test_who_is_revoked_is_disconnected_and_others_are_not(ring: Ring, server: Node) -> None:
    """Without a restart, and though it was connected already."""
    ring.allow("client")
    ring.allow("other")
    with node(*ring.client()) as client, node(*ring.client("other")) as other:
        client.write(b'{"by":"client"}\n')
        other.write(b'{"by":"other"}\n')
        wait_for(lambda: len(ring.arrived()) == 2, 10)
        assert keys.COMMAND.main(["revoke", "client", "--folder", str(ring.allowed)]) == 0
        wait_for(lambda: not _connected(client.process.pid, ring.endpoint), 10)
        client.write(b'{"by":"client","late":true}\n')

        def other_is_heard() -> bool:
            other.write(b'{"by":"other","late":true}\n')
            return {"by": "other", "late": True} in ring.arrived()

        wait_for(other_is_heard, 20)
        client.process.kill()
    server.stop()
    assert {"by": "client", "late": True} not in ring.arrived()


def test_traps_among_the_allowed_keys_neither_end_a_node_nor_lock_anybody_out(
    ring: Ring, server: Node
) -> None:
    """Put there while it runs: who is allowed is heard, what is wrong is reported, and the node ends when told."""
    ring.allow("client")
    os.mkfifo(ring.allowed / "pipe.key")
    (ring.allowed / "endless.key").symlink_to("/dev/zero")
    (ring.allowed / "b\udcff.key").write_text("")
    said = Said(server)
    said.wait("is a named pipe")
    with node(*ring.client()) as client:
        client.write(b'{"n":1}\n')
        wait_for(lambda: ring.arrived() == [{"n": 1}], 10)
        assert client.end() == (0, b"", b"")
    said.wait("has characters that cannot be shown")
    assert server.stop()[0] == 0


def test_a_folder_that_others_may_write_is_a_user_s_error(ring: Ring) -> None:
    """Told with what to run, and with status 2."""
    ring.allowed.chmod(0o777)
    with node(*ring.server()) as started:
        status, out, err = started.end()
    assert (status, out) == (2, b"")
    assert f"run `chmod go-w {ring.allowed}`".encode() in err
    assert b"Traceback" not in err


def _connected(pid: int, endpoint: str) -> bool:
    """Whether a process has a TCP connection to the endpoint's port."""
    port = f":{int(endpoint.rpartition(':')[2]):04X}"
    own = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(row[2].endswith(port) and row[3] == "01" and f"socket:[{row[9]}]" in own for row in rows)


def test_a_wrong_server_key_is_told_on_both_sides(ring: Ring, server: Node) -> None:
    """And nothing is sent to a server that is not the one that was meant."""
    ring.allow("client")
    with node(*ring.client(curve_server_key=ring.public("other"))) as client:
        client.write(b'{"n":1}\n')
        Said(client).wait("it broke off the handshake: curve_server_key is not its key, or")
        Said(server).wait("whose curve_server_key is not our public key")
        assert b"1 unsent at close" in client.end()[2]
    assert ring.arrived() == []


def test_a_server_without_curve_is_told_on_both_sides(ring: Ring) -> None:
    """And nothing is sent to it."""
    words = [
        *part("input", "ZeroMQ", socket_bind=ring.endpoint),
        *part("output", "File", filename=str(ring.out)),
    ]
    with node(*words) as server, node(*ring.client()) as client:
        client.write(b'{"n":1}\n')
        Said(client).wait("does not use CURVE, and nothing is sent without it")
        Said(server).wait("requires CURVE or PLAIN")
        assert b"1 unsent at close" in client.end()[2]
    assert ring.arrived() == []


def test_a_sender_without_curve_is_told_on_both_sides(ring: Ring, server: Node) -> None:
    """It learns which option it lacks."""
    words = ["--input", "STDIN", *part("output", "ZeroMQ", connect=ring.endpoint, linger=0)]
    with node(*words) as client:
        client.write(b'{"n":1}\n')
        Said(client).wait("requires CURVE or PLAIN (option curve_server_key)")
        Said(server).wait("without CURVE, which is required here")
        assert b"1 unsent at close" in client.end()[2]
    assert ring.arrived() == []


def test_a_publisher_that_binds_may_be_the_server(ring: Ring) -> None:
    """Who binds and who is the server of CURVE have nothing to do with which way messages flow."""
    ring.allow("client")
    publishes = part(
        "output",
        "ZeroMQ",
        socket_bind=ring.endpoint,
        curve_secret_key=ring.secret("server"),
        curve_allowed_keys=str(ring.allowed),
    )
    hears = part(
        "input",
        "ZeroMQ",
        connect=ring.endpoint,
        curve_secret_key=ring.secret("client"),
        curve_server_key=ring.public("server"),
    )
    with (
        node("--input", "STDIN", *publishes) as server,
        node(*hears, *part("output", "File", filename=str(ring.out))) as client,
    ):

        def is_heard() -> bool:
            server.write(b'{"n":1}\n')
            return {"n": 1} in ring.arrived()

        wait_for(is_heard, 15)
        assert client.stop()[0] == 0
        assert server.end()[0] == 0


@pytest.mark.parametrize(("ours", "theirs"), [("SUB", "PUB"), ("ROUTER", "DEALER"), ("DEALER", "ROUTER")])
def test_the_name_of_the_key_is_in_the_message_and_cannot_be_forged(
    ring: Ring, ours: str, theirs: str
) -> None:
    """Whatever the sender writes there, in JSON or in lines of it; also where messages are acknowledged."""
    ring.allow("client")
    with (
        node(*ring.server(key_field="key", socket_type=ours), "--decoder", "JSONLines") as server,
        node(*ring.client(socket_type=theirs, linger=10_000)) as client,
    ):
        client.write(b'{"n":1}\n{"n":2,"key":"other"}\n{"n":3,"k\\u0065y":"other"}\n')
        wait_for(lambda: len(ring.arrived()) == 3, 10)
        assert client.end()[0] == 0
        assert server.stop()[0] == 0
    assert ring.arrived() == [{"n": n, "key": "client"} for n in (1, 2, 3)]


def test_a_sender_s_books_are_its_key_s(ring: Ring) -> None:
    """Who has an allowed key and claims another's name is somebody else to Follow."""
    ring.allow("client")
    ring.allow("other")
    books = part("filter", "Follow", key_field="key", report_interval=3600)
    with (
        node(*ring.server(key_field="key"), *books) as server,
        node(*ring.client()) as client,
        node(*ring.client("other")) as other,
    ):
        client.write(b'{"sender":"web","sequence":1}\n{"sender":"web","sequence":4}\n')
        wait_for(lambda: len(ring.arrived()) == 2, 10)
        other.write(b'{"sender":"web","sequence":8000,"key":"client"}\n{"sender":"web","sequence":1}\n')
        wait_for(lambda: len(ring.arrived()) == 4, 10)
        client.write(b'{"sender":"web","sequence":5}\n')
        wait_for(lambda: len(ring.arrived()) == 5, 10)
        assert client.end()[0] == other.end()[0] == 0
        status, _, err = server.stop()
    assert status == 0
    assert b"2 messages did not arrive here: 2 of web with the key client" in err
    event = ring.arrived()[-1]
    assert event["lost_by_key"] == {"client": {"web": 2}}
    assert (event["senders"], event["restarted"], event["before"]) == (2, 1, 7999)


def test_a_handler_with_a_key(ring: Ring, server: Node, tmp_path: Path) -> None:
    """An application's records are encrypted with three arguments more."""
    ring.allow("client")
    program = tmp_path / "app.py"
    program.write_text(
        "import logging, sys\n"
        "from message_passing.logging import ZeroMQHandler\n"
        "log = logging.getLogger('app')\n"
        "handler = ZeroMQHandler(sys.argv[1], curve_secret_key='env:KEY', curve_server_key=sys.argv[2])\n"
        "log.addHandler(handler)\n"
        "log.warning('hello')\n",
        encoding="utf-8",
    )
    command = (sys.executable, "-W", "error", str(program))
    env = {
        "KEY": Path(ring.secret("client"))
        .read_text(encoding="ascii")
        .split('secret-key = "')[1]
        .split('"')[0]
    }
    with node(ring.endpoint, ring.public("server"), command=command, env=env) as application:
        assert application.end() == (0, b"", b"")
    wait_for(lambda: [one["message"] for one in ring.arrived()] == ["hello"], 10)
    server.stop()
