"""The options of a ZeroMQ connection, declared once: for components, the log handler and commands.

Some of them are those of Message::Passing::ZeroMQ ("Connection attributes").
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from message_passing.options import Declared, option
from message_passing.zeromq.endpoints import check_endpoint, repeated_endpoints
from message_passing.zeromq.settings import LARGEST_FRAME, LARGEST_INT, Endpoints, Limits

SECURITY = (
    "curve_secret_key",
    "curve_server_key",
    "curve_allowed_keys",
    "plain_username",
    "plain_password",
    "plain_passwords",
    "allow",
    "deny",
)
"""The options from which `security.SocketSecurity` is made."""

_LIMITS = [one.name for one in fields(Limits)]


class ConnectionOptions(Declared):
    """A socket's endpoints, the authentication of its peers, and their limits."""

    connect: str | list[str] = option(
        default_factory=list,
        description="Endpoint to connect to, or a list: `tcp://192.168.0.1:5222`, `ipc:///run/logs.sock`,"
        " `inproc://name`. Either this or `socket_bind`, independent of the direction of "
        "messages.",
    )
    socket_bind: str | list[str] = option(
        default_factory=list,
        description="Endpoint to bind, or a list: `tcp://*:5222` for all IPv4 addresses, `tcp://[::]:5222` "
        "for IPv6 too.",
    )
    socket_hwm: int = option(
        default=10000,
        ge=0,
        le=LARGEST_INT,
        description="High-water mark: how many messages are queued for each peer before more are dropped."
        " 0: no limit but memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        le=LARGEST_INT,
        description="How long closing may take to send the queue, in milliseconds. 0 discards it.",
    )
    curve_secret_key: str = option(
        path=True,
        secret=True,
        default="",
        min_length=1,
        description="This side's secret key, for encryption: a file created by `message-passing keys new "
        "NAME`, the key itself, or `env:NAME` for an environment variable with either.",
    )
    curve_server_key: str = option(
        path=True,
        secret=True,
        default="",
        min_length=1,
        description="The public key of the other side, which is then the server, in the same formats: "
        "everything is encrypted, and nothing is sent to any other peer.",
    )
    curve_allowed_keys: str = option(
        path=True,
        default="",
        min_length=1,
        description="Directory with the public keys of authorized peers; this side is then the server: "
        "see `message-passing keys allow`. It is read at each connection. `*` authorizes "
        "everyone who has the server's public key.",
    )
    allow: list[str] = option(
        default_factory=list,
        min_length=1,
        description="Addresses and networks from which peers may connect: `10.0.0.7`, `10.0.0.0/8`, "
        "`fd00::/8`, `fe80::1%eth0`. IPv4 addresses may be written in IPv6 notation: "
        "`::ffff:10.0.0.0/104`. Default: all.",
    )
    deny: list[str] = option(
        default_factory=list,
        min_length=1,
        description="Addresses and networks from which peers may not connect, even if allowed otherwise.",
    )
    plain_username: str = option(
        default="",
        min_length=1,
        description="User name for PLAIN, which sends it and the password unencrypted: only where CURVE "
        "is not possible.",
    )
    plain_password: str = option(
        secret=True, default="", min_length=1, description="The password, or `env:NAME`."
    )
    plain_passwords: str = option(
        path=True,
        default="",
        min_length=1,
        description="Password file, with `name:password` on each line: users who may connect with PLAIN.",
    )
    maxmsgsize: int = option(
        default=Limits().maxmsgsize,
        ge=-1,
        le=LARGEST_FRAME,
        description="The most bytes of a message; -1 for no limit. A larger one is dropped, counted as "
        "`too big` and reported: by an input, whose sender stays connected, and by an output,"
        " which does not send it. An output, which only sends, accepts frames of at most 4096"
        " bytes from peers.",
    )
    handshake_ivl: int = option(
        default=Limits().handshake_ivl,
        ge=0,
        le=LARGEST_INT,
        description="Handshake timeout, in milliseconds; 0 for no timeout.",
    )
    heartbeat_ivl: int = option(
        default=Limits().heartbeat_ivl,
        ge=0,
        le=LARGEST_INT,
        description="TCP keepalive: how long a connection is idle before its peer's host is probed, and "
        "between two probes, in milliseconds, rounded to seconds; 0 for never.",
    )
    heartbeat_timeout: int = option(
        default=Limits().heartbeat_timeout,
        ge=1,
        le=LARGEST_INT,
        description="How long the probes may stay unanswered before the connection is given up, in "
        "milliseconds.",
    )
    tcp_maxrt: int = option(
        default=Limits().tcp_maxrt,
        ge=0,
        le=LARGEST_INT,
        description="TCP retransmission timeout: how long data may stay unacknowledged before the "
        "connection is given up, in milliseconds; 0 for the system's default. A peer that "
        "does not read for so long is given up as well.",
    )
    reconnect_ivl: int = option(
        default=Limits().reconnect_ivl,
        ge=1,
        le=LARGEST_INT,
        description="Reconnect delay, in milliseconds; a random delay of up to the same length is added, "
        "so that peers do not all reconnect at once.",
    )
    reconnect_ivl_max: int = option(
        default=Limits().reconnect_ivl_max,
        ge=0,
        le=LARGEST_INT,
        description="Maximum reconnect delay (exponential back-off), in milliseconds, minus up to a "
        "quarter at random. 0: no back-off, so that a returning peer is found soon, however "
        "long it was unreachable.",
    )


def endpoints_of(options: ConnectionOptions) -> Endpoints:
    """The endpoints that a socket connects to, and those that it is bound to."""
    return _as_tuple(options.connect), _as_tuple(options.socket_bind)


def endpoint_faults(options: ConnectionOptions) -> list[str]:
    """The error in the endpoints, or that there are none."""
    connect, bind = endpoints_of(options)
    faults = []
    if connect and bind:
        faults.append("connect and socket_bind exclude each other: a socket does one or the other")
    if not connect and not bind:
        faults.append("one of connect and socket_bind is needed")
    if any(one.startswith("inproc:") for one in connect + bind) and security_given(options):
        faults.append("an inproc endpoint has neither encryption nor addresses: it never leaves the process")
    for endpoints, binds, name in ((connect, False, "connect"), (bind, True, "socket_bind")):
        wrong = filter(None, (check_endpoint(endpoint, binds=binds) for endpoint in endpoints))
        faults += [f"option {name!r}: {text}" for text in wrong]
        faults += [f"option {name!r}: {text}" for text in repeated_endpoints(endpoints)]
    return faults


def security_given(options: ConnectionOptions) -> dict[str, Any]:
    """The authentication options that were given: an empty value is not a valid one."""
    return {name: value for name in SECURITY if (value := getattr(options, name))}


def limits_of(options: ConnectionOptions) -> Limits:
    """The limits and timeouts of peers."""
    return Limits(**{name: getattr(options, name) for name in _LIMITS})


def _as_tuple(endpoints: str | list[str]) -> tuple[str, ...]:
    if isinstance(endpoints, str):
        return (endpoints,) if endpoints else ()  # an empty one counts as not given
    return tuple(endpoints)
