"""ZMTP's greeting by hand (https://rfc.zeromq.org/spec/37/): identifying the peer before any key is shown.

No more is sent than is needed, and the connection is closed before the handshake is complete: the other side does
not count it as a peer.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_MAJOR, _MINOR = b"\x03", b"\x01"
_REST = _MINOR + b"NULL".ljust(20, b"\0") + bytes(32)
_GREETING = 64
_COMMAND, _LONG = 4, 2
_PROBE_TIMEOUT = 1.0
"""Seconds after which a silent peer is sent an HTTP request."""

_REMAINDER = 0.1
"""Seconds to read the rest of an unknown peer's text, by which a person may recognize it."""

_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Greeting:
    """A peer's greeting.

    Attributes:
        said: all bytes of it.
        version: of ZMTP, `3.1`; empty if it does not speak a known ZMTP.
        mechanism: `NULL`, `PLAIN` or `CURVE`, as it requires.
        socket_type: `SUB` and so on; known for NULL only, since the others encrypt it.
        error: why it rejects us, where it says so.
    """

    said: bytes
    version: str = ""
    mechanism: str = ""
    socket_type: str = ""
    error: str = ""

    @property
    def is_old(self) -> bool:
        """Whether it speaks ZMTP 1 or 2 (RFC 13, RFC 15): ZeroMQ before version 4."""
        return not self.version and (self.said[:1] == _SIGNATURE[:1] or self.said[:2] == b"\x01\0")

    @property
    def other(self) -> str:
        """What the program is if it is not ZeroMQ, as far as that shows."""
        if self.said.startswith(b"HTTP/"):
            return "an HTTP server answers there"
        if self.said.startswith(b"SSH-"):
            return "an SSH server answers there"
        if self.said[:2] in (b"\x15\x03", b"\x16\x03"):
            return "a TLS server answers there"
        if not self.said:
            return "the program there accepts the connection and sends nothing"
        return f"what is there sends {self.said[:40]!r}, which is not ZeroMQ 3 or later"


def probe_endpoint(endpoint: str, timeout: float) -> Greeting | None:
    """Probe an endpoint, whose name is looked up; return None if it cannot be reached.

    Args:
        endpoint: `tcp://HOST:PORT` or `ipc://PATH`.
        timeout: seconds for each step, not counting the lookup.
    """
    transport, address = split_endpoint(endpoint)
    try:
        if transport == "ipc":
            return probe(unix_name(address), socket.AF_UNIX, timeout)
        host, port = host_and_port(address)
        family = socket.AF_UNSPEC if host.startswith("[") else socket.AF_INET
        found = socket.getaddrinfo(host.strip("[]"), port, family, socket.SOCK_STREAM)
        return probe(found[0][4], found[0][0], timeout)
    except (OSError, ValueError):  # UnicodeError is a ValueError: not a valid host name
        return None


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """The transport and the address of an endpoint."""
    transport, _, address = endpoint.partition("://")
    return transport, address


def host_and_port(address: str) -> tuple[str, int]:
    """Of what `tcp://` leads to, `SOURCE;HOST:PORT`; a host of IPv6 keeps its brackets."""
    host, _, port = address.rpartition(";")[2].rpartition(":")
    return host, int(port)


def unix_name(path: str) -> str:
    """A path as the system requires it: `@name` is an abstract one (unix(7))."""
    return f"\0{path[1:]}" if path.startswith("@") else path


def probe(address: object, family: int, timeout: float) -> Greeting:
    """Connect, and read the greeting.

    Args:
        address: as for `socket.connect`.
        family: the address family.
        timeout: seconds for the whole probe.

    Raises:
        OSError: the connection failed.
    """
    with _connected(address, family, timeout) as connection:
        said = _exchange(connection, _SIGNATURE + _MAJOR, len(_SIGNATURE), min(timeout, _PROBE_TIMEOUT))
        if said[:1] == _SIGNATURE[:1]:
            said += _exchange(connection, b"", _GREETING - len(said), timeout)
        if said[:1] == _SIGNATURE[:1] and len(said) == _GREETING:
            return _understood(connection, said, timeout)
        said += _exchange(connection, b"", _GREETING, _REMAINDER) if said else b""
    if not said:
        with contextlib.suppress(OSError), _connected(address, family, timeout) as connection:
            said = _exchange(connection, b"GET / HTTP/1.0\r\n\r\n", 5, min(timeout, _PROBE_TIMEOUT))
            if said[:1] == _SIGNATURE[:1]:  # it is a slow ZeroMQ peer after all
                said = b""
    return Greeting(said)


def _understood(connection: socket.socket, said: bytes, timeout: float) -> Greeting:
    mechanism = said[12:32].rstrip(b"\0").decode("ascii", "replace")
    socket_type = error = ""
    if mechanism == "NULL":
        name, body = _command(connection, timeout)
        if name == "READY":
            socket_type = _property(body, "socket-type")
        else:
            error = body[1:].decode("ascii", "replace") if name == "ERROR" else "it disconnected"
    return Greeting(said, f"{said[10]}.{said[11]}", mechanism, socket_type, error)


def _command(connection: socket.socket, timeout: float) -> tuple[str, bytes]:
    """The name and the body of the first command; empty when there is none."""
    head = _exchange(connection, _REST, 2, timeout)
    if len(head) < 2 or not head[0] & _COMMAND:
        return "", b""
    if head[0] & _LONG:
        size = head[1:] + _exchange(connection, b"", 7, timeout)
        length = int.from_bytes(size, "big")
    else:
        length = head[1]
    body = _exchange(connection, b"", min(length, _LARGEST), timeout)
    end = 1 + body[0] if body else 0
    return body[1:end].decode("ascii", "replace"), body[end:]


def _property(metadata: bytes, wanted: str) -> str:
    """A property in READY's metadata: names with a length of one byte, values with one of four."""
    while metadata:
        end = 1 + metadata[0]
        name, size = metadata[1:end], int.from_bytes(metadata[end : end + 4], "big")
        value, metadata = metadata[end + 4 : end + 4 + size], metadata[end + 4 + size :]
        if name.decode("ascii", "replace").casefold() == wanted:
            return value.decode("ascii", "replace")
    return ""


def _connected(address: object, family: int, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)  # type: ignore[arg-type]  # whatever getaddrinfo gave
    except BaseException:
        connection.close()
        raise
    return connection


def _exchange(connection: socket.socket, said: bytes, count: int, timeout: float) -> bytes:
    """Send bytes, and read this many, or as many as arrive in time."""
    deadline = time.monotonic() + timeout
    heard = b""
    with contextlib.suppress(OSError):
        connection.sendall(said)
        while len(heard) < count and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(count - len(heard))
            if not data:
                break
            heard += data
    return heard
