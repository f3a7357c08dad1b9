"""Receiving real datagrams."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from message_passing import Output
from message_passing.errors import OpenError, OptionError
from message_passing.flow import Filter
from message_passing.inputs import socket_udp
from message_passing.inputs._reading import READ_BATCH
from message_passing.inputs.socket_udp import SocketUDPInput
from message_passing.testing import TestOutput, capture, running, wait_for


def send(address: tuple[str, int], *messages: bytes) -> None:
    """Send datagrams to an address."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for message in messages:
            sender.sendto(message, address)


@pytest.mark.parametrize("hostname", ["127.0.0.1", "::1", "localhost"])
def test_datagrams(hostname: str) -> None:
    """Each datagram is one message, an empty one and the largest too, on IPv4 and IPv6."""
    component = SocketUDPInput(hostname=hostname, port=0)
    arrived = capture(component)
    sent = [b"one", b"", b"0", b"x" * 65507, b"line\n"]
    with running(component):
        assert component.address[1] > 0
        send(component.address, *sent)
        wait_for(lambda: arrived.message_count == len(sent))
    assert arrived.messages == sent


def test_localhost_is_ipv4() -> None:
    """`localhost` means 127.0.0.1, where the original's output sends."""
    with SocketUDPInput(port=0) as component:
        assert component.address[0] == "127.0.0.1"


def test_arrived_before_the_stop() -> None:
    """What the system held when the input was stopped is emitted, as is what arrived before it ran."""
    component = SocketUDPInput(port=0)
    arrived = capture(component)
    with component:
        send(component.address, b"early", b"late")
        component.stopped()
    assert arrived.messages == [b"early", b"late"]


class Emptying(Filter):
    """Takes messages off the batch that it is given, which it should not."""

    def write_many(self, messages: list[bytes]) -> None:
        """Pass them on."""
        taken = [*messages]
        messages.clear()
        self.emit(taken)


def test_a_filter_that_empties_its_batch_keeps_none_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether more has arrived is known from what was read, not from what a filter has left of it."""
    monkeypatch.setattr(socket_udp, "READ_BATCH", 10)
    arrived = TestOutput()
    component = SocketUDPInput(port=0, output_to=Emptying(output_to=arrived))
    with component:
        send(component.address, *[b"x"] * 35)
        component.stopped()
    assert arrived.message_count == 35


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_kernel_drops_are_counted() -> None:
    """Of more datagrams than the system keeps, those thrown away are counted: none is missing in the sum."""
    component = SocketUDPInput(port=0, receive_buffer=4096)
    arrived = capture(component)
    with component:
        send(component.address, *[b"x" * 1000] * 500)
        component.stopped()
        counted = component.snapshot()
    lost = counted["dropped"]["receive buffer full"]
    assert lost > 0
    assert arrived.message_count + lost == 500
    assert counted["received"] == counted["passed"] + lost == 500


def room_for_thousands(component: SocketUDPInput) -> bool:
    """Whether the system lets the test have a large buffer."""
    return component._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 8_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("batches", [0, 1, 3, 100])
def test_what_is_left_unread_is_counted(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more datagrams than are read at the end, the rest is lost by name."""
    monkeypatch.setattr(socket_udp, "_LAST_BATCHES", batches)
    component = SocketUDPInput(port=0, receive_buffer=8_000_000, error=TestOutput())
    arrived = capture(component)
    with component:
        if not room_for_thousands(component):
            pytest.skip("the system allows no such buffer")
        send(component.address, *[b"x"] * 2500)
        component.stopped()
    counted = component.snapshot()
    left = max(0, 2500 - batches * READ_BATCH)
    assert counted["dropped"] == ({"unread at close": left} if left else {})
    assert arrived.message_count == counted["passed"] == 2500 - left
    assert counted["received"] == 2500


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("receive_buffer", [0, 4096, 8_000_000])
@pytest.mark.parametrize("stops", [True, False])
def test_a_flood_that_ends_with_the_input(
    receive_buffer: int, *, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, while and after it is stopped: every datagram that was sent is counted, also if it is only closed."""
    monkeypatch.setattr(socket_udp, "_LAST_BATCHES", 2)
    component = SocketUDPInput(port=0, receive_buffer=receive_buffer, error=TestOutput())
    arrived = capture(component)
    sent, enough = [0], threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(component.address)
            while not enough.is_set():
                for _ in range(100):
                    sender.send(b"x" * 100)
                sent[0] += 100

    component.open()
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_for(lambda: sent[0] > 3000)
        component.emit(component._receive())
        if stops:
            component.stopped()
        before = sent[0]
        wait_for(lambda: sent[0] > before + 1000)
    finally:
        enough.set()
        thread.join()
    component.close()
    counted = component.snapshot()
    assert counted["received"] == sent[0]
    assert counted["received"] == arrived.message_count + sum(counted["dropped"].values())
    assert counted["dropped"].get("closed", 0) > 0 or not stops


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_flood_that_ends_in_sigterm(tmp_path: Path) -> None:
    """The command: what it wrote and what it says it lost are what was sent while it ran."""
    with SocketUDPInput(hostname="127.0.0.1", port=0) as one:
        port = one.address[1]
    written = tmp_path / "written"
    options = [
        "--input_options",
        json.dumps({"hostname": "127.0.0.1", "port": port, "receive_buffer": 100_000}),
    ]
    command = [
        sys.executable,
        "-m",
        "message_passing",
        "--input",
        "Socket::UDP",
        *options,
        "--decoder",
        "Null",
    ]
    command += ["--output", "File", "--output_options", f"filename={written}"]
    count = 20_000
    with subprocess.Popen(command, stderr=subprocess.PIPE) as node:
        try:
            wait_for(lambda: bound(port), 20)
            node.send_signal(signal.SIGSTOP)
            send(("127.0.0.1", port), *[b"x" * 50] * (count // 2))
            node.send_signal(signal.SIGTERM)
            node.send_signal(signal.SIGCONT)
            send(("127.0.0.1", port), *[b"x" * 50] * 10)
            _, told = node.communicate(timeout=20)
        finally:
            node.kill()
    lost = re.search(r"input \(Socket::UDP\) lost (\d+) messages", told.decode())
    assert lost, told
    some = written.read_bytes().count(b"\n") + int(lost[1])
    assert count // 2 <= some <= count // 2 + 10  # of the last ones some may come to a port that is closed


def bound(port: int) -> bool:
    """Whether somebody has this UDP port of this machine."""
    shown = f"0100007F:{port:04X}"
    return any(line.split()[1] == shown for line in Path("/proc/net/udp").read_text().splitlines()[1:])


def test_batches_are_bounded_and_back_pressure_waits() -> None:
    """One wake takes at most a batch, and no more is read until downstream has room."""

    class Gate(Output):
        def on_init(self) -> None:
            self.sizes: list[int] = []
            self.open_gate, self.second = asyncio.Event(), asyncio.Event()

        def write_many(self, messages: list[Any]) -> None:
            self.sizes.append(len(messages))
            if len(self.sizes) == 2:
                self.second.set()

        async def drain(self) -> None:
            await self.open_gate.wait()

    async def flood() -> list[int]:
        gate = Gate()
        component = SocketUDPInput(port=0, receive_buffer=4_000_000, output_to=gate)
        with component:
            send(component.address, *[b"x"] * (READ_BATCH + 200))
            task = asyncio.create_task(component.run())
            await asyncio.wait([task], timeout=0.05)  # it stands at the gate
            at_the_gate = list(gate.sizes)
            gate.open_gate.set()
            await gate.second.wait()
            task.cancel()
            await asyncio.wait([task])
        assert at_the_gate == gate.sizes[:1]
        return gate.sizes

    sizes = asyncio.run(flood())
    assert sizes[0] <= READ_BATCH
    assert sum(sizes) <= READ_BATCH + 200


def test_address_in_use() -> None:
    """A port that somebody has is an OpenError that names it, on whatever address the host has."""
    with SocketUDPInput(port=0) as first:
        port = first.address[1]
        with pytest.raises(OpenError, match=rf"cannot bind to UDP localhost:{port}: Address already in use"):
            SocketUDPInput(port=port).open()


def test_foreign_address() -> None:
    """An address that is not this machine's may come: it is named, and tried again."""
    one, reported = SocketUDPInput(hostname="192.0.2.1", port=5140), []
    one.report = lambda error, *_, **__: reported.append(str(error))  # type: ignore[method-assign]
    with one:
        assert "UDP 192.0.2.1:5140: this machine has no such address yet" in reported[0]


def test_impossible_host() -> None:
    """What only the resolver knows to be no name of a host is an OpenError that names it."""
    with pytest.raises(OpenError, match=f"unknown host '{'ä' * 300}'"):
        SocketUDPInput(hostname="ä" * 300, port=0).open()


def test_ipv6_address_is_shown_in_brackets() -> None:
    """An IPv6 address and a port are told apart in messages."""
    with SocketUDPInput(hostname="::1", port=0) as first:
        port = first.address[1]
        with pytest.raises(OpenError, match=rf"\[::1\]:{port}"):
            SocketUDPInput(hostname="::1", port=port).open()


def test_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    """A low port without the right to it says what is needed."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OpenError, match=r"localhost:514: Permission denied \(ports below 1024 need root"):
        SocketUDPInput(port=514).open()


def test_too_small_a_buffer_is_reported() -> None:
    """A receive buffer that the system will not give is said, not silently smaller."""
    errors = TestOutput()
    component = SocketUDPInput(port=0, receive_buffer=2**30, error=errors)
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)  # root would be given it
    try:
        component.open()
    finally:
        os.seteuid(user)
    component.close()
    (report,) = errors.messages
    assert re.search(r"receive_buffer is \d+ bytes, not 1073741824: net.core.rmem_max", report["exception"])


@pytest.mark.parametrize("port", [-1, 65536, "x"])
def test_port_is_checked(port: Any) -> None:
    """A port that no port can be is refused."""
    with pytest.raises(OptionError, match="'port' must be int"):
        SocketUDPInput(port=port)
