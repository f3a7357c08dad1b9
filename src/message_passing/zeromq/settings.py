"""What a ZeroMQ socket is to be, before there is one: its settings, the limits of its peers, who may connect."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import zmq

    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

Endpoints = tuple[tuple[str, ...], tuple[str, ...]]
"""Where a socket is bound, as ZeroMQ writes it, and where it connects to."""


LARGEST_INT = (1 << 31) - 1
"""What most of ZeroMQ's own options can be at most (zmq_setsockopt(3): int)."""

_LONGEST_KEEPALIVE, _MOST_KEEPALIVES = 32767, 127
"""Seconds between two questions, and how many, that TCP takes (tcp(7)); with more a connection would fail."""

LARGEST_FRAME = (1 << 63) - 1
"""What ZMQ_MAXMSGSIZE can be at most (int64_t)."""


class PeerGuard(Protocol):
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
        self, context: zmq.Context[Any], notices: ThrottledWarnings, endpoints: Callable[[], Endpoints]
    ) -> PeerGuard | None:
        """Begin to answer who may connect, where that is asked."""

    def allowing(self) -> str:
        """How the other side allows us, for who is refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may do to us, and how long we wait for them (zmq_setsockopt(3)); times in milliseconds.

    Attributes:
        maxmsgsize: bytes of a frame; a peer that sends a larger one is disconnected. -1 for no limit. To a socket
            that only sends, nobody may send more than `SENDERS_FRAME`, whatever this is. An input has no limit for a
            frame where `Receiver` is given one for memory; it drops larger messages and counts them.
        handshake_ivl: how long a peer may take to say who it is.
        heartbeat_ivl: how often the machine of a peer that says nothing is asked whether it is there. 0 for never.
        heartbeat_timeout: how long it may take to answer until the connection is given up.
        tcp_maxrt: how long what was sent to it may stay without an answer. 0 for as long as the system tries.
        reconnect_ivl: until the next try to connect again; a random time of up to as long is added. Twice that is
            what a subscriber may come late by, so it is well under `linger`, and within `subscribe_delay`.
        reconnect_ivl_max: what that grows to, doubling; 0 for not growing, so that who comes back is soon found
            however long he was away.
    """

    maxmsgsize: int = 16 << 20
    handshake_ivl: int = 10_000
    heartbeat_ivl: int = 10_000
    heartbeat_timeout: int = 30_000
    tcp_maxrt: int = 0
    reconnect_ivl: int = 50
    reconnect_ivl_max: int = 0

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Set the socket's options."""
        socket.maxmsgsize = self.maxmsgsize
        socket.handshake_ivl = self.handshake_ivl
        if self.heartbeat_ivl:
            # TCP asks. ZeroMQ could (ZMQ_HEARTBEAT_IVL), but it ends the whole process when it is to ask on a
            # connection that was reset while its messages were not taken (libzmq's issue 4364).
            seconds = _between(1, round(self.heartbeat_ivl / 1000), _LONGEST_KEEPALIVE)
            times = round(self.heartbeat_timeout / (1000 * seconds))
            socket.tcp_keepalive = 1
            socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = seconds
            socket.tcp_keepalive_cnt = _between(1, times, _MOST_KEEPALIVES)
        socket.tcp_maxrt = self.tcp_maxrt
        socket.reconnect_ivl, socket.reconnect_ivl_max = self._intervals()

    def _intervals(self) -> tuple[int, int]:
        """ZMQ_RECONNECT_IVL and ZMQ_RECONNECT_IVL_MAX, so that not all who lost the same peer come back at once.

        libzmq 4.3.5 adds a random time to each interval, up to as long, but only where the intervals do not grow
        (`stream_connecter_base_t::get_new_reconnect_ivl`). Where they do, each socket has intervals of its own.
        """
        first = _between(1, self.reconnect_ivl, LARGEST_INT)
        most = _between(0, self.reconnect_ivl_max, LARGEST_INT)
        if not most:
            return first, 0
        most -= random.randrange(most // 4 + 1)  # noqa: S311 - it is no secret
        return min(first + random.randrange(first), most), most  # noqa: S311


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


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
    def sends(self) -> bool:
        """Whether it only sends."""
        return self.socket_type in ("PUB", "PUSH")

    @property
    def in_process(self) -> bool:
        """Whether it reaches other sockets of this process, for which they must share a context."""
        return any(endpoint.startswith("inproc:") for endpoint in self.endpoints)
