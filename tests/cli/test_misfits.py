"""Ends that never fit, as somebody meets them who starts two programs and waits a few seconds: each says why."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.testing import free_port, wait_for
from nodes import PERL, node, part, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodes import Node


class Heard:
    """What a process writes to standard error, while it runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stderr or ():
            self.lines.append(line.decode())

    def wait_for(self, *texts: str, seconds: float = 20) -> str:
        """A line with all of these; the time has room for a busy machine: it is said after three seconds."""

        def found() -> str:
            return next((line for line in self.lines if all(text in line for text in texts)), "")

        try:
            return wait_for(found, timeout=seconds)
        except TimeoutError:
            raise AssertionError(f"{texts} is not among {self.lines}") from None

    def end(self) -> None:
        """End the process, and the reading."""
        self._process.kill()
        self._thread.join()


@pytest.fixture
def started() -> Iterator[Any]:
    """Starts a node, and hears what it says."""
    with ExitStack() as stack:

        def start(*words: str, **more: Any) -> tuple[Node, Heard]:
            one = stack.enter_context(node(*words, **more))
            heard = Heard(one.process)
            stack.callback(heard.end)
            return one, heard

        yield start


def sends(**options: Any) -> list[str]:
    """A chain that sends what it is typed."""
    return [*part("input", "STDIN"), *part("output", "ZeroMQ", **options)]


def receives(**options: Any) -> list[str]:
    """A chain that receives and does nothing with it."""
    return [*part("input", "ZeroMQ", **options), *part("output", "Null")]


PAIRS = {
    # who connects, who is bound, and what the first one is told
    "PUB to PULL": (
        "PUB",
        "PULL",
        "its socket is a PULL, but a PUB sends to a SUB: set socket_type PUSH here, or SUB",
    ),
    "PUSH to SUB": (
        "PUSH",
        "SUB",
        "its socket is a SUB, but a PUSH sends to a PULL: set socket_type PUB here, or PULL",
    ),
    "PULL from PUB": (
        "PULL",
        "PUB",
        "its socket is a PUB, but a PULL receives from a PUSH: set socket_type SUB here",
    ),
    "SUB from PUSH": (
        "SUB",
        "PUSH",
        "its socket is a PUSH, but a SUB receives from a PUB: set socket_type PULL here",
    ),
    "two senders": (
        "PUB",
        "PUSH",
        "but a PUB sends to a SUB: it sends as well: give the endpoint of a receiver",
    ),
    "two receivers": (
        "SUB",
        "PULL",
        "but a SUB receives from a PUB: it receives as well: give the endpoint of a sender",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_socket_types_that_do_not_go_together(name: str, started: Any) -> None:
    """Who connects is told what the other end is and what to change; who is bound, that somebody does not fit."""
    ours, theirs, told = PAIRS[name]
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    bound = (sends if theirs in ("PUB", "PUSH") else receives)(socket_bind=endpoint, socket_type=theirs)
    connecting = (sends if ours in ("PUB", "PUSH") else receives)(connect=endpoint, socket_type=ours)
    _, there = started(*bound)
    wait_for_port(port)
    _, here = started(*connecting)
    here.wait_for(f"{endpoint}: ", told)
    there.wait_for(f"{endpoint}: ", " connected, ")  # and hung up, or is not of the type: who closes first
    if ours in ("PUB", "PUSH"):
        doctor = finished("doctor", endpoint, "--timeout", "1", "--socket-type", ours)
        assert doctor.status == 1
        assert f"FAILED  socket type   it is a {theirs}, " in doctor.out.decode()


def test_both_connect_and_then_one_binds(started: Any) -> None:
    """Nobody listens, which both say, with what to do; once that is done, that they are connected."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    _, sender = started(*sends(connect=endpoint))
    _, receiver = started(*receives(connect=endpoint))
    sender.wait_for("nobody listens there: start the receiver", "(socket_bind): one side must")
    receiver.wait_for("nobody listens there: start the sender", "(socket_bind): one side must")
    started(*receives(socket_bind=endpoint))
    sender.wait_for(f"output (ZeroMQ): connected to {endpoint}")
    assert len(sender.lines) == 2


def test_both_bind(started: Any) -> None:
    """Each says, once, that nobody has connected, and what would fit."""
    _, sender = started(*sends(socket_bind="tcp://127.0.0.1:0"))
    _, receiver = started(*receives(socket_bind="tcp://127.0.0.1:0"))
    sender.wait_for("no receiver has connected yet: it must connect to this port, and a PUB sends to a SUB")
    line = receiver.wait_for(
        "no sender has connected yet: it must connect to this port, and a SUB receives from"
    )
    assert ":0: " not in line  # but the port that it became


def test_a_prefix_that_nobody_sends(started: Any) -> None:
    """The sender says what is subscribed to, and the receiver what it waits for."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    _, receiver = started(*receives(socket_bind=endpoint, subscribe=["web"]))
    wait_for_port(port)
    one, sender = started(*sends(connect=endpoint))
    one.write(b'{"a":1}\n')
    sender.wait_for("have subscribed only to what begins with 'web', and no message does")
    receiver.wait_for("connected, and no message has come yet that begins with 'web' (option subscribe)")
    one.write(b'"web"\n')
    assert not any("first message" in line for line in receiver.lines)


def test_a_name_that_does_not_resolve_and_a_sender_that_is_silent(started: Any) -> None:
    """The one is said again once it stands; the other is a note, which ends with the first message."""
    _, lost = started(*sends(connect="tcp://no-such-host.invalid:5558"))
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    _, receiver = started(*receives(socket_bind=endpoint))
    wait_for_port(port)
    one, _ = started(*sends(connect=endpoint))
    lost.wait_for(
        "output (ZeroMQ): tcp://no-such-host.invalid:5558: the host name cannot be resolved: check its"
    )
    receiver.wait_for("connected, and no message has come yet")
    one.write(b"{}\n")
    receiver.wait_for("input (ZeroMQ): received the first message")
    assert sum("no message has come" in line for line in receiver.lines) == 1


class Silent(http.server.BaseHTTPRequestHandler):
    """Any HTTP server."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_another_program_uses_the_port(started: Any) -> None:
    """An HTTP server is called one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who asks hangs up before the answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        _, receiver = started(*receives(connect=f"tcp://127.0.0.1:{server.server_address[1]}"))
        receiver.wait_for("an HTTP server answers there: another program uses this port")
        receiver.end()
        server.shutdown()
        thread.join()


def test_a_node_of_the_originals_of_the_wrong_type(started: Any) -> None:
    """A Perl PULL behind our PUB: it says nothing, and ours does."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    started(*receives(socket_bind=endpoint, socket_type="PULL"), command=PERL)
    wait_for_port(port)
    _, sender = started(*sends(connect=endpoint))
    sender.wait_for("its socket is a PULL, but a PUB sends to a SUB: set socket_type PUSH here, or SUB there")


@pytest.mark.parametrize(("ours", "theirs"), [("PUB", "PULL"), ("PUSH", "SUB")])
def test_the_log_handler_says_it_too(ours: str, theirs: str, started: Any) -> None:
    """An application's three lines, and a receiver of the other kind."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    started(*receives(socket_bind=endpoint, socket_type=theirs))
    wait_for_port(port)
    program = (
        "import logging, sys; from message_passing.logging import ZeroMQHandler;"
        "logging.getLogger().addHandler(ZeroMQHandler(sys.argv[1], socket_type=sys.argv[2]));"
        "logging.error('x'); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, endpoint, ours], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    heard = Heard(process)
    try:
        heard.wait_for(
            f"not delivered: {endpoint}: its socket is a {theirs}, but a {ours} sends to ", "(1 wait; "
        )
    finally:
        heard.end()
        process.communicate()


def test_a_program_that_ends_at_once_says_why_it_lost_something(started: Any) -> None:
    """Not only how many, but what stood in the way."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    started(*receives(socket_bind=endpoint, socket_type="PULL"))
    wait_for_port(port)
    with node(*sends(connect=endpoint)) as one:
        one.write(b"{}\n{}\n")
        _, _, err = one.end()
    assert b"output (ZeroMQ) lost 2 messages: 2 unsent at close" in err
    assert b"not sent: " + endpoint.encode() + b": its socket is a PULL, but a PUB sends to a SUB" in err


def test_what_is_well_is_not_reported(started: Any) -> None:
    """A pair that fits, with a message, says nothing for as long as problems take to be said."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    _, receiver = started(*receives(socket_bind=endpoint))
    wait_for_port(port)
    one, sender = started(*sends(connect=endpoint))
    one.write(b"{}\n")
    _, other = started(*sends(connect=f"tcp://127.0.0.1:{free_port()}"))  # it tells when the time is over
    other.wait_for("nobody listens there")
    assert (receiver.lines, sender.lines) == ([], [])
