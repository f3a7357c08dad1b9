"""Listening on an address that the machine does not have yet: at boot, or while another machine has it.

Linux accepts connections to such an address once it appears (IP_FREEBIND in ip(7), IPV6_FREEBIND of linux/in6.h).
libzmq does not request that, but accepts a socket that is already listening (ZMQ_USE_FD in zmq_setsockopt(3)).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.zeromq.endpoints import tcp_address

if TYPE_CHECKING:
    from collections.abc import Iterable

_FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}
"""Level and number of the option, for which Python has no names."""


def bind_early(opened: zmq.Socket[Any], endpoint: str) -> bool:
    """Bind a socket to an address that the machine does not have, after libzmq failed to.

    Returns:
        Whether that was possible: over TCP, on Linux, and not for the name of a network interface.

    Raises:
        OSError: the system refuses it for another reason.
        zmq.ZMQError: libzmq does.
    """
    if sys.platform != "linux" or not (found := _address(endpoint)):
        return False
    family, address = found
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setblocking(False)
        one.setsockopt(*_FREEBIND[family], 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if (size := int(opened.getsockopt(zmq.RCVBUF))) > 0:  # accepted connections inherit it
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        one.bind(address)
        one.listen(int(opened.getsockopt(zmq.BACKLOG)))
        opened.setsockopt(zmq.USE_FD, one.detach())  # libzmq closes it from here on
    try:
        opened.bind(endpoint)
    finally:
        opened.setsockopt(zmq.USE_FD, -1)
    return True


def absent(endpoints: Iterable[str]) -> list[str]:
    """Those of the bound endpoints whose address the machine does not have now."""
    return [endpoint for endpoint in endpoints if _is_absent(endpoint)]


def _is_absent(endpoint: str) -> bool:
    if not (found := _address(endpoint)):
        return False
    family, address = found
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as one:
        try:
            one.bind((address[0], 0, *address[2:]))
        except OSError as error:
            return error.errno == errno.EADDRNOTAVAIL
    return False


def _address(endpoint: str) -> tuple[socket.AddressFamily, Any] | None:
    """Family and address of a TCP endpoint; None if no such address exists, as with another zone."""
    match = tcp_address(endpoint)
    if not match:
        return None
    port = 0 if match["port"] == "*" else int(match["port"])
    flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
    try:
        found = socket.getaddrinfo(match["host"].strip("[]"), port, type=socket.SOCK_STREAM, flags=flags)
    except OSError:
        return None
    return found[0][0], found[0][4]
