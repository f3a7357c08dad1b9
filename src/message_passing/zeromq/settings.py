"""The settings of a ZeroMQ socket before it is created: endpoints, limits of peers, access control."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import zmq

    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

Endpoints = tuple[tuple[str, ...], tuple[str, ...]]
"""The endpoints that a socket is bound to, as ZeroMQ writes them, and those that it connects to."""


LARGEST_INT = (1 << 31) - 1
"""The maximum of most ZeroMQ options (zmq_setsockopt(3): int)."""

_LONGEST_KEEPALIVE, _MOST_KEEPALIVES = 32767, 127
"""The maximum TCP keepalive interval, in seconds, and probe count (tcp(7)); above it, a connection would fail."""

LARGEST_FRAME = (1 << 63) - 1
"""The maximum of ZMQ_MAXMSGSIZE (int64_t)."""


class PeerGuard(Protocol):
    """The access control of a socket, in a thread of its own."""

    def stop(self) -> None:
        """End it."""

    def abandon(self) -> None:
        """Reset in a forked child: it is the parent's."""


class Security(Protocol):
    """The authentication and access control of a socket: see `security`."""

    @property
    def mechanism(self) -> str:
        """`NULL`, `PLAIN` or `CURVE`."""

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Set the socket's options."""

    def guard(
        self, context: zmq.Context[Any], notices: ThrottledWarnings, endpoints: Callable[[], Endpoints]
    ) -> PeerGuard | None:
        """Start a ZAP handler, where access is checked."""

    def allowing(self) -> str:
        """How the other side can allow us, for a rejected user."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits and timeouts of peers (zmq_setsockopt(3)); times in milliseconds.

    Attributes:
        maxmsgsize: bytes of a frame; a peer that sends a larger one is disconnected. -1 for no limit. To a send-only
            socket, no peer may send a frame above `SENDERS_FRAME`, whatever this is. An input has no limit for a
            frame where `Receiver` is given one for memory; it drops larger messages and counts them.
        handshake_ivl: the handshake timeout.
        heartbeat_ivl: how often the host of a silent peer is probed. 0 for never.
        heartbeat_timeout: how long probes may stay unanswered before the connection is given up.
        tcp_maxrt: how long sent data may stay unacknowledged. 0 for the system's default.
        reconnect_ivl: the reconnect delay; a random time of up to the same length is added. A subscriber may be late
            by twice that, so it is well under `linger`, and within `subscribe_delay`.
        reconnect_ivl_max: the maximum delay, with doubling; 0 for no growth, so that a returning peer is found soon
            however long it was away.
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
            # TCP probes. ZeroMQ could (ZMQ_HEARTBEAT_IVL), but it ends the whole process when it has to probe a
            # connection that was reset while its messages were not accepted (libzmq's issue 4364).
            seconds = _between(1, round(self.heartbeat_ivl / 1000), _LONGEST_KEEPALIVE)
            times = round(self.heartbeat_timeout / (1000 * seconds))
            socket.tcp_keepalive = 1
            socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = seconds
            socket.tcp_keepalive_cnt = _between(1, times, _MOST_KEEPALIVES)
        socket.tcp_maxrt = self.tcp_maxrt
        socket.reconnect_ivl, socket.reconnect_ivl_max = self._intervals()

    def _intervals(self) -> tuple[int, int]:
        """Set ZMQ_RECONNECT_IVL and ZMQ_RECONNECT_IVL_MAX so that peers do not all reconnect at once.

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
    """The settings from which a socket is created.

    Attributes:
        socket_type: `PUB`, `SUB`, `PUSH` or `PULL`.
        connect: endpoints to connect to.
        bind: endpoints to bind.
        hwm: high-water mark, in messages for each peer; 0 for none.
        linger: how long an unsent message may delay closing, in milliseconds.
        subscribe: a SUB socket's prefixes.
        builder: creates the socket instead, given a context.
        limits: the limits of peers.
        security: access control and authentication.
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
        """All endpoints."""
        return self.connect + self.bind

    @property
    def sends(self) -> bool:
        """Whether it only sends."""
        return self.socket_type in ("PUB", "PUSH")

    @property
    def in_process(self) -> bool:
        """Whether it uses inproc, for which sockets of this process must share a context."""
        return any(endpoint.startswith("inproc:") for endpoint in self.endpoints)
