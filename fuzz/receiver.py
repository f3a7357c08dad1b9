"""A bound ZeroMQ input and somebody who sends it anything over TCP: others' messages go on arriving."""

from __future__ import annotations

import contextlib
import functools
import itertools
import queue
import socket
from typing import Any, Literal

import zmq

from message_passing.flow import Output
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.null import NullOutput
from message_passing.testing import free_port, running

_PATIENCE = 10.0
_ANEW = 50
"""After so many inputs the well-behaved peer connects anew, as one does that comes later."""

_SENDERS: dict[Literal["SUB", "PULL"], int] = {"SUB": zmq.XPUB, "PULL": zmq.PUSH}


class _Arrived(Output):
    """Hands what arrives to the thread that waits for it."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def write_many(self, messages: list[Any]) -> None:
        """Queue a batch."""
        for message in messages:
            self.messages.put(message)


class Victim:
    """A bound input that runs, and a peer that behaves."""

    def __init__(self, socket_type: Literal["SUB", "PULL"]) -> None:
        """Start it.

        Args:
            socket_type: `SUB` or `PULL`.
        """
        self.socket_type = self._type = socket_type
        self._port = free_port()
        self._arrived = _Arrived()
        endpoint = f"tcp://127.0.0.1:{self._port}"
        self._input = ZeroMQInput(
            socket_bind=endpoint, socket_type=socket_type, output_to=self._arrived, error=NullOutput()
        )
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(running(self._input))
        self._context: zmq.Context[Any] = zmq.Context()
        self._numbers = itertools.count(1)
        self._room = 0
        self._connect()

    def _connect(self) -> None:
        self._peer = self._context.socket(_SENDERS[self._type])
        self._peer.linger = 0
        self._peer.connect(f"tcp://127.0.0.1:{self._port}")
        if self._type == "SUB":  # a publisher sends nothing before it has heard the subscription
            assert self._peer.poll(int(_PATIENCE * 1000)), "no subscription came"
            self._peer.recv()

    def survives(self, data: bytes) -> None:
        """Send it these bytes, and see that it lets go of them and that the peer's message arrives."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE) as rude:
            try:
                rude.sendall(data)
                rude.shutdown(socket.SHUT_WR)
                while rude.recv(65536):
                    pass
            except TimeoutError:
                raise
            except OSError:  # it may well hang up at once
                pass
        number = next(self._numbers)
        if not number % _ANEW:
            self._peer.close()
            self._connect()
        sent = b"the message %d of a peer that behaves" % number
        self._peer.send(sent)
        self._room += len(data)  # what it said before may only now be heard
        while self._arrived.messages.get(timeout=_PATIENCE) != sent:
            self._room -= 1
            assert self._room >= 0, "more messages than bytes"
        counted = self._input.snapshot()
        assert counted["received"] == counted["passed"]

    def close(self) -> None:
        """Stop it."""
        self._context.destroy(linger=0)
        self._stack.close()


@functools.cache
def victims() -> list[Victim]:
    """One of each kind, for all inputs of this process."""
    return [Victim(socket_type) for socket_type in _SENDERS]


def receiver(data: bytes) -> None:
    """The bytes of a connection, to a SUB and to a PULL."""
    for victim in victims():
        victim.survives(data)


_LENGTHS = (0, 1, 2, 40, 255, 256, 1000, 70_000)
_HELLO = bytes.fromhex("ff00000000000000007f03004e554c4c") + bytes(48)
_READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00"
_TYPES = {"SUB": b"\x03PUB", "PULL": b"\x04PUSH"}


def frames(data: bytes) -> None:
    """A handshake and frames, to a SUB and to a PULL: each byte is one, its flags and which length it has."""
    body = b"".join(_frame(byte & 7, bytes(_LENGTHS[byte >> 3 & 7])) for byte in data)
    for victim in victims():
        said = _TYPES[victim.socket_type]
        handshake = _frame(4, _READY[2:] + said)
        victim.survives(_HELLO + handshake + body)


def _frame(flags: int, body: bytes) -> bytes:
    """RFC 23: its flags, one byte of length or eight, and the body."""
    if flags & 2:
        return bytes([flags]) + len(body).to_bytes(8, "big") + body
    return bytes([flags]) + bytes([len(body) & 255]) + body


def close() -> None:
    """Stop those that run."""
    if victims.cache_info().currsize:
        for victim in victims():
            victim.close()
        victims.cache_clear()
