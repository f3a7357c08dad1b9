"""From settings to an open ZeroMQ socket (Message::Passing::ZeroMQ::Role::HasASocket)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from message_passing.errors import Fault, OpenError
from message_passing.zeromq.endpoints import refusal, wants_ipv6
from message_passing.zeromq.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Callable

_DESCRIPTORS = 16
"""What a context, its threads, a socket and its monitor may take together."""

_LONGEST_KEEPALIVE, _MOST_KEEPALIVES = 32767, 127
"""Seconds between two questions, and how many, that TCP takes (tcp(7)); with more a connection would fail."""

type_codes = {"PUB": zmq.XPUB, "SUB": zmq.SUB, "PUSH": zmq.PUSH, "PULL": zmq.PULL}
"""ZeroMQ's number for each type. A PUB is an XPUB underneath: the same on the wire (RFC 29), but it hears
the subscriptions, so that messages can be held until somebody listens, and it can refuse a message."""


class Guard(Protocol):
    """What decides who may connect, in a thread of its own."""

    def stop(self) -> None:
        """End it."""

    def abandon(self) -> None:
        """In a forked child: it is the parent's."""


class Security(Protocol):
    """How peers prove who they are, and who may connect: see `security`."""

    @property
    def mechanism(self) -> str:
        """`NULL`, `PLAIN` or `CURVE`."""

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Set the socket's options."""

    def guard(
        self, context: zmq.Context[Any], notices: Notices, ports: Callable[[], set[int]]
    ) -> Guard | None:
        """Begin to answer who may connect, where that is asked."""

    def allowing(self) -> str:
        """How the other side allows us, for who is refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may do to us, and how long we wait for them (zmq_setsockopt(3)); times in milliseconds.

    Attributes:
        maxmsgsize: bytes of a frame; a peer that sends a larger one is disconnected. -1 for no limit.
        handshake_ivl: how long a peer may take to say who it is.
        heartbeat_ivl: how often the machine of a peer that says nothing is asked whether it is there. 0 for never.
        heartbeat_timeout: how long it may take to answer until the connection is given up.
        tcp_maxrt: how long what was sent to it may stay without an answer. 0 for as long as the system tries.
        reconnect_ivl: until the first try to connect again; a random time of up to as long is added each time.
        reconnect_ivl_max: what that grows to, doubling.
    """

    maxmsgsize: int = 16 << 20
    handshake_ivl: int = 10_000
    heartbeat_ivl: int = 10_000
    heartbeat_timeout: int = 30_000
    tcp_maxrt: int = 0
    reconnect_ivl: int = 100
    reconnect_ivl_max: int = 5000


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
        limits: what peers may do.
        security: who may connect, and how it is proved.
    """

    socket_type: str
    connect: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    hwm: int = 10000
    linger: int = 1000
    subscribe: tuple[bytes, ...] = (b"",)
    builder: Callable[[zmq.Context[Any]], zmq.Socket[bytes]] | None = None
    limits: Limits = Limits()
    security: Security | None = None

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

    def __init__(self, settings: SocketSettings, notices: Notices | None = None) -> None:
        """Make it.

        Args:
            settings: what it is to be.
            notices: where to say who was refused.

        Raises:
            OpenError: a key cannot be read, or there is no room for one socket more.
        """
        self.settings = settings
        self._notices = notices or Notices()
        self._doorkeeper: Guard | None = None
        self._last_endpoint = ""
        self._shared = settings.in_process
        see_that_descriptors_are_left()
        self.context: zmq.Context[zmq.Socket[bytes]] = (
            zmq.Context.instance() if self._shared else zmq.Context()
        )
        try:
            self.socket = (settings.builder or self._built)(self.context)
        except BaseException:
            if not self._shared:
                self.context.destroy(0)
            raise
        self.file_descriptor = int(self.socket.fileno())

    def _built(self, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        try:
            socket: zmq.Socket[bytes] = context.socket(type_codes[self.settings.socket_type])
        except zmq.ZMQError as error:
            raise OpenError(f"no socket can be made: {refusal(error)}") from error
        try:
            self._set_options(socket)
        except BaseException:
            socket.close(0)
            raise
        return socket

    def attach(self) -> None:
        """Bind and connect, unless a builder has done it.

        Raises:
            OpenError: the system refused an endpoint; each is named, with the reason.
        """
        if self.settings.builder:
            return
        if self.settings.security:
            self._doorkeeper = self.settings.security.guard(self.context, self._notices, self._ports)
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
        if self.settings.bind:
            self._last_endpoint = bytes(self.socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        # All of these must be set before bind or connect to have an effect.
        settings = self.settings
        socket.linger = settings.linger
        socket.sndhwm = socket.rcvhwm = settings.hwm
        self._set_limits(socket, settings.limits)
        if settings.security:
            settings.security.apply(socket)
        if wants_ipv6(settings.endpoints):
            socket.ipv6 = True
        if settings.socket_type == "PUB":
            # Refuse with EAGAIN at the high-water mark, so that the loss can be counted.
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            # Tell of every subscription, also when a receiver that comes back has the same as before.
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        if settings.socket_type == "SUB":
            for prefix in settings.subscribe:
                socket.subscribe(prefix)

    @staticmethod
    def _set_limits(socket: zmq.Socket[bytes], limits: Limits) -> None:
        socket.maxmsgsize = limits.maxmsgsize
        socket.handshake_ivl = limits.handshake_ivl
        if limits.heartbeat_ivl:
            # TCP asks. ZeroMQ could (ZMQ_HEARTBEAT_IVL), but it ends the whole process when it is to ask on a
            # connection that was reset while its messages were not taken (libzmq's issue 4364).
            seconds = _between(1, round(limits.heartbeat_ivl / 1000), _LONGEST_KEEPALIVE)
            times = round(limits.heartbeat_timeout / (1000 * seconds))
            socket.tcp_keepalive = 1
            socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = seconds
            socket.tcp_keepalive_cnt = _between(1, times, _MOST_KEEPALIVES)
        socket.tcp_maxrt = limits.tcp_maxrt
        socket.reconnect_ivl = limits.reconnect_ivl
        socket.reconnect_ivl_max = limits.reconnect_ivl_max

    def _ports(self) -> set[int]:
        """The TCP ports that it is bound to."""
        found = {endpoint.rpartition(":")[2] for endpoint in (*self.settings.bind, self._last_endpoint)}
        return {int(port) for port in found if port.isdigit()}

    def stop_listening(self) -> None:
        """Unbind. Connections that were accepted end with it, and what the system has of them is lost."""
        only = len(self.settings.bind) == 1
        for endpoint in self.settings.bind:
            with contextlib.suppress(zmq.ZMQError):  # a wildcard, known under another name, or never bound
                self.socket.unbind(self._last_endpoint if only and "*" in endpoint else endpoint)

    def connect_again(self, endpoint: str) -> None:
        """Connect to an endpoint that ZeroMQ has given up."""
        given = self.settings.connect
        again = given[0] if len(given) == 1 else endpoint  # ZeroMQ may write it in another way
        with contextlib.suppress(zmq.ZMQError):
            self.socket.disconnect(again)
        with contextlib.suppress(zmq.ZMQError):
            self.socket.connect(again)

    def close(self, linger: int) -> None:
        """Close it; what was sent and has not left may take `linger` milliseconds, which this waits."""
        self.socket.close(linger)
        if (
            self._doorkeeper
        ):  # until here peers may have been asking to come in, for what was still to be sent
            self._doorkeeper.stop()
        if not self._shared:
            self.context.term()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket, which is dead here.

        pyzmq closes nothing that another process made, and warns that it is unclosed: say that it is not ours.
        """
        disown(self.socket)
        if self._doorkeeper:
            self._doorkeeper.abandon()
        if not self._shared:
            disown(self.context)


def see_that_descriptors_are_left() -> None:
    """ZeroMQ ends the whole process when it finds descriptors for some of its parts and not for others.

    Raises:
        OpenError: there are too few for a socket.
    """
    spare: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            spare.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - those that could be opened are closed
    except OSError as error:
        raise OpenError(f"no descriptors are left for a socket: {error.strerror}") from error
    finally:
        for one in spare:
            os.close(one)


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


def disown(inherited: zmq.Socket[Any] | zmq.Context[Any]) -> None:
    """Have pyzmq collect it in silence."""
    inherited._shadow = True  # noqa: SLF001 - what pyzmq calls a wrapper of what somebody else closes
