"""The options that the ZeroMQ input and output share (Message::Passing::ZeroMQ, "Connection attributes")."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from message_passing.component import Component
from message_passing.errors import Fault, OptionError, PeerError
from message_passing.options import option
from message_passing.zeromq.endpoints import check_endpoint, hosts_not_known
from message_passing.zeromq.security import SocketSecurity, cautions, security_of
from message_passing.zeromq.settings import LONGEST_INTERVAL, Limits, SocketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.notices import Notices


_SECURITY = [one.name for one in fields(SocketSecurity)]
_LIMITS = [one.name for one in fields(Limits)]


class ZeroMQComponent(Component):
    """A component with a ZeroMQ socket."""

    privileged = True

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
        description="High-water mark: how many messages are queued for each peer before more are dropped."
        " 0: no limit but memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        description="How long closing may take to send the queue, in milliseconds. 0 discards it.",
    )
    curve_secret_key: str = option(
        default="",
        min_length=1,
        description="This side's secret key, for encryption: a file made by `message-passing keys new "
        "NAME`, the key itself, or `env:NAME` for an environment variable with either.",
    )
    curve_server_key: str = option(
        default="",
        min_length=1,
        description="The public key of the other side, which is then the server, in the same formats: "
        "everything is encrypted, and nothing is sent to anybody else.",
    )
    curve_allowed_keys: str = option(
        default="",
        min_length=1,
        description="Directory with the public keys of authorized peers; this side is then the server: "
        "see `message-passing keys allow`. It is read at each connection. `*` authorizes "
        "everyone who has the server's public key.",
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
        description="Addresses and networks from which peers may connect: `10.0.0.7`, `10.0.0.0/8`, "
        "`fd00::/8`, `fe80::1%eth0`. IPv4 addresses may be written in IPv6 notation: "
        "`::ffff:10.0.0.0/104`. Default: all.",
    )
    plain_username: str = option(
        default="",
        min_length=1,
        description="User name for PLAIN, which sends it and the password unencrypted: only where CURVE "
        "is not possible.",
    )
    plain_password: str = option(default="", min_length=1, description="The password, or `env:NAME`.")
    plain_passwords: str = option(
        default="",
        min_length=1,
        description="Password file, with `name:password` on each line: users who may connect with PLAIN.",
    )
    maxmsgsize: int = option(
        default=Limits().maxmsgsize,
        ge=-1,
        description="The most bytes of a message; -1 for no limit. A larger one is dropped, counted as "
        "`too big` and reported: by an input, whose sender stays connected, and by an output,"
        " which does not send it. An output, which only sends, accepts frames of at most 4096"
        " bytes from peers.",
    )
    handshake_ivl: int = option(
        default=Limits().handshake_ivl,
        ge=0,
        description="Handshake timeout, in milliseconds; 0 for no timeout.",
    )
    heartbeat_ivl: int = option(
        default=Limits().heartbeat_ivl,
        ge=0,
        description="TCP keepalive: how long a connection is idle before its peer's host is probed, and "
        "between two probes, in milliseconds, rounded to seconds; 0 for never.",
    )
    heartbeat_timeout: int = option(
        default=Limits().heartbeat_timeout,
        ge=1,
        description="How long the probes may stay unanswered before the connection is given up, in "
        "milliseconds.",
    )
    tcp_maxrt: int = option(
        default=Limits().tcp_maxrt,
        ge=0,
        description="TCP retransmission timeout: how long data may stay unacknowledged before the "
        "connection is given up, in milliseconds; 0 for the system's default. A peer that "
        "does not read for so long is given up as well.",
    )
    reconnect_ivl: int = option(
        default=Limits().reconnect_ivl,
        ge=1,
        le=LONGEST_INTERVAL,
        description="Reconnect delay, in milliseconds; a random delay of up to the same length is added, "
        "so that peers do not all reconnect at once.",
    )
    reconnect_ivl_max: int = option(
        default=Limits().reconnect_ivl_max,
        ge=0,
        le=LONGEST_INTERVAL,
        description="Maximum reconnect delay (exponential back-off), in milliseconds, less up to a "
        "quarter at random. 0: no back-off, so that a returning peer is found soon, however "
        "long it was away.",
    )
    socket_builder: Callable[..., Any] | None = option(
        default=None,
        description="Called with this component and a `zmq.Context`; returns the socket, bound or "
        "connected and with its options set. The other options are then up to it.",
    )

    def on_init(self) -> None:
        """Check the endpoints.

        Raises:
            OptionError: they are missing, contradict each other, or are not endpoints.
        """
        super().on_init()
        self._not_known: list[str] = []
        self._connect, self._bind = _as_tuple(self.connect), _as_tuple(self.socket_bind)
        # What is empty was not given: an empty value is none that these options take.
        given = {name: value for name in _SECURITY if (value := getattr(self, name))}
        self._security = security_of(self.label, **given)
        if self.socket_builder:
            return
        faults = []
        if self._security and any(one.startswith("inproc:") for one in self._connect + self._bind):
            faults.append(
                "an inproc endpoint has neither encryption nor addresses: it never leaves the process"
            )
        if self._connect and self._bind:
            faults.append("connect and socket_bind exclude each other: a socket does one or the other")
        if not self._connect and not self._bind:
            faults.append("one of connect and socket_bind is needed")
        for endpoints, binds, name in ((self._connect, False, "connect"), (self._bind, True, "socket_bind")):
            wrong = filter(None, (check_endpoint(endpoint, binds=binds) for endpoint in endpoints))
            faults += [f"option {name!r}: {text}" for text in wrong]
        if faults:
            raise OptionError(*(Fault(f"{self.label}: {text}") for text in faults))

    def preflight(self) -> None:
        """Ask the resolver for every host to connect to: `cautions` tell of those that are not known yet."""
        self._not_known = hosts_not_known(self._connect)

    def cautions(self) -> list[str]:
        """What to say at the start of a socket that anybody may reach, or that tells passwords; of unknown hosts."""
        told = [f"{self.label}: {text}" for text in self._not_known]
        return [*cautions(self.label, self._bind, self._security), *told]

    def facts(self) -> Mapping[str, Any]:
        """Where it connects to, or is bound."""
        return {"endpoints": self._connect or self._bind}

    def tell(self, notices: Notices, *, at_end: bool = False) -> None:
        """Report what there is to say about peers; at the end also what was to be counted for longer."""
        for text in notices.take(all_counts=at_end):
            self.report(PeerError(text))

    def settings(self, socket_type: str, **more: Any) -> SocketSettings:
        """What the socket is built from."""
        builder = self.socket_builder
        return SocketSettings(
            socket_type=socket_type,
            connect=self._connect,
            bind=self._bind,
            hwm=self.socket_hwm,
            linger=self.linger,
            builder=functools.partial(builder, self) if builder else None,
            limits=Limits(**{name: getattr(self, name) for name in _LIMITS}),
            security=self._security,
            **more,
        )


def _as_tuple(endpoints: str | list[str]) -> tuple[str, ...]:
    return (endpoints,) if isinstance(endpoints, str) else tuple(endpoints)
