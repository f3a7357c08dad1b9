"""The options that the ZeroMQ input and output share (Message::Passing::ZeroMQ, "Connection attributes")."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from message_passing.component import Component
from message_passing.errors import Fault, OptionError, PeerError
from message_passing.options import option
from message_passing.zeromq.connection_options import (
    ConnectionOptions,
    endpoint_faults,
    endpoints_of,
    limits_of,
    security_given,
)
from message_passing.zeromq.endpoints import hosts_not_known
from message_passing.zeromq.security import security_of, security_warnings
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.throttled_warnings import ThrottledWarnings


class ZeroMQComponent(ConnectionOptions, Component):
    """A component with a ZeroMQ socket."""

    privileged = True

    socket_builder: Callable[..., Any] | None = option(
        default=None,
        description="Called with this component and a `zmq.Context`; returns the socket, bound or "
        "connected and with its options set. The other options are then up to it.",
    )

    def on_init(self) -> None:
        """Check the endpoints.

        Raises:
            OptionError: they are missing, conflict with each other, or are not endpoints.
        """
        super().on_init()
        self._not_known: list[str] = []
        self._connect, self._bind = endpoints_of(self)
        self._security = security_of(self.label, **security_given(self))
        if self.socket_builder:
            return
        if faults := endpoint_faults(self):
            raise OptionError(*(Fault(f"{self.label}: {text}") for text in faults))

    def preflight(self) -> None:
        """Resolve every host to connect to: `security_warnings` reports those that are not known yet."""
        self._not_known = hosts_not_known(self._connect)

    def warnings(self) -> list[str]:
        """Start-up warnings: sockets that anyone may reach, unencrypted passwords, and unknown hosts."""
        told = [f"{self.label}: {text}" for text in self._not_known]
        return [*security_warnings(self.label, self._bind, self._security), *told]

    def info(self) -> Mapping[str, Any]:
        """The endpoints that it connects to or is bound to."""
        return {"endpoints": self._connect or self._bind, "listens": bool(self._bind)}

    def tell(self, notices: ThrottledWarnings, *, at_end: bool = False) -> None:
        """Report the notices about peers; at the end also the counts whose period is not over."""
        for text in notices.take(all_counts=at_end):
            self.report(PeerError(text))

    def settings(self, socket_type: str, **more: Any) -> SocketSettings:
        """The settings from which the socket is created."""
        builder = self.socket_builder
        return SocketSettings(
            socket_type=socket_type,
            connect=self._connect,
            bind=self._bind,
            hwm=self.socket_hwm,
            linger=self.linger,
            builder=functools.partial(builder, self) if builder else None,
            limits=limits_of(self),
            security=self._security,
            **more,
        )
