"""The command `message-passing doctor`: what it finds of each thing that can be wrong, with real receivers."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from commands import finished
from message_passing.cli.commands import doctor, keys
from message_passing.console.client import NodeClient as RunningNode
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, read_key_file
from nodes import lines, node, part, wait_for_control, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodes import Node


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes are looked for in a folder of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


class Found:
    """What the doctor found."""

    def __init__(self, text: str, status: int) -> None:
        self.status = status
        told = json.loads(text)
        assert told["ok"] == (status == 0)
        self.steps: list[dict[str, Any]] = told["steps"]
        self.names = [step["step"] for step in self.steps]

    @property
    def last(self) -> tuple[str, bool, str, str]:
        """The last step."""
        step = self.steps[-1]
        return step["step"], step["ok"], step["text"], step["advice"]

    def text(self, name: str) -> str:
        """What was said of a step."""
        return next(str(step["text"]) for step in self.steps if step["step"] == name)


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command, and reads its JSON."""

    def examine(*words: str) -> Found:
        status = doctor.COMMAND.main([*words, "--json", "--timeout", "2"])
        return Found(capsys.readouterr().out, status)

    return examine


@contextlib.contextmanager
def aggregator(tmp_path: Path, *more: str, **options: Any) -> Iterator[tuple[str, Node]]:
    """A node that receives and writes a file; its endpoint."""
    port = free_port()
    given = {"socket_bind": f"tcp://127.0.0.1:{port}", **options}
    words = [*part("input", "ZeroMQ", **given), *part("output", "File", filename=str(tmp_path / "out"))]
    with node(*words, *more) as one:
        wait_for_port(port)
        yield f"tcp://127.0.0.1:{port}", one


def test_all_is_well_and_the_canary_comes_out_of_a_node_that_is_found(tmp_path: Path, examined: Any) -> None:
    """From the endpoint to the aggregator's output, with what that has counted."""
    with aggregator(tmp_path, "--control") as (endpoint, one):
        wait_for_control(tmp_path / "message-passing" / f"{one.process.pid}.sock")
        found = examined(endpoint)
        assert found.status == 0, found.steps
        assert found.names == [
            *("endpoint", "resolve", "connect", "greeting", "mechanism", "socket type", "handshake"),
            *("subscription", "canary", "node", "arrival", "counted"),
        ]
        assert found.text("arrival") == "the canary has come through the node to its output"
        assert found.text("counted") == "it has received 1 in all; dropped none; 0 failed"
        assert f"process {one.process.pid}" in found.text("node")
        (canary,) = map(json.loads, lines(tmp_path / "out"))
        assert canary["extra"]["canary"] in found.text("canary")
        assert canary["level"] == "INFO"


def test_a_canary_that_its_output_cannot_write_has_not_arrived(tmp_path: Path, examined: Any) -> None:
    """It came to the output, whose disk is full: that is no success, and what was lost before is none of it."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    words = part("input", "ZeroMQ", socket_bind=endpoint)
    with node(*words, *part("output", "File", filename="/dev/full"), "--control") as one:
        wait_for_port(port)
        wait_for_control(tmp_path / "message-passing" / f"{one.process.pid}.sock")
        for _ in range(2):
            found = examined(endpoint)
            assert found.status == 1, found.steps
            assert found.text("arrival") == "the canary has come through the node to its output"
            assert "No space left on device" in found.text("counted")
            assert "since the canary was sent, output has lost 1" in found.last[3]


def test_what_is_seen_for_people(tmp_path: Path) -> None:
    """A line for each step, and what to do below the one that failed."""
    with aggregator(tmp_path) as (endpoint, _):
        done = finished("doctor", endpoint, "--no-canary")
        assert done.status == 0
        told = done.out.decode().splitlines()
        assert told[0] == f"ok      endpoint      {endpoint} is an endpoint"
        assert told[-2] == "-       canary        none was sent"
        assert told[-1].startswith("-       arrival       no node with --control is known")
    assert lines(tmp_path / "out") == []
    done = finished("doctor", endpoint)
    assert done.status == 1
    failed, advice = done.out.decode().splitlines()[-2:]
    place = f"127.0.0.1 port {endpoint.rpartition(':')[2]}"
    assert (
        failed == f"FAILED  connect       {place} refuses: the machine is up, but nothing listens on the port"
    )
    assert advice.startswith("        what to do    start the receiver; check that it binds this port")


def test_a_filter_that_removes_it_is_told_from_a_way_that_loses_it(tmp_path: Path, examined: Any) -> None:
    """It has come in, and not out."""
    with aggregator(tmp_path, "--filter", "All", "--control", str(tmp_path / "c.sock")) as (endpoint, _):
        wait_for_control(tmp_path / "c.sock")
        found = examined(endpoint, "--node", str(tmp_path / "c.sock"))
        assert found.status == 1
        assert "reached the node, but not its output" in found.text("arrival")


def test_a_node_that_does_not_listen_there_is_the_users_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it has instead is said."""
    control = tmp_path / "c.sock"
    with (
        node(*part("input", "STDIN"), *part("output", "Null"), "--control", str(control)),
        aggregator(tmp_path) as (endpoint, _),
    ):
        wait_for_control(control)
        assert doctor.COMMAND.main([endpoint, "--node", str(control)]) == 2
        assert f"does not listen at {endpoint}: it has no ZeroMQ input" in capsys.readouterr().err


def test_what_is_no_endpoint_or_no_host(examined: Any) -> None:
    """The first two steps."""
    found = examined("tcp:/logs:5558")
    assert found.last[:2] == ("endpoint", False)
    found = examined("tcp://no.such.invalid:5558")
    assert found.last[:2] == ("resolve", False)
    assert "'no.such.invalid' cannot be resolved here" in found.last[2]
    found = examined("inproc://x")
    assert "from within its process only" in found.last[2]
    found = examined("ipc:///no/such/socket")
    assert found.last[:2] == ("resolve", False)


def test_a_name_with_ipv6_addresses_only(examined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ZeroMQ does not use those for a name, and would be silent about it."""
    where = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 5558, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: where)
    found = examined("tcp://six.example:5558")
    assert found.last[0] == "resolve"
    assert "tcp://[::1]:5558" in found.last[3]


def test_a_port_that_swallows_everything(examined: Any) -> None:
    """A full backlog is silent, as a firewall is."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        found = examined(f"tcp://127.0.0.1:{port}")
        for other in others:
            other.close()
    assert found.last[0] == "connect"
    assert "does not answer within 2 seconds" in found.last[2]
    assert "firewall" in found.last[3]


class Silent(http.server.BaseHTTPRequestHandler):
    """Any HTTP server."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_an_http_server_is_recognized(examined: Any) -> None:
    """It waits for a line that ZeroMQ never says, so it is asked in its own language."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found = examined(f"tcp://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
    assert found.last[:3] == ("greeting", False, "it is not ZeroMQ: an HTTP server answers there")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server answers there"),
        (b"\x15\x03\x01\x00\x02", "a TLS server answers there"),
        (b"220 mail ESMTP\r\n", "what is there sends b'220 mail ESMTP\\r\\n', which is not ZeroMQ"),
        (b"", "the program there accepts the connection and sends nothing"),
    ],
)
def test_others_are_recognized(said: bytes, told: str, examined: Any) -> None:
    """By their first words."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_say, args=(server, said))
        thread.start()
        found = examined(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert found.last[:2] == ("greeting", False)
    assert told in found.last[2]


def _say(server: socket.socket, said: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)
            while connection.recv(1000):
                pass


def test_a_receiver_that_pulls_takes_nothing_from_a_pub(tmp_path: Path, examined: Any) -> None:
    """The commonest mismatch: a sender of which nothing is said is a PUB."""
    with aggregator(tmp_path, socket_type="PULL") as (endpoint, _):
        found = examined(endpoint, "--socket-type", "PUB")
        assert found.last[:3] == ("socket type", False, "it is a PULL, and accepts nothing from a PUB")
        assert "set socket_type PUSH in the sender" in found.last[3]
        found = examined(endpoint)
        told = "it is a PULL, and accepts nothing from a PUB, the default of log handlers and outputs"
        assert found.last[:3] == ("socket type", False, told)
        assert found.last[3].endswith("--socket-type PUSH")
        found = examined(endpoint, "--socket-type", "PUSH")
        assert found.status == 0
        assert found.text("socket type") == "it is a PULL, which receives from a PUSH"
        wait_for(lambda: lines(tmp_path / "out"), timeout=20)


def test_a_subscription_that_leaves_our_messages_out(tmp_path: Path, examined: Any) -> None:
    """A PUB never says that nobody wants what it sends."""
    with aggregator(tmp_path, subscribe=["topic"]) as (endpoint, _):
        found = examined(endpoint)
    assert found.last[:3] == (
        "subscription",
        False,
        "it has subscribed only to messages that begin with 'topic'",
    )
    with aggregator(tmp_path, subscribe=[]) as (endpoint, _):
        found = examined(endpoint)
    assert found.last[:3] == ("subscription", False, "it is connected, but has subscribed to nothing")


@pytest.mark.parametrize(
    ("kind", "told"), [(zmq.REP, "it is a REP"), (zmq.PUSH, "it is a PUSH, which sends")]
)
def test_sockets_that_take_no_log(kind: int, told: str, examined: Any) -> None:
    """One of another program, and one that would give us what is its workers'."""
    with zmq.Context() as context, context.socket(kind) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        found = examined(f"tcp://127.0.0.1:{port}")
        assert told in found.text("socket type")
        assert found.status == (1 if kind == zmq.REP else 0)


def test_a_publisher_is_listened_to(examined: Any) -> None:
    """The log goes the other way there."""
    port = free_port()
    output = part("output", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", subscribe_delay=30)
    with node(*part("input", "STDIN"), *output) as source:
        wait_for_port(port)
        source.write(b'{"message":"held for the first subscriber"}\n')
        found = examined(f"tcp://127.0.0.1:{port}")
        assert "it is a PUB, which sends" in found.text("socket type")
        assert found.text("messages") == "a message came from there"


def test_what_a_sender_has_lost(tmp_path: Path, examined: Any) -> None:
    """By its own count: of one that is bound there, and of one that sends there."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    output = part("output", "ZeroMQ", socket_bind=endpoint, subscribe_delay=0)
    with node(*part("input", "STDIN"), *output, "--control") as source:
        control = tmp_path / "message-passing" / f"{source.process.pid}.sock"
        wait_for_control(control)
        source.write(b"{}\n{}\n")
        # An examination subscribes: one that began before the node had read its lines would be given them.
        wait_for(lambda: RunningNode(str(control)).get("/state")["totals"]["dropped"] == 2, timeout=20)
        wait_for(lambda: "lost 2: 2 no subscriber" in examined(endpoint).last[2], timeout=20)
        assert examined(endpoint).last[:2] == ("losses", False)
    with aggregator(tmp_path, "--control") as (endpoint, one):
        output = part("output", "ZeroMQ", connect=endpoint)
        with node(*part("input", "STDIN"), *output, "--control") as source:
            for process in (one.process, source.process):
                wait_for_control(tmp_path / "message-passing" / f"{process.pid}.sock")
            found = examined(endpoint)
            assert found.status == 0
            assert found.last[0] == "losses"
            assert "its ZeroMQ output has sent 0, and lost none" in found.last[2]


class Ring:
    """Keys of a server and two clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allowed = folder / "allowed"
        self.allowed.mkdir()
        for name in ("server", "client", "other"):
            assert keys.COMMAND.main(["new", name, "--folder", str(folder)]) == 0

    def secret(self, name: str) -> str:
        """The path of a secret key."""
        return str(self.folder / f"{name}{SECRET}")

    def public(self, name: str) -> str:
        """A public key."""
        return read_key_file(str(self.folder / f"{name}{PUBLIC}"))["public-key"]

    def words(self, server: str = "server") -> tuple[str, ...]:
        """What the client gives."""
        return ("--curve-secret-key", self.secret("client"), "--curve-server-key", self.public(server))

    def options(self) -> dict[str, str]:
        """What the server has."""
        return {"curve_secret_key": self.secret("server"), "curve_allowed_keys": str(self.allowed)}


def test_keys_step_by_step(tmp_path: Path, examined: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any; with another server's; not yet allowed; allowed: each is told from the others."""
    ring = Ring(tmp_path)
    with aggregator(tmp_path, **ring.options()) as (endpoint, _):
        capsys.readouterr()
        found = examined(endpoint)
        assert found.last[:3] == ("mechanism", False, "it requires CURVE, and we use none")
        assert "--curve-server-key" in found.last[3]
        found = examined(endpoint, *ring.words("other"))
        assert found.last[:2] == ("handshake", False)
        assert "this is not its public key" in found.last[2]
        found = examined(endpoint, *ring.words())
        assert found.last[:2] == ("handshake", False)
        assert f"keys allow NAME '{ring.public('client')}'" in found.last[2] + found.last[3]
        keys.COMMAND.main(["allow", "client", ring.public("client"), "--folder", str(ring.allowed)])
        capsys.readouterr()
        # The server reads its folder again at once, but not several times in a moment.
        wait_for(lambda: examined(endpoint, *ring.words(), "--no-canary").status == 0, timeout=20)
        found = examined(endpoint, *ring.words())
        assert found.status == 0, found.steps
        assert found.text("mechanism") == "both sides use CURVE"
        (canary,) = map(json.loads, wait_for(lambda: lines(tmp_path / "out"), timeout=20))
        assert canary["service"] == "message-passing doctor"


def test_behind_encryption_the_socket_type_is_found_by_trying(
    tmp_path: Path, examined: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """CURVE hides it from who has not been let in."""
    ring = Ring(tmp_path)
    keys.COMMAND.main(["allow", "client", ring.public("client"), "--folder", str(ring.allowed)])
    with aggregator(tmp_path, socket_type="PULL", **ring.options()) as (endpoint, _):
        capsys.readouterr()
        found = examined(endpoint, *ring.words())
        assert found.last[:2] == ("socket type", False)
        assert found.text("handshake") == "it accepted us, as a PUSH"
        assert examined(endpoint, *ring.words(), "--socket-type", "PUSH").status == 0
        found = examined(endpoint, *ring.words(), "--socket-type", "PUB")
        assert found.status == 1
        assert "omit --socket-type" in found.last[3]


def test_keys_where_none_are_wanted(
    tmp_path: Path, examined: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other way round."""
    ring = Ring(tmp_path)
    with aggregator(tmp_path) as (endpoint, _):
        capsys.readouterr()
        found = examined(endpoint, *ring.words())
    assert found.last[:2] == ("mechanism", False)
    assert "it does not use CURVE" in found.last[2]


def test_a_password(tmp_path: Path, examined: Any) -> None:
    """PLAIN: none, a wrong one, the right one."""
    passwords = tmp_path / "passwords"
    passwords.write_text("shop:right\n")
    passwords.chmod(0o600)
    with aggregator(tmp_path, plain_passwords=str(passwords)) as (endpoint, _):
        assert "it requires PLAIN" in examined(endpoint).last[2]
        wrong = examined(endpoint, "--plain-username", "shop", "--plain-password", "wrong")
        assert wrong.last[:2] == ("handshake", False)
        assert "plain_passwords" in wrong.last[3]
        right = examined(endpoint, "--plain-username", "shop", "--plain-password", "right")
        assert right.status == 0, right.steps


def test_an_address_that_may_not_connect(tmp_path: Path, examined: Any) -> None:
    """What `deny` does is no silence."""
    with aggregator(tmp_path, deny=["127.0.0.0/8"]) as (endpoint, _):
        found = examined(endpoint)
    assert found.last[:2] == ("handshake", False)
    assert "`allow` and `deny`" in found.last[3]


def test_who_is_examined_says_nothing_of_it(tmp_path: Path) -> None:
    """A receiver's log is not filled by who only looks whether it is there."""
    with aggregator(tmp_path) as (endpoint, one):
        assert finished("doctor", endpoint, "--no-canary").status == 0
        assert finished("doctor", endpoint, "--socket-type", "PUSH").status == 1
        status, _, err = one.stop()
    assert (status, err) == (0, b"")


def test_an_acknowledged_hop(examined: Any, tmp_path: Path) -> None:
    """A ROUTER that is an input acknowledges the canary; an output says what it is, and a foreign one nothing."""
    receiver, sender = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
    arrived = tmp_path / "arrived"
    bound = {"socket_bind": receiver, "socket_type": "ROUTER"}
    words = [*part("input", "ZeroMQ", **bound), *part("output", "File", filename=str(arrived))]
    with node(*words):
        wait_for_port(int(receiver.rpartition(":")[2]))
        assert examined(receiver).last[3].endswith("--socket-type DEALER")
        found = examined(receiver, "--socket-type", "DEALER")
        assert (found.status, found.text("hop").split(",")[0]) == (0, "an input of message-passing answers")
        assert "was acknowledged: the receiver's chain has settled it" in found.text("canary")
        assert b"canary-" in lines(arrived)[0]
    bound = {"socket_bind": sender, "socket_type": "ROUTER"}
    with node("--input", "Null", *part("output", "ZeroMQ", **bound)):
        wait_for_port(int(sender.rpartition(":")[2]))
        found = examined(sender, "--socket-type", "DEALER")
        assert (found.status, found.last[0]) == (1, "hop")
        assert found.last[2].endswith("it is an output, too: an output sends to an input")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as foreign:
        port = foreign.bind_to_random_port("tcp://127.0.0.1")
        found = examined(f"tcp://127.0.0.1:{port}", "--socket-type", "DEALER")
        assert found.last[2] == "it is connected, and answers nothing within 2 seconds"
        assert found.last[3].startswith("it must be an input of message-passing with socket_type ROUTER")
