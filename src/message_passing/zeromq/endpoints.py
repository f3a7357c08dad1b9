"""What an endpoint may look like, and what a refusal means (zmq_tcp(7), zmq_ipc(7), zmq_inproc(7))."""

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
    """What is wrong with the way `endpoint` is written, as a sentence's end; empty when nothing is."""
    transport, separator, address = endpoint.partition("://")
    if not separator or not address:
        return f"{endpoint!r} is not an endpoint: write one {_EXAMPLE}"
    if transport not in TRANSPORTS:
        hint = did_you_mean(transport, TRANSPORTS) or f" (there are {', '.join(TRANSPORTS)})"
        return f"{endpoint!r}: there is no transport {transport!r}{hint}"
    if "\0" in address:  # ZeroMQ would take what stands before it
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
    """What is wrong with endpoints that are written twice, however they are written: each would get all twice.

    Port 0, or `*`, is another one each time.
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
        elif match and ";" not in endpoint:  # otherwise it goes out by an address of its own
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
    """Host and port of an endpoint over TCP that is well written."""
    return _TCP.fullmatch(endpoint.removeprefix("tcp://")) if endpoint.startswith("tcp://") else None


_LIKE_A_PORT = 4
"""So many digits after `::`, which stands for all addresses, are a port rather than the end of an address."""


def in_brackets(address: str, default: str = "5558") -> str:
    """An address in IPv6 that lacks its brackets, or a port, with both; empty if it is something else.

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
    """Whether any is written as an IPv6 address, which ZMQ_IPV6 must allow first."""
    return any(endpoint.startswith("tcp://") and "[" in endpoint for endpoint in endpoints)


def bound_as(endpoint: str, actual: str) -> str:
    """An endpoint to bind as it was written, with the port or the path that the system has chosen for it.

    Args:
        endpoint: `tcp://*:0` or the like.
        actual: what ZeroMQ says of it once it is bound: `tcp://0.0.0.0:41234` (ZMQ_LAST_ENDPOINT).
    """
    host, _, port = endpoint.rpartition(":")
    if endpoint.startswith("tcp://") and port in ("0", "*"):
        return f"{host}:{actual.rpartition(':')[2]}"
    return actual if endpoint == "ipc://*" else endpoint


def is_public(endpoint: str) -> bool:
    """Whether an endpoint to bind can be reached from other machines, as far as its text says."""
    match = tcp_address(endpoint)
    if not match:
        return False
    host = match["host"].strip("[]")
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # `*`, the name of a network interface, or of a host
        return host not in ("lo", "localhost")


def hosts_not_known(endpoints: tuple[str, ...], patience: float = LOOKUP_TIMEOUT) -> list[str]:
    """What a start should tell of the hosts among these endpoints to connect to: a sentence for each not known yet.

    ZeroMQ itself looks a name up again each time it tries to connect, in silence, so one that comes later is found.

    Args:
        endpoints: the endpoints.
        patience: seconds that all of them may take.
    """
    asked = {}
    for endpoint in endpoints:
        if host := host_name(endpoint):
            look = partial(addresses_of, host, 0, socket.SOCK_STREAM)
            asked[endpoint] = Attempt(look, tries=1)
    deadline = monotonic() + patience
    texts = []
    for endpoint, one in asked.items():
        if not one.wait(max(0.0, deadline - monotonic())):
            texts.append(f"{endpoint}: its host was not found within {patience:g} s; {_LATER}")
        elif trouble := one.trouble or one.failure:
            texts.append(f"{endpoint}: {trouble}; {_LATER}")
    return texts


_LATER = "the lookup is repeated until it succeeds"


def host_name(endpoint: str) -> str:
    """The host in an endpoint to connect to that has to be looked up; empty where it has an address, or none."""
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
    """The hosts among these endpoints to connect to that the resolver says do not exist.

    A resolver that only fails for now says nothing of them.
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
