"""Opening a UDP socket, for the input that binds one and the output that connects one."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from message_passing.errors import Fault, OpenError, OptionError
from message_passing.resolving import (
    LOOKUP_TIMEOUT,
    Attempt,
    UnknownHostError,
    addresses_of,
    attempt,
    wrong_host,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEXT_MAY_DO = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH}
"""Errors of an address family that does not exist here; the host's other one may. Any other error is final: binding
`localhost` on IPv6 because its IPv4 port is in use would leave the senders connected to another program."""

_MAY_COME = {
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENETUNREACH: "no network leads there",
    errno.EHOSTUNREACH: "no network leads there",
}
"""Errors that may pass while the machine boots."""


def udp_socket(hostname: str, port: int, *, bind: bool) -> socket.socket:
    """A non-blocking socket, bound or connected to the address; IPv4 is preferred where both exist.

    Raises:
        UnknownHostError: its name, its address or the route is not known, for now.
        OpenError: naming the address: address in use, permission denied.
    """
    last: OSError | None = None
    for family, address in _resolve(hostname, port, bind=bind):
        try:
            one = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            last = error
            continue
        try:
            one.setblocking(False)
            (one.bind if bind else one.connect)(address)
        except OSError as error:
            one.close()
            last = error
            if error.errno not in _NEXT_MAY_DO:
                break
        else:
            return one
    if last and (missing := _MAY_COME.get(last.errno or 0)):
        raise UnknownHostError(f"UDP {format_address(hostname, port)}: {missing} yet") from last
    verb = "bind to" if bind else "connect to"
    hint = ""
    if bind and isinstance(last, PermissionError):
        hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
    reason = last.strerror if last else "it has no address"
    raise OpenError(f"cannot {verb} UDP {format_address(hostname, port)}: {reason}{hint}") from last


def check_host(label: str, hostname: str) -> None:
    """Check that a host may be found, now or later.

    Raises:
        OptionError: it can never be found.
    """
    if hostname and (wrong := wrong_host(hostname)):
        raise OptionError(Fault(f"{label}: option 'hostname': {wrong}", "hostname"))


def format_address(hostname: str, port: int) -> str:
    """The address for messages to users."""
    return f"[{hostname}]:{port}" if ":" in hostname else f"{hostname}:{port}"


def _resolve(hostname: str, port: int, *, bind: bool) -> Sequence[tuple[int, Any]]:
    try:
        return addresses_of(hostname, port, socket.SOCK_DGRAM, socket.AI_PASSIVE if bind else 0)
    except OpenError as error:
        raise type(error)(f"UDP {format_address(hostname, port)}: {error}") from error


def udp_attempt(hostname: str, port: int, *, bind: bool) -> Attempt[socket.socket]:
    """A socket from `udp_socket`, as soon as the host's name is known.

    Raises:
        OpenError: it cannot be created, for a reason other than the name.
    """
    return attempt(lambda: udp_socket(hostname, port, bind=bind), socket.socket.close)


def not_known_yet(trying: Attempt[socket.socket], hostname: str, port: int, meanwhile: str) -> OpenError:
    """The report of a name that is not known.

    Args:
        trying: the pending lookup.
        hostname: the name.
        port: its port.
        meanwhile: what happens until it is known.
    """
    slow = f"UDP {format_address(hostname, port)}: the host {hostname!r} was not found within {LOOKUP_TIMEOUT:g} s"
    return UnknownHostError(f"{trying.trouble or slow}; it is looked up again, and {meanwhile}")
