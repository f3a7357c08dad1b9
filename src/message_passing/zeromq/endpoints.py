"""What an endpoint may look like, and what a refusal means (zmq_tcp(7), zmq_ipc(7), zmq_inproc(7))."""

from __future__ import annotations

import errno
import re
import socket
from ipaddress import ip_address

import zmq

from message_passing.errors import Fault, did_you_mean

TRANSPORTS = ("tcp", "ipc", "inproc")

_TCP = re.compile(r"(?:[^;]+;)?(?P<host>\[[0-9a-fA-F:.%\w]*\]|[^:\[\]/]+):(?P<port>\d+|\*)", re.ASCII)
_EXAMPLE = "like tcp://127.0.0.1:5558, ipc:///run/logs.sock or inproc://name"


def check_endpoint(endpoint: str, *, binds: bool) -> str:
    """What is wrong with the way `endpoint` is written, as a sentence's end; empty when nothing is."""
    transport, separator, address = endpoint.partition("://")
    if not separator or not address:
        return f"{endpoint!r} is not an endpoint: write one {_EXAMPLE}"
    if transport not in TRANSPORTS:
        hint = did_you_mean(transport, TRANSPORTS) or f" (there are {', '.join(TRANSPORTS)})"
        return f"{endpoint!r}: there is no transport {transport!r}{hint}"
    if "\0" in address:  # ZeroMQ would take what stands before it
        return f"{endpoint!r} has a null character in it, which no address has"
    return _check_tcp(endpoint, address, binds=binds) if transport == "tcp" else ""


def _check_tcp(endpoint: str, address: str, *, binds: bool) -> str:
    match = _TCP.fullmatch(address)
    if not match:
        if right := in_brackets(address):
            return f"{endpoint!r}: an IPv6 address stands in brackets: write tcp://{right}"
        return f"{endpoint!r} needs a host and a port: write one like tcp://127.0.0.1:5558"
    host, port = match["host"], match["port"]
    if not binds and (host == "*" or port in ("*", "0")):
        return f"{endpoint!r}: '*' is only for socket_bind; connect needs the receiver's own host and port"
    if port != "*" and int(port) > 65535:
        return f"{endpoint!r}: a port is a number up to 65535"
    return ""


def in_brackets(address: str, default: str = "5558") -> str:
    """An address in IPv6 that lacks its brackets, or a port, with both; empty if it is something else.

    Args:
        address: a host and perhaps a port.
        default: the port of an example where there is none.
    """
    host, _, port = address.rpartition(":")
    for one, number in ((host, port), (address, default), (address.strip("[]"), default)):
        try:
            if ip_address(one).version == 6 and (number.isdecimal() or number == "*"):
                return f"[{one}]:{number}"
        except ValueError:
            continue
    return ""


def wants_ipv6(endpoints: tuple[str, ...]) -> bool:
    """Whether any is written as an IPv6 address, which ZMQ_IPV6 must allow first."""
    return any(endpoint.startswith("tcp://") and "[" in endpoint for endpoint in endpoints)


def is_public(endpoint: str) -> bool:
    """Whether an endpoint to bind can be reached from other machines, as far as its text says."""
    match = _TCP.fullmatch(endpoint.removeprefix("tcp://")) if endpoint.startswith("tcp://") else None
    if not match:
        return False
    host = match["host"].strip("[]")
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # `*`, the name of a network interface, or of a host
        return host not in ("lo", "localhost")


def unknown_hosts(endpoints: tuple[str, ...]) -> list[Fault]:
    """The hosts among these endpoints to connect to that the resolver says do not exist.

    ZeroMQ itself resolves in the background and goes on trying in silence. A resolver that only fails for
    now is no reason to refuse to start.
    """
    faults = []
    for endpoint in endpoints:
        match = _TCP.fullmatch(endpoint.removeprefix("tcp://")) if endpoint.startswith("tcp://") else None
        if match:
            try:
                socket.getaddrinfo(match["host"].strip("[]"), None)
            except socket.gaierror as error:
                if error.errno == socket.EAI_NONAME:
                    faults.append(Fault(f"unknown host {match['host']!r}", endpoint))
            except UnicodeError:
                faults.append(Fault(f"{match['host']!r} is not a host name", endpoint))
    return faults


_REASONS = {
    errno.EADDRINUSE: "address in use: another socket is bound to it",
    errno.EACCES: "permission denied: a port below 1024 or this path needs more rights",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENODEV: "this machine has no such address or network interface",
    errno.ENAMETOOLONG: "the path is too long for an ipc socket (107 bytes)",
    errno.ENOENT: "the folder does not exist",
    errno.EINVAL: "not a valid endpoint",
    zmq.EMTHREAD: "no input/output thread is left in the ZeroMQ context",
}


def refusal(error: zmq.ZMQError) -> str:
    """Why the system refused a bind or connect, in words."""
    number = error.errno or 0
    return _REASONS.get(number) or zmq.strerror(number)
