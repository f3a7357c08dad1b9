"""Sending real datagrams."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.outputs.socket_udp import SocketUDPOutput
from message_passing.testing import TestOutput, free_port


def receiver(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A bound socket."""
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    one.settimeout(5)
    return one


def sender(port: int, hostname: str = "localhost") -> SocketUDPOutput:
    """A Socket::UDP output with an error chain to look at."""
    return SocketUDPOutput(hostname=hostname, port=port, error=TestOutput())


@pytest.mark.parametrize(
    ("hostname", "family"),
    [("localhost", socket.AF_INET), ("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)],
)
def test_datagrams(hostname: str, family: socket.AddressFamily) -> None:
    """Each message is one datagram, an empty one too; `localhost` is IPv4, as in the original."""
    with receiver(family) as there, sender(there.getsockname()[1], hostname) as output:
        output.consume_many([b"one", "zwölf", b"", b"x" * 65507])
        assert [there.recv(65536) for _ in range(4)] == [b"one", "zwölf".encode(), b"", b"x" * 65507]
        assert output.snapshot()["passed"] == 4


def test_nobody_listened_before() -> None:
    """A refusal that an earlier datagram met does not cost the present one."""
    port = free_port()
    with sender(port) as output:
        output.consume_many([b"to nobody"] * 5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", port))
            there.settimeout(5)
            output.consume_many([b"one", b"two"])
            assert [there.recv(100), there.recv(100)] == [b"one", b"two"]
        assert output.error.messages == []


def test_retried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A datagram that is refused again is counted as dropped, with the reason."""
    calls: list[bytes] = []

    def refuse(_socket: socket.socket, data: bytes) -> int:
        calls.append(data)
        raise ConnectionRefusedError

    with sender(free_port()) as output:
        monkeypatch.setattr(socket.socket, "send", refuse)
        output.consume(b"one")
    assert calls == [b"one", b"one"]
    assert output.snapshot()["dropped"] == {"connection refused": 1}


@pytest.mark.parametrize("error", [BlockingIOError(), OSError(105, "No buffer space available")])
def test_full_buffer(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """When the system has no room, the message is dropped and counted; nobody waits."""

    def full(_socket: socket.socket, _data: bytes) -> int:
        raise error

    with sender(free_port()) as output:
        monkeypatch.setattr(socket.socket, "send", full)
        output.consume_many([b"one", b"two"])
    assert output.snapshot()["dropped"] == {"send buffer full": 2}
    assert output.error.messages == []


def test_too_large() -> None:
    """What no datagram can hold fails, in one report for the batch, and its neighbours are sent."""
    with receiver() as there, sender(there.getsockname()[1]) as output:
        output.consume_many([b"x" * 70_000, b"one", b"y" * 80_000])
        assert there.recv(100) == b"one"
        assert output.metrics.failed == 2
        (report,) = output.error.messages
    assert report["exception"] == "too large for one UDP datagram"
    assert report["count"] == 2


def test_not_text() -> None:
    """An object fails with a hint, and its neighbours are sent."""
    with receiver() as there, sender(there.getsockname()[1]) as output:
        output.consume_many([{"a": 1}, b"one"])
        assert there.recv(100) == b"one"
        assert output.metrics.failed == 1
        assert "encoder" in output.error.messages[0]["exception"]


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other refusal names the address, in one report for the batch."""

    def unreachable(_socket: socket.socket, _data: bytes) -> int:
        raise OSError(101, "Network is unreachable")

    port = free_port()
    with sender(port) as output:
        monkeypatch.setattr(socket.socket, "send", unreachable)
        output.consume_many([b"one", b"two"])
    (report,) = output.error.messages
    assert report["exception"] == f"cannot send to UDP localhost:{port}: Network is unreachable"
    assert output.metrics.failed == 2


def test_impossible_host() -> None:
    """What only the resolver knows to be no name of a host is an OpenError that names it."""
    with pytest.raises(OpenError, match=rf"unknown host '{'ä' * 300}'"):
        sender(5140, "ä" * 300).open()


@pytest.mark.parametrize("given", [{}, {"port": 1}, {"hostname": "x"}, {"hostname": "x", "port": 0}])
def test_required(given: Any) -> None:
    """A host and a port that can be sent to are needed."""
    with pytest.raises(OptionError):
        SocketUDPOutput(**given)


def test_close_sends_what_was_taken() -> None:
    """What was taken before the closing arrives after it."""
    with receiver() as there:
        with sender(there.getsockname()[1]) as output:
            output.consume_many([b"%d" % n for n in range(100)])
        assert [there.recv(100) for _ in range(100)] == [b"%d" % n for n in range(100)]
