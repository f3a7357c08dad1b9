"""Disconnecting peers that are no longer allowed, wherever they are connected.

ZeroMQ has no way to end one connection: access is checked once, when it begins. And the ZAP request names an
address, but neither a port nor a descriptor. So all connections with that address are ended; peers that are still
allowed reconnect at once.
"""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.zeromq.descriptors import OUT_OF_DESCRIPTORS, describe_connection, end, plain_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.zeromq.descriptors import Connection

ANY_ADDRESS = "*"
"""Stands for all addresses."""


def begin_disconnecting(
    bound: Iterable[str], connected: Iterable[str], addresses: set[str]
) -> list[Connection]:
    """Half-close this process's connections at these endpoints with peers at these addresses, from any thread.

    Each is ended in one direction: a ZMTP peer closes it then, and nothing in flight from peers that are not
    revoked is lost. `end` the returned connections a moment later, for peers that do not.

    They are found among the process's descriptors: a socket's registry is only as fresh as the last read of its
    monitor, by a thread that may be busy or idle for longer than a revoked peer may stay. Another socket's
    connection to the same peer's port is ended too, and is re-established.

    Args:
        bound: endpoints where the socket is bound, as ZeroMQ writes them (ZMQ_LAST_ENDPOINT).
        connected: endpoints that it connects to.
        addresses: as in ZAP: IP addresses, for ipc what `ipc_peer` takes; `*` for all peers.

    Returns:
        The connections found.
    """
    here, there = _ports(bound), _ports(connected)
    paths = {form for endpoint in (*bound, *connected) for form in _forms(endpoint)}
    wanted = {plain_address(address) for address in addresses}
    processes = {ipc_peer(address) for address in addresses} - {None}
    ended = []
    for descriptor in _descriptors():
        try:
            one = describe_connection(descriptor, accepted=False)
        except OSError:  # it was closed meanwhile, or is not a connection
            continue
        at_endpoint = (
            one.port in here or one.peer_port in there if one.port else bool(_forms(one.path) & paths)
        )
        known = one.address in wanted if one.port else one.credentials in processes or "" in processes
        if at_endpoint and (known or ANY_ADDRESS in wanted) and end(one, socket.SHUT_WR):
            ended.append(one)
    return ended


def ipc_peer(address: str) -> str | None:
    """The user, group and process id of an ipc peer, `0:0:4711`, from the address that ZAP has: `localhost:0:0:4711`.

    Returns:
        Empty text where the system does not report the process; None for an IP address.
    """
    host, _, rest = address.partition(":")
    return rest if host in ("localhost", "") and not address.startswith("::") else None


def _ports(endpoints: Iterable[str]) -> set[int]:
    found = {endpoint.rpartition(":")[2] for endpoint in endpoints if endpoint.startswith("tcp://")}
    return {int(port) for port in found if port.isdigit()}


def _forms(endpoint: str) -> set[str]:
    """The resolved path of an ipc endpoint: its other end may use another path, or a link."""
    path = endpoint.removeprefix("ipc://")
    if "://" in path or not path:
        return set()
    return {path} if path.startswith("@") else {path, Path(path).name, Path(os.path.realpath(path)).name}


def _descriptors() -> list[int]:
    """The descriptors of this process; if none is free to list them with, all possible ones."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - the names alone
    except OSError as error:
        if error.errno not in OUT_OF_DESCRIPTORS:
            raise
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return list(
            range(_MOST_DESCRIPTORS if limit == resource.RLIM_INFINITY else min(limit, _MOST_DESCRIPTORS))
        )


_MOST_DESCRIPTORS = 1 << 20
