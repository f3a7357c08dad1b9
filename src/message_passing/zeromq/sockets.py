"""From settings to an open ZeroMQ socket (Message::Passing::ZeroMQ::Role::HasASocket)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.errors import Fault, OpenError
from message_passing.zeromq.endpoints import refusal, wants_ipv6

if TYPE_CHECKING:
    from collections.abc import Callable

type_codes = {"PUB": zmq.XPUB, "SUB": zmq.SUB, "PUSH": zmq.PUSH, "PULL": zmq.PULL}
"""ZeroMQ's number for each type. A PUB is an XPUB underneath: the same on the wire (RFC 29), but it hears
the subscriptions, so that messages can be held until somebody listens, and it can refuse a message."""


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """What a socket is built from.

    Attributes:
        socket_type: `PUB`, `SUB`, `PUSH` or `PULL`.
        connect: endpoints to connect to.
        bind: endpoints to bind.
        hwm: high-water mark, in messages for each peer; 0 for none.
        linger: how long an unsent message may hold up closing, in milliseconds.
        subscribe: a SUB socket's prefixes.
        builder: makes the socket instead, given a context.
    """

    socket_type: str
    connect: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    hwm: int = 10000
    linger: int = 1000
    subscribe: tuple[bytes, ...] = (b"",)
    builder: Callable[[zmq.Context[Any]], zmq.Socket[bytes]] | None = None

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All of them."""
        return self.connect + self.bind

    @property
    def in_process(self) -> bool:
        """Whether it reaches other sockets of this process, for which they must share a context."""
        return any(endpoint.startswith("inproc:") for endpoint in self.endpoints)


class OpenSocket:
    """A socket, not yet bound or connected, and the context that it lives in.

    Each has a context of its own: terminating that is ZeroMQ's only way to wait until what was sent has
    left (zmq_ctx_term(3)). Only inproc endpoints use the process's shared `zmq.Context.instance()`.
    """

    def __init__(self, settings: SocketSettings) -> None:
        self.settings = settings
        self._shared = settings.in_process
        self.context: zmq.Context[zmq.Socket[bytes]] = (
            zmq.Context.instance() if self._shared else zmq.Context()
        )
        if settings.builder:
            self.socket = settings.builder(self.context)
        else:
            self.socket = self.context.socket(type_codes[settings.socket_type])
            self._set_options(self.socket)
        self.file_descriptor = int(self.socket.fileno())

    def attach(self) -> None:
        """Bind and connect, unless a builder has done it.

        Raises:
            OpenError: the system refused an endpoint; each is named, with the reason.
        """
        if self.settings.builder:
            return
        faults = []
        sides = ((self.socket.bind, self.settings.bind), (self.socket.connect, self.settings.connect))
        for attach, endpoints in sides:
            for endpoint in endpoints:
                try:
                    attach(endpoint)
                except zmq.ZMQError as error:
                    faults.append(Fault(refusal(error), endpoint))
        if faults:
            raise OpenError(*faults)

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        # All of these must be set before bind or connect to have an effect.
        settings = self.settings
        socket.linger = settings.linger
        socket.sndhwm = socket.rcvhwm = settings.hwm
        if wants_ipv6(settings.endpoints):
            socket.ipv6 = True
        if settings.socket_type == "PUB":
            # Refuse with EAGAIN at the high-water mark, so that the loss can be counted.
            socket.setsockopt(zmq.XPUB_NODROP, 1)
        if settings.socket_type == "SUB":
            for prefix in settings.subscribe:
                socket.subscribe(prefix)

    def close(self, linger: int) -> None:
        """Close it; what was sent and has not left may take `linger` milliseconds, which this waits."""
        self.socket.close(linger)
        if not self._shared:
            self.context.term()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket, which is dead here.

        pyzmq closes nothing that another process made, and warns that it is unclosed: say that it is not ours.
        """
        disown(self.socket)
        if not self._shared:
            disown(self.context)


def disown(inherited: zmq.Socket[Any] | zmq.Context[Any]) -> None:
    """Have pyzmq collect it in silence."""
    inherited._shadow = True  # noqa: SLF001 - what pyzmq calls a wrapper of what somebody else closes
