"""The syntax of endpoints, and what errors of bind and connect mean (zmq_tcp(7), zmq_ipc(7), zmq_inproc(7))."""

from __future__ import annotations

import errno
import os.path
import re
import socket
from functools import partial
from ipaddress import ip_address

import zmq

from message_passing.clock import monotonic
from message_passing.errors import Fault, did_you_mean
from message_passing.resolving import LOOKUP_TIMEOUT, Attempt, addresses_of, wrong_host

TRANSPORTS = ("tcp", "ipc", "inproc")

_TCP = re.compile(r"(?:[^;]+;)?(?P<host>\[[0-9a-fA-F:.%\w]*\]|[^:\[\]/]+):(?P<port>\d+|\*)", re.ASCII)
_EXAMPLE = "like tcp://127.0.0.1:5558, ipc:///run/logs.sock or inproc://name"


def check_endpoint(endpoint: str, *, binds: bool) -> str:
    """The syntax error of `endpoint`, as the end of a sentence; empty if it has none."""
    transport, separator, address = endpoint.partition("://")
    if not separator or not address:
        return f"{endpoint!r} is not an endpoint: write one {_EXAMPLE}"
    if transport not in TRANSPORTS:
        hint = did_you_mean(transport, TRANSPORTS) or f" (there are {', '.join(TRANSPORTS)})"
        return f"{endpoint!r}: there is no transport {transport!r}{hint}"
    if "\0" in address:  # ZeroMQ would use what precedes it
        return f"{endpoint!r} contains a null character, which no address has"
    return _check_tcp(endpoint, address, binds=binds) if transport == "tcp" else ""


def _check_tcp(endpoint: str, address: str, *, binds: bool) -> str:
    match = _TCP.fullmatch(address)
    if not match:
        if right := in_brackets(address):
            return f"{endpoint!r}: an IPv6 address must be in brackets: write tcp://{right}"
        return f"{endpoint!r} needs a host and a port: write one like tcp://127.0.0.1:5558"
    host, port = match["host"], match["port"]
    if not binds and (host == "*" or port in ("*", "0")):
        what = "'*'" if "*" in (host, port) else "port 0"
        return f"{endpoint!r}: {what} is only for socket_bind; connect needs the receiver's own host and port"
    if port != "*" and int(port) > 65535:
        return f"{endpoint!r}: a port is a number up to 65535"
    if not binds and not host.startswith("[") and (wrong := wrong_host(host)):
        return f"{endpoint!r}: {wrong}"
    return ""


def repeated_endpoints(endpoints: tuple[str, ...]) -> list[str]:
    """The error of endpoints given twice, in whatever notation: each would get every message twice.

    Port 0, or `*`, is a different port each time.
    """
    first: dict[str, str] = {}
    texts = []
    for endpoint in endpoints:
        match = tcp_address(endpoint)
        if match and match["port"].strip("0") in ("", "*"):
            continue
        same = endpoint
        if endpoint.startswith("ipc:///"):
            same = os.path.normpath(endpoint.removeprefix("ipc://"))
        elif match and ";" not in endpoint:  # otherwise it uses a source address of its own
            same = f"{_canonical_host(match['host'])}:{int(match['port'])}"
        if same not in first:
            first[same] = endpoint
        elif endpoint == first[same]:
            texts.append(f"{endpoint!r} is given more than once: give each endpoint once")
        else:
            texts.append(f"{endpoint!r} is the same endpoint as {first[same]!r}: give each endpoint once")
    return list(dict.fromkeys(texts))


def _canonical_host(host: str) -> str:
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host.lower().removesuffix(".")


def tcp_address(endpoint: str) -> re.Match[str] | None:
    """Host and port of a well-formed TCP endpoint."""
    return _TCP.fullmatch(endpoint.removeprefix("tcp://")) if endpoint.startswith("tcp://") else None


_LIKE_A_PORT = 4
"""This many digits after `::`, which stands for all addresses, are a port rather than part of an address."""


def in_brackets(address: str, default: str = "5558") -> str:
    """An IPv6 address that lacks its brackets or port, with both; empty for anything else.

    Args:
        address: a host and perhaps a port.
        default: the port of an example where there is none.
    """
    host, _, port = address.rpartition(":")
    bare = address.replace("[", "").replace("]", "")
    bare_host, _, bare_port = bare.rpartition(":")
    readings = [(host, port), (bare_host, bare_port), (bare, default)]
    if host == ":" and len(port) >= _LIKE_A_PORT:
        readings.insert(0, ("::", port))
    for one, number in readings:
        try:
            if ip_address(one).version == 6 and (number.isdecimal() or number == "*"):
                return f"[{one}]:{number}"
        except ValueError:
            continue
    return ""


def wants_ipv6(endpoints: tuple[str, ...]) -> bool:
    """Whether any is an IPv6 address, for which ZMQ_IPV6 must be set first."""
    return any(endpoint.startswith("tcp://") and "[" in endpoint for endpoint in endpoints)


def bound_as(endpoint: str, actual: str) -> str:
    """An endpoint to bind as it was written, with the port or path that the system chose.

    Args:
        endpoint: `tcp://*:0` or the like.
        actual: ZeroMQ's name for it once it is bound: `tcp://0.0.0.0:41234` (ZMQ_LAST_ENDPOINT).
    """
    host, _, port = endpoint.rpartition(":")
    if endpoint.startswith("tcp://") and port in ("0", "*"):
        return f"{host}:{actual.rpartition(':')[2]}"
    return actual if endpoint == "ipc://*" else endpoint


def is_public(endpoint: str) -> bool:
    """Whether an endpoint to bind can be reached from other machines, judging by its text."""
    match = tcp_address(endpoint)
    if not match:
        return False
    host = match["host"].strip("[]")
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # `*`, the name of a network interface, or of a host
        return host not in ("lo", "localhost")


def hosts_not_known(endpoints: tuple[str, ...]) -> list[str]:
    """Start-up warnings about the hosts of these endpoints to connect to: a sentence for each unknown one.

    ZeroMQ itself silently looks a name up again at each attempt to connect, so one added later is found. This takes
    at most `LOOKUP_TIMEOUT`, for all of them together.
    """
    asked = {}
    for endpoint in endpoints:
        if host := host_name(endpoint):
            look = partial(addresses_of, host, 0, socket.SOCK_STREAM)
            asked[endpoint] = Attempt(look, tries=1)
    deadline = monotonic() + LOOKUP_TIMEOUT
    texts = []
    for endpoint, one in asked.items():
        if not one.wait(max(0.0, deadline - monotonic())):
            texts.append(f"{endpoint}: its host was not found within {LOOKUP_TIMEOUT:g} s; {_LATER}")
        elif trouble := one.trouble or one.failure:
            texts.append(f"{endpoint}: {trouble}; {_LATER}")
    return texts


_LATER = "the lookup is repeated until it succeeds"


def host_name(endpoint: str) -> str:
    """The host name to look up in an endpoint to connect to; empty if it has an address, or no host."""
    match = tcp_address(endpoint)
    if not match:
        return ""
    host = match["host"].strip("[]")
    try:
        ip_address(host)
    except ValueError:
        return "" if host == "localhost" else host
    return ""


def unknown_hosts(endpoints: tuple[str, ...]) -> list[Fault]:
    """The hosts of these endpoints to connect to that do not exist according to the resolver.

    A temporary failure of the resolver proves nothing.
    """
    faults = []
    for endpoint in endpoints:
        match = tcp_address(endpoint)
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
    errno.EACCES: "permission denied: a port below 1024 or this path needs more privileges",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENODEV: "this machine has no such network interface; give its address instead, which may come later",
    errno.ENAMETOOLONG: "the path is too long for an ipc socket (107 bytes)",
    errno.ENOENT: "the directory does not exist",
    errno.EINVAL: "not a valid endpoint",
    zmq.EMTHREAD: "no input/output thread is left in the ZeroMQ context",
}


def refusal(error: zmq.ZMQError | OSError) -> str:
    """Why the system refused a bind or connect, in words."""
    number = error.errno or 0
    return _REASONS.get(number) or str(zmq.strerror(number))
