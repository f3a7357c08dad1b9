"""Opening a UDP socket, for the input that binds one and the output that connects one."""

from __future__ import annotations

import errno
import socket
from typing import Any

from message_passing.errors import OpenError

_NEXT_MAY_DO = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH}
"""This kind of address does not exist here; the host's other one may. Anything else is final: to bind
`localhost` on IPv6 because its IPv4 port is taken would leave the senders talking to somebody else."""


def udp_socket(hostname: str, port: int, *, bind: bool) -> socket.socket:
    """A non-blocking socket, bound or connected to the address; IPv4 is preferred where there are both.

    Raises:
        OpenError: naming the address: unknown host, address in use, permission denied.
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
    verb = "bind to" if bind else "connect to"
    hint = ""
    if bind and isinstance(last, PermissionError):
        hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
    reason = last.strerror if last else "it has no address"
    raise OpenError(f"cannot {verb} UDP {shown(hostname, port)}: {reason}{hint}") from last


def shown(hostname: str, port: int) -> str:
    """The address as a person writes it."""
    return f"[{hostname}]:{port}" if ":" in hostname else f"{hostname}:{port}"


def _resolve(hostname: str, port: int, *, bind: bool) -> list[tuple[socket.AddressFamily, Any]]:
    flags = socket.AI_PASSIVE if bind else 0
    try:
        found = socket.getaddrinfo(hostname, port, type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, ValueError) as error:  # ValueError: a name that cannot even be asked for
        reason = error.strerror if isinstance(error, OSError) else error
        raise OpenError(f"UDP {shown(hostname, port)}: unknown host {hostname!r} ({reason})") from error
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return [(info[0], info[4]) for info in found]
