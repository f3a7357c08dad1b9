"""One connection by its file descriptor, which is libzmq's: its peer, and safe ways to use it.

It may be closed, and its number reused for another file, at any moment; the inode shows whether it is the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PEER = struct.Struct("=iII")  # struct ucred of unix(7)

INTERNET = (socket.AF_INET, socket.AF_INET6)
"""The families of TCP connections."""

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""The errors that mean that no descriptor is free."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection.

    Attributes:
        descriptor: libzmq's file descriptor. Only to be used after checking with `Connections`.
        inode: the system's number for the connection, unique while it lives.
        accepted: whether the peer connected to us.
        address: the peer's IP address in its shortest form, an IPv4 address as such; empty for ipc.
        port: the local TCP port; 0 for ipc.
        peer_port: the peer's TCP port; 0 for ipc.
        path: the path of the listening end; empty for TCP. An abstract name begins with `@`.
        credentials: user, group and process id of an ipc peer, `0:0:4711` (SO_PEERCRED, unix(7)); empty for TCP.
    """

    descriptor: int
    inode: int
    accepted: bool
    address: str
    port: int
    peer_port: int
    path: str = ""
    credentials: str = ""

    @property
    def peer(self) -> str:
        """The peer, for display: an address and a port, or a process."""
        if self.address:
            return (
                f"[{self.address}]:{self.peer_port}"
                if ":" in self.address
                else f"{self.address}:{self.peer_port}"
            )
        return f"process {self.credentials.rpartition(':')[2]}" if self.credentials else ""


def plain_address(text: str) -> str:
    """An IP address in its shortest form: without brackets and zone, an IPv4 address within IPv6 as IPv4.

    Any other text is returned unchanged.
    """
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return text
    return str((found.version == 6 and found.ipv4_mapped) or found)


def describe_connection(descriptor: int, *, accepted: bool) -> Connection:
    """The system's data about a connection.

    Raises:
        OSError: it is not a connection, or has ended.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
    inode = found.st_ino
    with _borrowed(descriptor) as one:
        if one.type != socket.SOCK_STREAM:
            raise OSError(errno.EPROTOTYPE, os.strerror(errno.EPROTOTYPE))
        peer = one.getpeername()  # fails for a listening one
        if one.family not in INTERNET:
            path = _path(one.getsockname()) or _path(peer) if one.family == socket.AF_UNIX else ""
            return Connection(descriptor, inode, accepted, "", 0, 0, path, _credentials(one))
        return Connection(descriptor, inode, accepted, plain_address(peer[0]), one.getsockname()[1], peer[1])


def _path(name: str | bytes) -> str:
    """The name of a unix socket; empty when it has none."""
    return os.fsdecode(name.replace(b"\0", b"@", 1) if isinstance(name, bytes) else name)


def _credentials(one: socket.socket) -> str:
    """The credentials as libzmq writes them in ZAP requests; empty where the system has none."""
    option: int | None = getattr(socket, "SO_PEERCRED", None)
    if option is None or one.family != socket.AF_UNIX:
        return ""
    process, user, group = _PEER.unpack(one.getsockopt(socket.SOL_SOCKET, option, _PEER.size))
    return f"{user}:{group}:{process}"


def end(connection: Connection, how: int = socket.SHUT_RDWR) -> bool:
    """End a connection for libzmq as if the peer had disconnected; return False if it had already ended.

    Args:
        connection: which.
        how: as for shutdown(2). With `SHUT_WR` the peer sees the end, and what it has sent still arrives.
    """
    try:
        with lent(connection) as one:
            one.shutdown(how)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def lent(connection: Connection) -> Iterator[socket.socket]:
    """The connection's socket, to query or to end it.

    Raises:
        OSError: it has ended.
    """
    with _borrowed(connection.descriptor) as one:
        if os.fstat(one.fileno()).st_ino != connection.inode:
            raise OSError(errno.EBADF, "the connection has ended")
        yield one


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A socket object on a copy of the descriptor, so that it stays valid if libzmq closes its own.

    Where no descriptor is free for a copy (many connections are one way to cause that, so the bounds must hold
    then too), it uses the descriptor itself, which is not closed.
    """
    try:
        descriptor, ours = os.dup(descriptor), True
    except OSError as error:
        if error.errno not in OUT_OF_DESCRIPTORS:
            raise
        ours = False
    try:
        one = socket.socket(fileno=descriptor)
    except OSError:
        if ours:
            os.close(descriptor)
        raise
    try:
        yield one
    finally:
        if ours:
            one.close()
        else:
            one.detach()
