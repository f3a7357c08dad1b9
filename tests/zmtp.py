"""ZeroMQ's protocol by hand (ZMTP 3, https://rfc.zeromq.org/spec/23/), for peers that ZeroMQ itself would not be."""

from __future__ import annotations

import contextlib
import socket

MORE, LONG, COMMAND = 1, 2, 4


def greeting(mechanism: bytes = b"NULL", version: bytes = b"\x03\x00") -> bytes:
    """The first 64 bytes."""
    return b"\xff" + bytes(8) + b"\x7f" + version + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body: bytes, flags: int = 0) -> bytes:
    """A message's part, or a command."""
    if len(body) > 255:
        return bytes([flags | LONG]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def ready(socket_type: bytes) -> bytes:
    """The command that ends the handshake."""
    return frame(b"\x05READY\x0bSocket-Type" + len(socket_type).to_bytes(4, "big") + socket_type, COMMAND)


def hello(socket_type: bytes = b"PUB") -> bytes:
    """All that a peer says before its first message."""
    return greeting() + ready(socket_type)


def dial(port: int, said: bytes = b"") -> socket.socket:
    """A connection to a port of this machine, and what is said first."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the other side may have heard enough
        connection.sendall(said)
    return connection


def meet(port: int, said: bytes = b"", socket_type: bytes = b"PUB") -> socket.socket:
    """A connection after the handshake, which takes both sides, and what is said then."""
    connection = dial(port, hello(socket_type))
    _read(connection, 64)
    _, length = _read(connection, 2)
    _read(connection, length)  # its READY
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(said)
    return connection


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = connection.recv(count - len(found))
        assert data, "the other side has gone"
        found += data
    return found
