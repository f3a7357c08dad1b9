"""The options of a ZeroMQ connection, declared once: for components, the log handler and commands.

Message::Passing::ZeroMQ has those of them that are its own ("Connection attributes").
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from message_passing.options import Declared, option
from message_passing.zeromq.endpoints import check_endpoint
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
"""The options of which `security.SocketSecurity` is made."""

_LIMITS = [one.name for one in fields(Limits)]


class ConnectionOptions(Declared):
    """Where a socket is, how its peers prove who they are, and what they may do."""

    connect: str | list[str] = option(
        default_factory=list,
        description="Endpoint to connect to, or a list: `tcp://192.168.0.1:5222`, `ipc:///run/logs.sock`, "
        "`inproc://name`. Either this or `socket_bind`; it does not matter which way the messages flow.",
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
        description="High-water mark: how many messages are queued for each peer before more are dropped. "
        "0 for no limit but memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        le=LARGEST_INT,
        description="How long closing may take to send what is queued, in milliseconds. 0 discards it.",
    )
    curve_secret_key: str = option(
        secret=True,
        default="",
        min_length=1,
        description="Our secret key, for encryption: a file that `message-passing keys new NAME` made, the key "
        "itself, or `env:NAME` for either in an environment variable.",
    )
    curve_server_key: str = option(
        secret=True,
        default="",
        min_length=1,
        description="The public key of the other side, which is the server then, in the same forms: everything "
        "is encrypted, and nothing is sent to anybody else.",
    )
    curve_allowed_keys: str = option(
        default="",
        min_length=1,
        description="Folder with the public keys of those who may connect to us, who are the server then: see "
        "`message-passing keys allow`. It is read at each connection. `*` allows everybody who has our public key.",
    )
    allow: list[str] = option(
        default_factory=list,
        min_length=1,
        description="Addresses and networks from which peers may connect: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`, "
        "`fe80::1%eth0`. IPv4 addresses may be written as IPv6 has them: `::ffff:10.0.0.0/104`. Not given: all.",
    )
    deny: list[str] = option(
        default_factory=list,
        min_length=1,
        description="Addresses and networks from which they may not, allowed or not.",
    )
    plain_username: str = option(
        default="",
        min_length=1,
        description="Name for PLAIN, which sends it and the password as they are, for all to read on the way: "
        "only where CURVE cannot be.",
    )
    plain_password: str = option(
        secret=True, default="", min_length=1, description="The password, or `env:NAME`."
    )
    plain_passwords: str = option(
        default="",
        min_length=1,
        description="File with a `name:password` on each line: those who may connect with PLAIN.",
    )
    maxmsgsize: int = option(
        default=Limits().maxmsgsize,
        ge=-1,
        le=LARGEST_FRAME,
        description="The most bytes of a message; -1 for no limit. A larger one is dropped, counted as `too big` and "
        "reported: by an input, to which its sender stays connected, and by an output, which does not send it. To "
        "an output, which only sends, a peer may send frames of 4096 bytes at most.",
    )
    handshake_ivl: int = option(
        default=Limits().handshake_ivl,
        ge=0,
        le=LARGEST_INT,
        description="How long a peer that connects may take to say who it is, in milliseconds; 0 for ever.",
    )
    heartbeat_ivl: int = option(
        default=Limits().heartbeat_ivl,
        ge=0,
        le=LARGEST_INT,
        description="How often the machine of a peer that says nothing is asked whether it is still there, in "
        "milliseconds, of which TCP takes whole seconds; 0 for never.",
    )
    heartbeat_timeout: int = option(
        default=Limits().heartbeat_timeout,
        ge=1,
        le=LARGEST_INT,
        description="How long it may take to answer before the connection is given up, in milliseconds.",
    )
    tcp_maxrt: int = option(
        default=Limits().tcp_maxrt,
        ge=0,
        le=LARGEST_INT,
        description="How long what was sent to a peer may stay unanswered before the connection is given up, in "
        "milliseconds; 0 for as long as the system tries. A peer that takes nothing for so long is given up as well.",
    )
    reconnect_ivl: int = option(
        default=Limits().reconnect_ivl,
        ge=1,
        le=LARGEST_INT,
        description="How soon to try to connect again, in milliseconds; a random time up to as long is added, so "
        "that not all come at once.",
    )
    reconnect_ivl_max: int = option(
        default=Limits().reconnect_ivl_max,
        ge=0,
        le=LARGEST_INT,
        description="What that grows to, doubling at each failure, in milliseconds (less by a random part, up to a "
        "quarter). 0 for not growing: who comes back is then soon found, however long he was away.",
    )


def endpoints_of(options: ConnectionOptions) -> Endpoints:
    """Where a socket connects to, and where it is bound."""
    return _as_tuple(options.connect), _as_tuple(options.socket_bind)


def endpoint_faults(options: ConnectionOptions) -> list[str]:
    """What is wrong with the endpoints, or that there are none."""
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
    return faults


def security_given(options: ConnectionOptions) -> dict[str, Any]:
    """Those options by which peers prove who they are that were given: an empty value is none that they take."""
    return {name: value for name in SECURITY if (value := getattr(options, name))}


def limits_of(options: ConnectionOptions) -> Limits:
    """What peers may do, and how long we wait for them."""
    return Limits(**{name: getattr(options, name) for name in _LIMITS})


def _as_tuple(endpoints: str | list[str]) -> tuple[str, ...]:
    if isinstance(endpoints, str):
        return (endpoints,) if endpoints else ()  # an empty one was not given
    return tuple(endpoints)
