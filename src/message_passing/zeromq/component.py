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
        description="High-water mark: how many messages are queued for each peer before more are dropped. "
        "0 for no limit but memory.",
    )
    linger: int = option(
        default=1000,
        ge=0,
        description="How long closing may take to send what is queued, in milliseconds. 0 discards it.",
    )
    curve_secret_key: str = option(
        default="",
        min_length=1,
        description="Our secret key, for encryption: a file that `message-passing keys new NAME` made, the key "
        "itself, or `env:NAME` for either in an environment variable.",
    )
    curve_server_key: str = option(
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
    plain_password: str = option(default="", min_length=1, description="The password, or `env:NAME`.")
    plain_passwords: str = option(
        default="",
        min_length=1,
        description="File with a `name:password` on each line: those who may connect with PLAIN.",
    )
    maxmsgsize: int = option(
        default=Limits().maxmsgsize,
        ge=-1,
        description="The most bytes of a message; -1 for no limit. A larger one is dropped, counted as `too big` and "
        "reported: by an input, to which its sender stays connected, and by an output, which does not send it. To "
        "an output, which only sends, a peer may send frames of 4096 bytes at most.",
    )
    handshake_ivl: int = option(
        default=Limits().handshake_ivl,
        ge=0,
        description="How long a peer that connects may take to say who it is, in milliseconds; 0 for ever.",
    )
    heartbeat_ivl: int = option(
        default=Limits().heartbeat_ivl,
        ge=0,
        description="How often the machine of a peer that says nothing is asked whether it is still there, in "
        "milliseconds, of which TCP takes whole seconds; 0 for never.",
    )
    heartbeat_timeout: int = option(
        default=Limits().heartbeat_timeout,
        ge=1,
        description="How long it may take to answer before the connection is given up, in milliseconds.",
    )
    tcp_maxrt: int = option(
        default=Limits().tcp_maxrt,
        ge=0,
        description="How long what was sent to a peer may stay unanswered before the connection is given up, in "
        "milliseconds; 0 for as long as the system tries. A peer that takes nothing for so long is given up as well.",
    )
    reconnect_ivl: int = option(
        default=Limits().reconnect_ivl,
        ge=1,
        le=LONGEST_INTERVAL,
        description="How soon to try to connect again, in milliseconds; a random time up to as long is added, so "
        "that not all come at once.",
    )
    reconnect_ivl_max: int = option(
        default=Limits().reconnect_ivl_max,
        ge=0,
        le=LONGEST_INTERVAL,
        description="What that grows to, doubling at each failure, in milliseconds (less by a random part, up to a "
        "quarter). 0 for not growing: who comes back is then soon found, however long he was away.",
    )
    socket_builder: Callable[..., Any] | None = option(
        default=None,
        description="Called with this component and a `zmq.Context`; returns the socket, bound or connected "
        "and with its options set. The other options are then its business.",
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
