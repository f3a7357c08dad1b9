"""Who is revoked is disconnected and stays out, in every topology; who is allowed comes back by himself."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import select
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from zmq.utils.monitor import parse_monitor_message

from message_passing.cli.commands import keys
from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, public_key, secret_key, write_pair, write_public
from message_passing.zeromq.revocation import begin_disconnecting
from message_passing.zeromq.security import security_of
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OTHER_END = {"PULL": zmq.PUSH, "SUB": zmq.PUB, "PUB": zmq.SUB, "PUSH": zmq.PULL}
NEW_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


class Ring:
    """Keys of a server and two clients, both allowed, and passwords of both."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.allowed, self.passwords = folder, folder / "allowed", folder / "passwords"
        for name in ("server", "anna", "bert"):
            write_pair(folder, name)
        for name in ("anna", "bert"):
            write_public(self.allowed / f"{name}{PUBLIC}", public_key(str(folder / f"{name}{PUBLIC}")))
        self.passwords.write_text("anna:one\nbert:two\n")
        self.passwords.chmod(0o600)

    def curve(self) -> dict[str, Any]:
        """The options of a server."""
        return {
            "curve_secret_key": str(self.folder / f"server{SECRET}"),
            "curve_allowed_keys": str(self.allowed),
        }

    def revoke(self, name: str) -> None:
        """As the command does it."""
        assert keys.COMMAND.main(["revoke", name, "--folder", str(self.allowed)]) == 0


@pytest.fixture(name="ring")
def fixture_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    """In a working directory of its own, so that paths of unix sockets are short."""
    monkeypatch.chdir(tmp_path)
    return Ring(tmp_path)


@pytest.fixture(name="sooner")
def fixture_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of where, and not of when: it is looked ten times as often who is revoked."""
    monkeypatch.setattr("message_passing.zeromq.zap._REVOCATION_INTERVAL", 0.05)
    monkeypatch.setattr("message_passing.zeromq.allowed_keys.FRESH", 0.03)
    monkeypatch.setattr("message_passing.zeromq.passwords._FRESH", 0.03)


class Client:
    """One end, with a monitor: whoever binds or connects, it is the client of CURVE or PLAIN."""

    def __init__(
        self, context: zmq.Context[Any], ring: Ring, name: str, kind: int, *, plain: str = ""
    ) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(kind)
        self.socket.linger = 0
        self.socket.ipv6 = True
        self.socket.reconnect_ivl = 20
        if kind == zmq.SUB:
            self.socket.subscribe(b"")
        if plain:
            self.socket.plain_username, self.socket.plain_password = name.encode(), plain.encode()
        else:
            self.socket.curve_serverkey = public_key(str(ring.folder / f"server{PUBLIC}"))
            self.socket.curve_publickey = public_key(str(ring.folder / f"{name}{PUBLIC}"))
            self.socket.curve_secretkey = secret_key(str(ring.folder / f"{name}{SECRET}"))
        self._monitor = self.socket.get_monitor_socket()
        self._events: list[int] = []

    def events(self, number: int) -> int:
        """How often something has happened so far."""
        while self._monitor.poll(0):
            event: Mapping[str, Any] = parse_monitor_message(self._monitor.recv_multipart())
            self._events.append(int(event["event"]))
        return self._events.count(number)

    def connected(self) -> int:
        """How often it has been let in."""
        return self.events(zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def ended(self) -> int:
        """How often it was disconnected."""
        return self.events(zmq.EVENT_DISCONNECTED)

    def close(self) -> None:
        """Both sockets."""
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close()


class Scene:
    """A server that nobody serves: no thread calls into its socket, as in a chain that stands still."""

    def __init__(self, ring: Ring, **settings: Any) -> None:
        self.ring, self.notices = ring, ThrottledWarnings()
        security = security_of("", **settings.pop("security", ring.curve()))
        self.opened = OpenSocket(SocketSettings(linger=0, security=security, **settings), self.notices)
        self.context: zmq.Context[Any] = zmq.Context()
        self.clients: list[Client] = []

    def client(self, name: str, *, plain: str = "") -> Client:
        """One more."""
        kind = OTHER_END[self.opened.settings.socket_type]
        self.clients.append(Client(self.context, self.ring, name, kind, plain=plain))
        return self.clients[-1]

    def connected_clients(self, *names: str) -> list[Client]:
        """Some more, which connect to the first address."""
        found = [self.client(name) for name in names]
        for one in found:
            one.socket.connect(self.opened._endpoints()[0][0])
        return found

    def close(self) -> None:
        """All sockets of it."""
        for one in self.clients:
            one.close()
        self.opened.close(0)
        self.context.term()


@contextlib.contextmanager
def scene(ring: Ring, **settings: Any) -> Iterator[Scene]:
    """A scene, closed at its end."""
    made = Scene(ring, **settings)
    try:
        yield made
    finally:
        made.close()


def out_and_back(anna: Client, bert: Client, revoke: Callable[[], object]) -> None:
    """Revoke anna: she is disconnected soon and stays out, however often she comes; bert is there in the end."""
    wait_for(lambda: anna.connected() == bert.connected() == 1, 10)
    revoke()
    began = time.monotonic()
    wait_for(lambda: anna.ended() >= 1, 10)
    assert time.monotonic() - began < 2
    wait_for(lambda: anna.events(zmq.EVENT_HANDSHAKE_FAILED_AUTH) >= 1, 10)
    assert anna.connected() == 1
    wait_for(lambda: bert.connected() == bert.ended() + 1, 10)


ACCEPTS = {
    "all of IPv4": (["tcp://*:*"], "tcp://127.0.0.1:{0}"),
    "one address": (["tcp://127.0.0.1:*"], "tcp://127.0.0.1:{0}"),
    "an interface": (["tcp://lo:*"], "tcp://127.0.0.1:{0}"),
    "IPv4 at all of IPv6": (["tcp://[::]:*"], "tcp://127.0.0.1:{0}"),
    "IPv6 at all of IPv6": (["tcp://[::]:*"], "tcp://[::1]:{0}"),
    "IPv6": (["tcp://[::1]:*"], "tcp://[::1]:{0}"),
    "the first of two": (["tcp://*:*", "tcp://*:*"], "tcp://127.0.0.1:{0}"),
    "the second of two": (["tcp://*:*", "tcp://*:*"], "tcp://127.0.0.1:{1}"),
    "the second of three": (["ipc://one", "tcp://[::]:*", "ipc://two"], "tcp://127.0.0.1:{1}"),
    "a unix socket": (["ipc://one"], "ipc://one"),
    "a unix socket's other name": (["ipc://one"], "ipc://link"),
    "a unix socket that ZeroMQ names": (["ipc://*"], "{path}"),
    "a unix socket beside TCP": (["tcp://*:*", "ipc://one"], "ipc://one"),
    "an abstract unix socket": (["ipc://@{pid}-accepts"], "ipc://@{pid}-accepts"),
}


@pytest.mark.usefixtures("sooner")
@pytest.mark.parametrize("how", ACCEPTS)
def test_whoever_connects_to_the_server(ring: Ring, how: str) -> None:
    """On whatever kind of endpoint, and whichever of several it is."""
    bind, connect = ACCEPTS[how]
    Path("link").symlink_to("one")
    with scene(ring, socket_type="PULL", bind=tuple(one.format(pid=os.getpid()) for one in bind)) as made:
        made.opened.attach()
        bound = made.opened._endpoints()[0]
        ports = [one.rpartition(":")[2] for one in bound]
        anna, bert = made.client("anna"), made.client("bert")
        for one in (anna, bert):
            one.socket.connect(connect.format(*ports, pid=os.getpid(), path=bound[0]))
        out_and_back(anna, bert, lambda: ring.revoke("anna"))
        bert.socket.send(b"from bert")
        assert made.opened.socket.poll(5000)
        assert made.opened.socket.recv() == b"from bert"


@pytest.mark.usefixtures("sooner")
@pytest.mark.parametrize("kind", OTHER_END)
@pytest.mark.parametrize("way", ["tcp", "ipc", "abstract"])
def test_whomever_the_server_connects_to(ring: Ring, kind: str, way: str) -> None:
    """Who is the server of CURVE has nothing to do with who binds."""
    ends = {
        "tcp": ["tcp://127.0.0.1:*", "tcp://[::1]:*"],
        "ipc": [f"ipc://{ring.folder.name}-a", "ipc://bert"],
        "abstract": [f"ipc://@{os.getpid()}-{kind}-a", f"ipc://@{os.getpid()}-{kind}-b"],
    }[way]
    context: zmq.Context[Any] = zmq.Context()
    anna, bert = (Client(context, ring, name, OTHER_END[kind]) for name in ("anna", "bert"))
    for one, end in zip((anna, bert), ends, strict=True):
        one.socket.bind(end)
    connect = tuple(str(one.socket.get_string(zmq.LAST_ENDPOINT)) for one in (anna, bert))
    opened = OpenSocket(
        SocketSettings(kind, connect=connect, linger=0, security=security_of("", **ring.curve()))
    )
    try:
        opened.attach()
        out_and_back(anna, bert, lambda: ring.revoke("anna"))
    finally:
        for one in (anna, bert):
            one.close()
        opened.close(0)
        context.term()


@pytest.mark.usefixtures("sooner")
@pytest.mark.parametrize("kind", OTHER_END)
def test_every_type_of_socket(ring: Ring, kind: str) -> None:
    """Sending or receiving, with a queue for each peer or one for all."""
    with scene(ring, socket_type=kind, bind=("tcp://127.0.0.1:*",)) as made:
        made.opened.attach()
        anna, bert = made.connected_clients("anna", "bert")
        out_and_back(anna, bert, lambda: ring.revoke("anna"))


def replaced(ring: Ring) -> None:
    """Another key under the same name, of the same size and time."""
    path = ring.allowed / f"anna{PUBLIC}"
    before = path.stat()
    path.write_text(f'curve\n    public-key = "{NEW_KEY}"\n')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


WAYS: dict[str, Callable[[Ring], object]] = {
    "the command": lambda ring: ring.revoke("anna"),
    "the file removed": lambda ring: (ring.allowed / f"anna{PUBLIC}").unlink(),
    "the file moved": lambda ring: (ring.allowed / f"anna{PUBLIC}").rename(ring.allowed / "anna.revoked"),
    "the file emptied": lambda ring: (ring.allowed / f"anna{PUBLIC}").write_text(""),
    "another key in the file": replaced,
    "a file that others may write": lambda ring: (ring.allowed / f"anna{PUBLIC}").chmod(0o666),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_revoke(ring: Ring, way: str) -> None:
    """Without a restart."""
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*",)) as made:
        made.opened.attach()
        anna, bert = made.connected_clients("anna", "bert")
        out_and_back(anna, bert, lambda: WAYS[way](ring))


@pytest.mark.parametrize("change", [shutil.rmtree, lambda folder: folder.chmod(0o777)])
def test_a_folder_that_is_gone_or_no_longer_safe_revokes_all(
    ring: Ring, change: Callable[[Path], object]
) -> None:
    """Both are disconnected, and it is said why."""
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*",)) as made:
        made.opened.attach()
        anna, bert = made.connected_clients("anna", "bert")
        wait_for(lambda: anna.connected() == bert.connected() == 1, 10)
        change(ring.allowed)
        wait_for(lambda: all(one.events(zmq.EVENT_HANDSHAKE_FAILED_AUTH) for one in (anna, bert)), 10)
        assert any("the folder of allowed keys" in text for text in made.notices.take())


def test_a_user_of_plain(ring: Ring) -> None:
    """Who is removed from the file of passwords, or gets another password, is revoked like a key."""
    security = {"plain_passwords": str(ring.passwords)}
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*", "ipc://one"), security=security) as made:
        made.opened.attach()
        anna, bert = made.client("anna", plain="one"), made.client("bert", plain="two")
        for one in (anna, bert):
            one.socket.connect(made.opened._endpoints()[0][0])
        out_and_back(anna, bert, lambda: ring.passwords.write_text("bert:two\n"))
        again = made.client("bert", plain="two")
        again.socket.connect("ipc://one")
        wait_for(lambda: again.connected() == 1, 10)
        ring.passwords.write_text("bert:three\n")
        wait_for(lambda: again.ended() and bert.events(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 10)


def test_an_idle_handler_that_binds(ring: Ring) -> None:
    """An application that logs nothing for hours disconnects whom it must."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    handler = ZeroMQHandler(socket_bind=endpoint, linger=0, **ring.curve())
    context: zmq.Context[Any] = zmq.Context()
    anna, bert = (Client(context, ring, name, zmq.SUB) for name in ("anna", "bert"))
    try:
        handler.handle(logging.makeLogRecord({"msg": "opens the socket"}))
        for one in (anna, bert):
            one.socket.connect(endpoint)
        out_and_back(anna, bert, lambda: ring.revoke("anna"))
    finally:
        handler.close()
        for one in (anna, bert):
            one.close()
        context.term()


def test_whoever_does_not_close_is_closed(ring: Ring) -> None:
    """A peer that goes on sending after the goodbye, as one that speaks no ZMTP may, is cut a moment later."""
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*",)) as made, socket.socket() as listens:
        made.opened.attach()
        listens.bind(("127.0.0.1", 0))
        listens.listen()
        anna = made.client("anna")
        anna.socket.connect(f"tcp://127.0.0.1:{listens.getsockname()[1]}")
        near, _ = listens.accept()
        port = int(made.opened._endpoints()[0][0].rpartition(":")[2])
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            pairs = {near.fileno(): far, far.fileno(): near}
            heard_end = False
            cut_after = 0.0
            revoked_at = 0.0
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and not cut_after:
                for one in select.select([*pairs], [], [], 0.05)[0]:
                    source = near if one == near.fileno() else far
                    data = source.recv(65536)
                    if data:
                        pairs[one].sendall(data)
                    elif source is far:
                        heard_end = True
                        del pairs[one]
                if not revoked_at and anna.connected():
                    ring.revoke("anna")
                    revoked_at = time.monotonic()
                if heard_end:
                    try:
                        far.sendall(b"on and on")
                    except OSError:
                        cut_after = time.monotonic() - revoked_at
        assert 0 < cut_after < 2.5


BATCH = 8192
"""Bytes that libzmq may have taken from a sender's queue and not given to the system yet (ZMQ_OUT_BATCH_SIZE)."""


@pytest.mark.usefixtures("sooner")
def test_who_is_allowed_comes_back_in_the_middle_of_its_work(ring: Ring) -> None:
    """What a sender at the same address had on its way arrives, but for what its libzmq had just in hand."""
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*",)) as made:
        made.opened.attach()
        anna, bert = made.connected_clients("anna", "bert")
        wait_for(lambda: anna.connected() == bert.connected() == 1, 10)
        received: list[int] = []

        def receive() -> None:
            with contextlib.suppress(zmq.Again):
                while True:
                    received.append(int(made.opened.socket.recv(zmq.NOBLOCK)))

        def send(count: int) -> None:
            for _ in range(count):
                sent.append(len(sent))
                bert.socket.send(b"%100d" % sent[-1])
            receive()

        sent: list[int] = []
        ring.revoke("anna")
        while not (bert.ended() and bert.connected() > 1):
            send(20)
        send(1)

        def has_arrived() -> bool:
            receive()
            return sent[-1] in received and (len(sent) - len(received)) * 100 <= BATCH

        wait_for(has_arrived, 10)
        assert len(set(received)) == len(received), "nothing arrives twice"


def test_without_a_free_descriptor(ring: Ring) -> None:
    """Many connections are one way to bring that about: who is revoked is disconnected all the same."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*",)) as made:
        made.opened.attach()
        anna, bert = made.connected_clients("anna", "bert")
        wait_for(lambda: anna.connected() == bert.connected() == 1, 10)
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
            (ring.allowed / f"anna{PUBLIC}").unlink()
            wait_for(lambda: anna.ended() == 1, 10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_only_connections_at_these_endpoints_with_these_addresses_are_ended(ring: Ring) -> None:
    """Not those of another port, of another address, or of somebody else's socket in the process."""
    with scene(ring, socket_type="PULL", bind=("tcp://127.0.0.1:*", "ipc://one")) as made:
        made.opened.attach()
        tcp, ipc = made.opened._endpoints()[0]
        over_tcp, over_ipc = made.client("anna"), made.client("bert")
        over_tcp.socket.connect(tcp)
        over_ipc.socket.connect(ipc)
        wait_for(lambda: over_tcp.connected() == over_ipc.connected() == 1, 10)
        for bound, connected, addresses in (
            ((f"tcp://127.0.0.1:{free_port()}",), (), {"127.0.0.1"}),
            ((), (f"tcp://127.0.0.1:{free_port()}",), {"127.0.0.1"}),
            ((tcp, ipc), (), {"127.0.0.2", "::1"}),
            (("ipc://other",), ("ipc://other",), {""}),
            ((tcp,), (), {""}),
            ((ipc,), (), {"127.0.0.1"}),
            ((), (), {"*"}),
        ):
            assert begin_disconnecting(bound, connected, addresses) == []
        assert len(begin_disconnecting((tcp, ipc), (), {"::ffff:127.0.0.1"})) == 1
        wait_for(lambda: over_tcp.ended() == 1, 10)
        assert over_ipc.ended() == 0
        assert begin_disconnecting((tcp, ipc), (), {"*"})
        wait_for(lambda: over_ipc.ended() == 1, 10)
