"""A socket's peers: how many there are, which were rejected, and the notices about that."""

from __future__ import annotations

import contextlib
import errno
import math
import threading
from collections import Counter
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq import attempts
from message_passing.zeromq.connection_health import ConnectionHealth
from message_passing.zeromq.connections import Connections
from message_passing.zeromq.given_up import GivenUp
from message_passing.zeromq.monitor import Monitor
from message_passing.zeromq.monitor_events import (
    CONNECTION_BEGUN,
    EVENT_ACCEPTED,
    EVENT_CLOSED,
    EVENT_CONNECT_RETRIED,
    EVENT_CONNECTED,
    EVENT_DISCONNECTED,
    EVENT_HANDSHAKE_FAILED_AUTH,
    EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    EVENT_HANDSHAKE_FAILED_PROTOCOL,
    EVENT_HANDSHAKE_SUCCEEDED,
    EVENT_LISTENING,
    EVENT_MONITOR_STOPPED,
    HANDSHAKE_FAILURES,
)
from message_passing.zeromq.name_lookups import NameLookups
from message_passing.zeromq.sockets import disown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.monitor import Event
    from message_passing.zeromq.sockets import OpenSocket
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_MISFIT = "mismatched"  # for which there is no event

_LISTENERS = EVENT_LISTENING | EVENT_CLOSED
_ALWAYS = (
    (
        EVENT_HANDSHAKE_SUCCEEDED
        | EVENT_DISCONNECTED
        | EVENT_HANDSHAKE_FAILED_AUTH
        | EVENT_HANDSHAKE_FAILED_PROTOCOL
        | EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | EVENT_ACCEPTED
        | EVENT_CONNECTED
    )
    | _LISTENERS
    | EVENT_MONITOR_STOPPED
)

_PATIENCE = 10_000
"""Milliseconds for a handshake where `handshake_ivl` sets no timeout."""

_SHORT = 2.0
"""Seconds in which a mismatched peer shows: one that ends later may have completed a handshake that went unseen."""

_UNDECIPHERED = 0x11000001  # ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC; the next one is ..._MECHANISM_MISMATCH


class Peers:
    """The peers as the socket's monitor reports them. Any thread may ask.

    Attributes:
        met: how many times a peer has been connected so far.
        ended: how many connections have ended, with or without a handshake.
        nameless: how many have ended without a handshake, as ZMTP 2 or older always does.
        refused: endpoints that ZeroMQ will not retry, because a peer rejected us or was not understood: to be
            removed and reconnected by the thread that may call into the socket.
        cut_off: how many of these had completed the handshake: a frame that they sent then was too big.
        connections: the live ones, with or without a handshake.
        failures: how many handshakes have failed, by reason: either side was not authorized, they did not understand
            each other, it was broken off, or a peer that connected to us does not match, or is no ZeroMQ at all.
        health: whether connections are established, and if not, why.
        lookups: the names that do not resolve.
    """

    def __init__(self, opened: OpenSocket, notices: ThrottledWarnings | None = None) -> None:
        """Begin: before the socket is bound or connected."""
        connects = bool(opened.settings.connect)
        self.monitor = Monitor(opened, _ALWAYS | (EVENT_CONNECT_RETRIED | attempts.EVENTS if connects else 0))
        self.cut_off = 0
        self._given_up = GivenUp()
        self.met = self.ended = self.nameless = 0
        self._ended_at = -math.inf
        self.refused: set[str] = set()
        self.failures: Counter[str] = Counter()
        self.connections = Connections()
        self.health = ConnectionHealth(opened)
        self.lookups = NameLookups()
        self._notices = notices
        self._security = opened.settings.security
        self._connects = connects
        self._largest = int(opened.socket.getsockopt(zmq.MAXMSGSIZE))
        # Descriptors, in order, of connections not known to have succeeded (and since when), and of
        # those that are.
        self._shaking: dict[int, float] = {}
        self._connected: set[int] = set()
        # Whether one of several handshakes has succeeded, so that these two may have been mixed up; and whether one
        # that has not handshaken may be among the others since.
        self._mixed = self._murky = False
        self._failure: Event | None = None  # the last one that reported it
        self._failed = False  # the last event reported it of a connection that ends next
        self._lock = threading.Lock()
        self._patience = (opened.settings.limits.handshake_ivl or _PATIENCE) / 1000

    def now(self) -> int:
        """How many peers are connected, after all events so far."""
        self.look()
        return len(self._connected)

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors of their TCP and ipc connections, as of the last check."""
        return frozenset(self._connected)

    def any(self) -> bool:
        """Whether any peer is connected, as of the last check.

        For a peer with ZMTP 2 or older (RFC 15) ZeroMQ does not report a successful handshake. A peer that is still
        connected after the handshake timeout is such a one.
        """
        if self._connected or not self._shaking:
            return bool(self._connected)
        return monotonic() - next(iter(self._shaking.values())) > self._patience

    @property
    def may_be_old(self) -> bool:
        """Whether a peer may be connected without a handshake, as of the last check: ZMTP 2 or older, or not yet."""
        return bool(self._shaking) or self._murky

    def calm(self, seconds: float) -> bool:
        """Whether no connection has ended for this long, as of the last check."""
        self.look()
        return monotonic() - self._ended_at >= seconds

    def look(self) -> list[Event]:
        """Process all events since the last call."""
        with self._lock:
            events = self.monitor.read()
            for event in events:
                if self._connects and not self._failed and event.endpoint not in self.refused:
                    self._given_up.note(event, shaken=event.value in self._connected)
                self._note(event)
            self._find_given_up()
            self.health.look(connections=len(self.connections), happened=bool(events))
            return events

    def traffic(self) -> dict[Connection, Traffic | None]:
        """The traffic of each connection."""
        with self._lock:
            alive = list(self.connections)
        found: dict[Connection, Traffic | None] = {}
        for connection in alive:
            with self._lock:
                if connection in self.connections:
                    found[connection] = self.connections.traffic(connection)
        return found

    def disconnect(self, connections: Iterable[Connection]) -> int:
        """End these connections; return how many there were."""
        with self._lock:
            return self.connections.disconnect(connections)

    def admit(self, *, newcomers: bool) -> None:
        """Accept new connections or not; present ones stay. Over TCP and on Linux only."""
        with self._lock:
            if newcomers:
                self.connections.resume(self.connections.listeners)
            else:
                self.connections.refuse_new()

    def _note(self, event: Event) -> None:
        """Attribute a handshake, for which ZeroMQ names no connection: to the oldest, unless that proves wrong."""
        connection = self.connections.at(event.value)
        self.connections.note(event)
        self.health.note(event)
        self.lookups.note(event)
        failed, self._failed = self._failed, event.number in HANDSHAKE_FAILURES
        if self._failed:
            self.failures[HANDSHAKE_FAILURES[event.number]] += 1
        if event.number in CONNECTION_BEGUN:
            self._shaking[event.value] = monotonic()
        elif event.number == EVENT_HANDSHAKE_SUCCEEDED:
            self.met += 1
            self._mixed = len(self._shaking) > 1
            if self._shaking:
                self._connected.add(self._oldest())
        elif event.number == EVENT_DISCONNECTED:
            self._note_end(event, connection, failed=failed)
        elif self._failed:
            self._failure = event
            if self._connects and event.number != EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self.refused.add(event.endpoint)
            self._say(event)

    def _note_end(self, event: Event, connection: Connection | None, *, failed: bool) -> None:
        wrong = failed and event.value in self._connected and self._shaking
        if wrong:
            self._connected.add(self._oldest())
        self._connected.discard(event.value)
        if (began := self._shaking.pop(event.value, None)) is not None:
            if not self._connects and not self._mixed and monotonic() - began < _SHORT:
                self._find_misfit(failed, connection.address if connection else "")
            self.nameless += 1
            self._murky = self._murky or self._mixed
        if not len(self.connections):
            self._mixed = self._murky = False
        self.ended += 1
        self._ended_at = monotonic()

    def _find_misfit(self, failed: bool, address: str) -> None:
        """A connection to us ended during its handshake, as ZeroMQ ends one of an incompatible socket type."""
        failure = self._failure if failed else None
        if failure is None:
            self.failures[_MISFIT] += 1
        if failure is None or (
            failure.number == EVENT_HANDSHAKE_FAILED_NO_DETAIL and failure.value != errno.ECONNRESET
        ):
            self.health.broken_off(address, by_peer=failure is not None, alone=not self.any())

    def _find_given_up(self) -> None:
        for endpoint, shaken in self._given_up.take():
            self.refused.add(endpoint)
            self.cut_off += shaken
            if shaken and self._notices:
                size = f"{self._largest} bytes" if self._largest >= 0 else "there is memory for"
                text = (
                    f"{endpoint}: disconnected, since it sent a frame of more than {size}; connecting again"
                )
                self._notices.say(f"given up {endpoint}", text)

    def _oldest(self) -> int:
        descriptor = next(iter(self._shaking))
        del self._shaking[descriptor]
        return descriptor

    def _say(self, event: Event) -> None:
        text = (self._of_a_server if self._connects else self._of_a_client)(event)
        if text:
            self.health.rejected(event.endpoint, text)
        if text and self._notices:
            self._notices.say(f"{event.number} {event.value} {event.endpoint}", f"{event.endpoint}: {text}")

    def _of_a_server(self, event: Event) -> str:
        """Why a handshake with a peer that we connect to failed."""
        security = self._security
        if event.number == EVENT_HANDSHAKE_FAILED_AUTH:
            return f"the peer rejected us{f': {security.allowing()}' if security else ''}"
        if event.number == EVENT_HANDSHAKE_FAILED_PROTOCOL and event.value != _UNDECIPHERED:
            if security and security.mechanism != "NULL":
                return f"the program there does not use {security.mechanism}, and nothing is sent without it"
            return (
                "the program there requires CURVE or PLAIN (option curve_server_key), or is not ZeroMQ at all"
            )
        if security and security.mechanism == "CURVE":
            return "it broke off the handshake: curve_server_key is not its key, or it does not use CURVE"
        return ""

    def _of_a_client(self, event: Event) -> str:
        """Why the handshake of a peer that connected to us failed; the ZAP handler reports refused ones."""
        if event.number != EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return ""
        mechanism = self._security.mechanism if self._security else "NULL"
        if event.value == _UNDECIPHERED:
            return "a peer connected whose curve_server_key is not our public key"
        if mechanism == "NULL":
            return "a peer connected that requires CURVE or PLAIN, which is not set up here, or does not speak ZeroMQ"
        return f"a peer connected without {mechanism}, which is required here"

    def end(self) -> None:
        """End the events: `EVENT_MONITOR_STOPPED` is the last one. From the thread that calls into the socket."""
        with contextlib.suppress(zmq.ZMQError):  # the socket was closed elsewhere
            self.monitor.end()

    def close(self) -> None:
        """End the events, and close. From the thread that calls into the socket."""
        self.end()
        with self._lock:
            self.monitor.close()

    def abandon(self) -> None:
        """In a forked child: the events are the parent's."""
        disown(self.monitor.events)
