"""The options that the ZeroMQ input and output share (Message::Passing::ZeroMQ, "Connection attributes")."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from message_passing.component import Component
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.options import option
from message_passing.zeromq.endpoints import check_endpoint, unknown_hosts
from message_passing.zeromq.sockets import SocketSettings


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
        self._connect, self._bind = _as_tuple(self.connect), _as_tuple(self.socket_bind)
        if self.socket_builder:
            return
        faults = []
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
        """Ask the resolver for every host to connect to.

        Raises:
            OpenError: with each host that does not exist.
        """
        if faults := unknown_hosts(self._connect):
            raise OpenError(*faults)

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
            **more,
        )


def _as_tuple(endpoints: str | list[str]) -> tuple[str, ...]:
    return (endpoints,) if isinstance(endpoints, str) else tuple(endpoints)
