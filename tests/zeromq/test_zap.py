"""The ZAP handler: it goes on whatever it is asked, and keeps nobody waiting for another's fault."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.testing import wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, public_key, write_pair, write_public
from message_passing.zeromq.passwords import FIRST_DELAY
from message_passing.zeromq.security import security_of
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Server:
    """A socket with a ZAP handler, and its clients."""

    def __init__(self, **options: Any) -> None:
        self.notices = ThrottledWarnings()
        security = security_of("", **options)
        settings = SocketSettings("PULL", bind=("tcp://127.0.0.1:*",), linger=0, security=security)
        self.opened = OpenSocket(settings, self.notices)
        self.opened.attach()
        self.handler: Any = self.opened._zap_handler
        self._context: zmq.Context[Any] = zmq.Context()
        self._clients: list[zmq.Socket[bytes]] = []

    def client(self, **options: object) -> zmq.Socket[bytes]:
        """A client with these attributes."""
        client = self._made(options)
        client.connect(self.opened._endpoints()[0][0])
        return client

    def dial(self, name: bytes, password: bytes) -> None:
        """A client with a password and something to say, unless it is refused before it can."""
        client = self.client(plain_username=name, plain_password=password)
        with contextlib.suppress(zmq.Again):
            client.send(name, zmq.NOBLOCK)

    def refused_after(self, name: bytes, password: bytes) -> float:
        """How many seconds it takes until such a client is refused."""
        client = self._made({"plain_username": name, "plain_password": password})
        with client.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH) as monitor:
            began = time.monotonic()
            client.connect(self.opened._endpoints()[0][0])
            assert monitor.poll(10_000)
            took = time.monotonic() - began
            client.disable_monitor()
        return took

    def _made(self, options: dict[str, object]) -> zmq.Socket[bytes]:
        client: zmq.Socket[bytes] = self._context.socket(zmq.PUSH)
        client.linger = 0
        for name, value in options.items():
            setattr(client, name, value)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """All of it."""
        for client in self._clients:
            client.close()
        self._context.term()
        self.opened.close(0)


@contextlib.contextmanager
def server(**options: Any) -> Iterator[Server]:
    """A server, closed at the end."""
    made = Server(**options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(name="passwords")
def fixture_passwords(tmp_path: Path) -> str:
    """A file with one who may come in."""
    path = tmp_path / "passwords"
    path.write_text("anna:one\n")
    path.chmod(0o600)
    return str(path)


def test_a_wrong_password_waits_and_a_right_one_does_not(passwords: str) -> None:
    """Longer each time; and many that wait at once keep nobody else waiting, but are then refused unseen."""
    with server(plain_passwords=passwords) as made:
        for delay in (FIRST_DELAY, 2 * FIRST_DELAY):
            assert made.refused_after(b"anna", b"guess") >= delay * 0.9
        for number in range(3):
            made.dial(b"anna", b"guess %d" % number)
        wait_for(lambda: len(made.handler._later) == 3)
        began = time.monotonic()
        made.dial(b"anna", b"one")
        assert made.opened.socket.poll(5000)
        assert time.monotonic() - began < FIRST_DELAY
        made.dial(b"anna", b"guess again")
        wait_for(lambda: len(made.handler._later) == 4)
        assert made.refused_after(b"anna", b"one") < FIRST_DELAY
        said = made.notices.take(all_counts=True)
    assert said[0] == "refused a client at 127.0.0.1: its name or password is wrong"
    assert any("its address has sent too many wrong names or passwords recently" in text for text in said)
    assert len(said) == 3, "one of each kind, and a count"


def test_it_ends_while_answers_wait(passwords: str) -> None:
    """Whoever waits for one is not waited for."""
    with server(plain_passwords=passwords) as made:
        for _ in range(4):
            made.dial(b"anna", b"guess")
        wait_for(lambda: len(made.handler._later) == 4)
        began = time.monotonic()
    assert time.monotonic() - began < 1


def test_random_keys_are_two_sentences(tmp_path: Path) -> None:
    """However many come: the first with what to run, and the number of them at the end."""
    write_pair(tmp_path, "server")
    write_public(tmp_path / "allowed" / "anna.key", zmq.curve_keypair()[0])
    options = {
        "curve_secret_key": f"{tmp_path}/server{SECRET}",
        "curve_allowed_keys": str(tmp_path / "allowed"),
    }
    with server(**options) as made:
        public = public_key(str(tmp_path / f"server{PUBLIC}"))
        for _ in range(200):
            own, secret = zmq.curve_keypair()
            made.client(curve_serverkey=public, curve_publickey=own, curve_secretkey=secret)
        kinds = made.notices._kinds
        wait_for(lambda: "refused key" in kinds and kinds["refused key"].count == 199, 20)
        first, count = made.notices.take(all_counts=True)
    assert "its key is not among the allowed ones; to allow it: message-passing keys allow NAME '" in first
    assert "(this was the last of 199 times in " in count
    assert count.endswith("s, from 199 peers)")


def test_files_that_allow_nobody_are_said_at_once(tmp_path: Path) -> None:
    """Before anybody has come; and a name that is no UTF-8 ends nothing."""
    write_pair(tmp_path, "server")
    write_public(tmp_path / "allowed" / "anna.key", zmq.curve_keypair()[0])
    (tmp_path / "allowed" / "anna.key").chmod(0o666)
    (tmp_path / "allowed" / "b\udcff.key").write_text("")
    options = {
        "curve_secret_key": f"{tmp_path}/server{SECRET}",
        "curve_allowed_keys": str(tmp_path / "allowed"),
    }
    with server(**options) as made:
        said: list[str] = []

        def both() -> bool:
            said.extend(made.notices.take())
            return len(said) >= 2

        wait_for(both)
        assert made.handler._thread.is_alive()
    assert any("can be written by others" in text for text in said)
    assert any(r"'b\udcff.key'" in text for text in said)


def test_a_question_that_cannot_be_understood_ends_nothing(passwords: str) -> None:
    """Who asks it is refused, and it is said; the next one is answered."""
    with server(plain_passwords=passwords) as made:
        asks = made.opened.context.socket(zmq.DEALER)
        asks.connect("inproc://zeromq.zap.01")
        asked = [b"", b"1.0", b"1", b"", b"\xff", b"", b"PLAIN", b"a", b"b"]
        for frames in ([b""], [b"", b"1.0"], [b"x"], asked):
            asks.send_multipart(frames)
        made.dial(b"anna", b"one")
        assert made.opened.socket.poll(5000)
        asks.close(0)
        assert any("cannot check who may connect" in text for text in made.notices.take())
