"""A receiver that is restarted in order while it is loaded: what had reached it is not lost."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import zmq

from faulty import PATIENCE, soon
from message_passing.testing import free_port
from nodes import lines, node, part

if TYPE_CHECKING:
    from pathlib import Path

RATE = 100
"""Messages at a time, a few hundred times a second: not more than a receiver on a busy machine takes."""

PAUSED = re.compile(rb": paused its senders .* \(this loses nothing\)$")
"""What a receiver adds at its end that was slower than they are."""


class Senders:
    """Two that never stop, each in a thread."""

    def __init__(self, kind: str, address: str) -> None:
        self._kind, self._address = kind, address
        self._over = threading.Event()
        self.sent = [0, 0]
        self._threads = [threading.Thread(target=self._send, args=(name,)) for name in (0, 1)]
        for thread in self._threads:
            thread.start()

    def _send(self, name: int) -> None:
        with zmq.Context() as context, context.socket(zmq.PUSH if self._kind == "PUSH" else zmq.XPUB) as one:
            one.linger = 20_000
            one.sndhwm = 0
            if self._kind == "PUB":
                one.setsockopt(zmq.XPUB_VERBOSE, 1)
            one.connect(self._address)
            if self._kind == "PUB":
                one.recv()
            while not self._over.wait(0.002):
                for _ in range(RATE):
                    one.send(b"%d %d %s" % (name, self.sent[name], b"x" * 200))
                    self.sent[name] += 1
            one.send(b"%d the last" % name)

    def stop(self) -> None:
        """They send a last message each."""
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.timeout(600)  # a slow receiver gets to the end of what is sent before
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize(("sends", "receives"), [("PUSH", "PULL"), ("PUB", "SUB")])
def test_three_orderly_restarts_under_load(sends: str, receives: str, transport: str, tmp_path: Path) -> None:
    """The senders lose nothing by them, or at most a message each time: one that libzmq had begun to send."""
    address = f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else f"ipc://{tmp_path}/socket"
    # Over ipc, ZeroMQ loses what the system has of a peer that ends while the receiver's queue is full.
    hwm = 10_000 if transport == "tcp" else 10_000_000
    arrived = [tmp_path / name for name in "abcd"]
    senders: Senders | None = None
    try:
        for path in arrived:
            words = [
                *part(
                    "input",
                    "ZeroMQ",
                    socket_bind=address,
                    socket_type=receives,
                    linger=20_000,
                    socket_hwm=hwm,
                ),
                *("--decoder", "Null", "--encoder", "Null"),
                *part("output", "File", filename=str(path)),
            ]
            with node(*words) as receiver:
                senders = senders or Senders(sends, address)
                soon(partial(both_are_heard, path))
                if path == arrived[-1]:
                    senders.stop()
                    soon(lambda: arrived[-1].read_bytes().count(b" the last\n") == 2)
                status, _, told = receiver.stop(2 * PATIENCE)
                told = b"".join(line for line in told.splitlines(keepends=True) if not PAUSED.search(line))
                assert (status, told) == (0, b"")
    finally:
        if senders:
            senders.stop()
    assert senders
    numbers: tuple[list[int], list[int]] = ([], [])
    for line in [line for path in arrived for line in lines(path)]:
        name, number, _ = line.split(b" ", 2)
        if number != b"the":
            numbers[int(name)].append(int(number))
    for found, sent in zip(numbers, senders.sent, strict=True):
        assert len(set(found)) == len(found)
        assert sent - len(found) <= len(arrived) - 1


def both_are_heard(path: Path) -> bool:
    """Whether a good many messages of each sender are in a file."""
    names = [line[:1] for line in lines(path)]
    return all(names.count(name) > 20 * RATE for name in (b"0", b"1"))
