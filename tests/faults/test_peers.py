"""Peers that are too many, too restless, silent, half gone, or that speak something else; one good one among them."""

from __future__ import annotations

import json
import random
import resource
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from books import Life, Sent, balanced
from faulty import FAULT_SECONDS, ended, failures, local, receiving, resident, sending, soon, told_lost
from logs import open_files
from message_passing.testing import free_port
from nodes import part, wait_for_port
from zmtp import COMMAND, LONG, MORE, dial, frame, greeting, hello, meet, ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CROWD = 2000

_noise = random.Random(1)  # noqa: S311 - the same in every run

GARBAGE = {
    "nothing": b"",
    "HTTP": b"GET / HTTP/1.1\r\nHost: logs.example\r\nAccept: */*\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + _noise.randbytes(500),
    "noise": _noise.randbytes(100_000),
    "zeros": bytes(100_000),
    "half a greeting": greeting()[:20],
    "a greeting and no more": greeting(),
    "an older protocol": greeting(version=b"\x01\x00"),
    "a later protocol": greeting(version=b"\x09\x09") + ready(b"PUB"),
    "the oldest protocol": b"\x01\x00" + frame(b"{}"),
    "an unknown mechanism": greeting(b"BOGUS") + ready(b"PUB"),
    "a mechanism that was not asked for": greeting(b"CURVE") + _noise.randbytes(500),
    "a message before its time": greeting() + frame(b"{}"),
    "a READY whose lengths lie": greeting() + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xffPUB", COMMAND),
    "a READY of a wrong socket": greeting() + ready(b"REQ"),
    "a READY of no socket": greeting() + ready(b"\0" * 300),
    "an ERROR whose length lies": greeting() + frame(b"\x05ERROR\xffno", COMMAND),
}
"""What is said on the port instead of a handshake."""

MALICE = {
    "a command that nobody knows": frame(b"\x05BOGUS" + bytes(200), COMMAND) * 100,
    "a PING whose length lies": frame(b"\x04PING", COMMAND),
    "a message of 2^62 bytes": bytes([LONG]) + (1 << 62).to_bytes(8, "big") + bytes(1000),
    "a message of 2^64 bytes": bytes([LONG]) + b"\xff" * 8 + bytes(1000),
    "a message of 16 GiB, begun": bytes([LONG]) + (1 << 34).to_bytes(8, "big") + bytes(1000),
    "flags that are reserved": b"\xf8\x05hello",
    "a message cut off": frame(b"{" + b" " * 1000)[:500],
    "parts without a last one": frame(b"{}", MORE) * 1000,
}
"""What is said after one."""


def reset(connection: socket.socket) -> None:
    """Close it as a process does that crashes with data unread: with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_garbage_on_the_port(tmp_path: Path) -> None:
    """Whatever is said there, the good sender's messages arrive, and nothing of it stays when it has gone."""
    port, life, errors = free_port(), Life(tmp_path / "arrived"), tmp_path / "errors"
    words = part("error", "File", filename=str(errors))
    with (
        receiving(life, *words, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
        ExitStack() as stack,
    ):
        sender.flow()
        soon(lambda: life.total() > 300)
        process_id = receiver.process.pid
        files, memory = open_files(process_id), resident(process_id)
        for way, saying in ((dial, GARBAGE), (meet, MALICE)):
            for said in saying.values():
                stack.enter_context(way(port, said))  # this one stays
                way(port, said).close()
                reset(way(port, said))
        before = life.total()
        soon(lambda: life.total() > before + 300)
        assert resident(process_id) < memory + 30
        stack.pop_all().close()
        soon(lambda: open_files(process_id) == files)
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        told = ended(receiver)
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()
    # ZeroMQ takes what does not begin as its protocol does for its first version, where all are messages.
    assert told_lost(told, "decoder") == failures(errors, "decoder")
    assert len([line for line in told if "requires CURVE or PLAIN" not in line]) <= 1


def test_garbage_inside_good_messages(tmp_path: Path) -> None:
    """What is no JSON is counted and reported, message by message; the sender's own books do not notice."""
    port, life = free_port(), Life(tmp_path / "arrived")
    contents = [b"", b"{", b"\xff\xfe", b"[" * 10_000, b'{"a":NaN}', _noise.randbytes(1000), b"\0"]
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
    ):
        sender.send(100)
        wait_for_port(port)
        with meet(port, b"".join(map(frame, contents)) + frame(b'{"last":1}')):
            soon(lambda: life.read().strangers)
        sender.send(100)
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        told = ended(receiver)
    assert told_lost(told, "decoder") == len(contents)
    assert sum(json.loads(line).get("count", 1) for line in told[:-1]) == len(contents)
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


def test_silent_and_half_open_peers(tmp_path: Path) -> None:
    """Hundreds that say nothing, no more, or nothing any more hold up neither the good sender nor the end."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
        ExitStack() as stack,
    ):
        sender.flow()
        soon(lambda: life.total() > 300)
        for _ in range(100):
            stack.enter_context(dial(port))
            stack.enter_context(meet(port))
            stack.enter_context(meet(port, frame(b"{}")[:2]))
            stack.enter_context(meet(port)).shutdown(socket.SHUT_WR)
            stack.enter_context(meet(port)).shutdown(socket.SHUT_RD)
        before = life.total()
        soon(lambda: life.total() > before + 300)
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        status, _, err = receiver.stop(timeout=10)
        assert (status, err) == (0, b"")
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


def test_a_subscriber_that_does_not_read(tmp_path: Path) -> None:
    """A sender that binds has it miss what finds no room, and the other one gets everything, whoever looked in."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with sending(
        tmp_path / "journal", text=4000, socket_bind=local(port), socket_hwm=2000, linger=2000
    ) as sender:
        sender.send(1)
        wait_for_port(port)
        for said in GARBAGE.values():  # none of them is one of several subscribers
            reset(dial(port, said))
        with receiving(life, connect=local(port), socket_hwm=0) as receiver:
            soon(lambda: poke(sender, life))
            with meet(port, frame(b"\x01"), b"SUB"):
                sender.flow()
                soon(lambda: sender.now().possibly.get("slow subscriber"))
                before = life.total()
                soon(lambda: life.total() > before + 500)
                sent = sender.end()
            soon(lambda: life.has(sent.name, sent.stamped))
            told = ended(receiver)
    (account,) = balanced([sent], [life]).values()
    assert not told
    # What came before went to nobody, or to garbage that asked for everything, as ZeroMQ's first version does.
    assert max(account.missing, default=0) < min(account.arrived)
    assert sent.closing < 5


def poke(sender: Any, life: Life) -> bool:
    """Send one message; whether one has arrived by now."""
    sender.send(1)
    return life.total() > 0


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """As many descriptors as that for this process and those that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, before[0]), max(count, before[1])))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_two_thousand_connections_at_once(tmp_path: Path) -> None:
    """Each of them is a sender; all their messages arrive, and Follow keeps the books of all."""
    port, life, each = free_port(), Life(tmp_path / "arrived"), 5
    names = [f"crowd-{number}" for number in range(CROWD)]
    with (
        many_files(3 * CROWD),
        receiving(life, socket_bind=local(port)) as receiver,
        ExitStack() as stack,
    ):
        wait_for_port(port)
        crowd = {name: stack.enter_context(meet(port)) for name in names}
        for number in range(1, each + 1):
            for name, connection in crowd.items():
                connection.sendall(frame(json.dumps({"sender": name, "sequence": number}).encode()))
        soon(lambda: life.total() == CROWD * each)
        assert open_files(receiver.process.pid) > CROWD
        assert ended(receiver) == []
    sent = [Sent(name, stamped=each, highest=each, passed=each, dropped={}) for name in names]
    assert not any(account.missing for account in balanced(sent, [life]).values())
    assert life.books
    assert life.books["senders"] == CROWD


def test_a_storm_of_connections(tmp_path: Path) -> None:
    """Thousands come and go at once, politely and not; the good sender's messages arrive, and nothing stays."""
    port, life, over = free_port(), Life(tmp_path / "arrived"), threading.Event()
    counts: list[int] = []

    def storm() -> None:
        words, count = [b"", greeting()[:40], greeting(), hello()], 0
        while not over.is_set():
            connection = dial(port, words[count % len(words)])
            reset(connection) if count % 3 else connection.close()
            count += 1
        counts.append(count)

    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 300)
        files, memory = open_files(receiver.process.pid), resident(receiver.process.pid)
        threads = [threading.Thread(target=storm) for _ in range(2)]
        for thread in threads:
            thread.start()
        over.wait(FAULT_SECONDS)
        over.set()
        for thread in threads:
            thread.join()
        before = life.total()
        soon(lambda: life.total() > before + 300)
        soon(lambda: open_files(receiver.process.pid) == files)
        assert resident(receiver.process.pid) < memory + 30
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        assert ended(receiver) == []
    assert sum(counts) > 200  # of some hundreds a second, where nothing else runs
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()
