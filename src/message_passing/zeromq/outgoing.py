"""A sending socket and what is known of it: its peers, its subscriptions, and what has left.

It belongs to one thread, or to a lock.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.batch_send import gil_holding_send, releasing_send
from message_passing.zeromq.connection_health import PROBLEM_AFTER
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.progress import Progress
from message_passing.zeromq.reconnector import Reconnector
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.subscriptions import Prefixes, Subscriptions
from message_passing.zeromq.throttled_warnings import ThrottledWarnings
from message_passing.zeromq.watcher import SenderWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.settings import SocketSettings

_CALM = 0.05
"""Seconds for which a socket that closes at once is checked for unsent data."""

_LEAVING_PATIENCE = 0.2
"""Seconds for which a full queue accepts nothing before its subscriber counts as slow, where the sender can wait: a
burst fills the queues of all before ZeroMQ's thread has run."""

_CALMS = 2
"""The number of consecutive checks that must find nothing in flight and no progress."""


class Outgoing:
    """One socket, which may be reopened after it was closed.

    Attributes:
        sent: messages given to ZeroMQ.
        sent_bytes: their bytes.
        notices: sentences about peers, for a person.
        socket: the socket, once it is open.
        peers: its peers by its monitor, while it is open and has one.
        prefixes: the subscriptions; None for a socket that receives none.
        progress: what has left the process.
        changed: called, from another thread, when a peer has connected or disconnected: `hear` should be called
            soon. ZeroMQ processes a connection's data and end only during a call into the socket.
    """

    def __init__(self, settings: SocketSettings, *, watched: bool = True) -> None:
        """Prepare it.

        Args:
            settings: what to open.
            watched: have a thread watch it in any case, not only where any peer can connect; without one,
                `look` must be called now and then, also when nothing is sent.
        """
        self.sent = self.sent_bytes = 0
        self.notices = ThrottledWarnings()
        self.peers: Peers | None = None
        self.prefixes: Prefixes | None = None
        self.progress = Progress(settings)
        self.changed: Callable[[], object] = lambda: None
        self._settings = settings
        # A builder's socket may not receive every subscription; within a process no other peer connects.
        self._plain = not (settings.builder or settings.in_process)
        self._connects = self._plain and bool(settings.connect)
        self._watched = watched or bool(settings.bind)
        self._reconnector = Reconnector(monotonic)
        self._open: OpenSocket | None = None
        self._subscriptions: Subscriptions | None = None
        self._watcher: SenderWatcher | None = None
        self._full_since: float | None = None
        self._cut = self._shut = 0

    @property
    def intact(self) -> bool:
        """Whether the socket's descriptors are still open: see `OpenSocket.is_intact`."""
        return self._open is not None and self._open.is_intact()

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._open = OpenSocket(self._settings, self.notices)
        self.socket = self._open.socket
        try:
            if self._settings.endpoints:
                self.peers = Peers(self._open, self.notices)
            # A builder may make a PUB.
            if self._settings.socket_type == "PUB" and self.socket.type == zmq.XPUB:
                self._subscriptions = Subscriptions(self.socket, self.peers, returns=self._connects)
                self.prefixes = self._subscriptions.prefixes
            if self.peers and self._plain:
                self._watcher = SenderWatcher(
                    self.peers, self, guards=bool(self._settings.bind), alone=self._watched
                )
            self._open.attach()
        except BaseException:
            self.close(0)
            raise
        self._send_some = releasing_send(self.socket)
        # ZeroMQ processes what any peer sent to a bound socket within a call: other threads must run meanwhile.
        self._send_holding = self._send_some if self._settings.bind else gil_holding_send(self.socket)

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._open is not None

    @property
    def file_descriptor(self) -> int:
        """ZMQ_FD."""
        return self._open.file_descriptor if self._open else -1

    @property
    def waits(self) -> bool:
        """Whether a reconnect is due before long, for which `look` must be called."""
        return self._reconnector.waits

    @property
    def cut(self) -> int:
        """How many peers were disconnected because they sent too much to us."""
        return self._cut + (self._watcher.cut if self._watcher else 0)

    @property
    def shut(self) -> int:
        """How often new connections were refused for a while because former peers had sent too much."""
        return self._shut + (self._watcher.shut if self._watcher else 0)

    def look(self) -> None:
        """Process the peers' events; reconnect where that is due."""
        if self._watcher:
            self._watcher.stand_in()
        if self.peers and self._open:
            if not self._watcher:
                self.peers.look()
            if self.progress.unsettled(self.sent):  # what ZeroMQ has queued for that endpoint would be lost
                self.peers.lookups.unresolved.clear()
            self._reconnector.look_after(self._open, self.peers)
            if self.progress.behind and self.peers.now() <= 1:
                self.progress.caught_up(self.sent)
        if self._subscriptions:
            self._subscriptions.settle(self.sent)

    def hear(self) -> bool:
        """Process subscriptions, and workers that left; return whether the subscriptions have changed.

        ZeroMQ checks only now and then for workers that left; one that has gone would still be sent messages.
        """
        if self._subscriptions:
            return self._subscriptions.hear()
        self.socket.getsockopt(zmq.EVENTS)
        return False

    def listening(self) -> bool:
        """Whether ZeroMQ may be given messages: those for a peer that is away cannot be counted."""
        if self._subscriptions:
            return bool(self._subscriptions.prefixes) and self._subscriptions.there()
        return not self._connects or self.peers is None or self.peers.any()

    def somebody(self) -> bool:
        """Whether any peer is connected, as far as is known."""
        if self._subscriptions or self._connects:
            return self.listening()
        return self.peers is None or bool(self._settings.connect) or self.peers.now() > 0

    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that it is bound to, with the ports that the system chose, or connects to."""
        return self._open.endpoints() if self._open else self._settings.endpoints

    def problems(self, *, unsent: int) -> list[str]:
        """What prevents it from sending, as of the last check; any thread may ask.

        Args:
            unsent: messages that wait, or were dropped, because no peer has subscribed to them.
        """
        peers, prefixes = self.peers, self.prefixes
        if peers is None or not self._plain:
            return []
        found = peers.health.problems()
        if (
            prefixes is not None
            and unsent
            and not self.sent
            and peers.health.connected_for() >= PROBLEM_AFTER
        ):
            found += [self._unwanted(prefixes)]
        return found

    def _unwanted(self, prefixes: Prefixes) -> str:
        where = ", ".join(self.endpoints())
        if not prefixes:
            return f"{where}: the connected peers have subscribed to nothing: see option subscribe there"
        text = f"{where}: the connected peers have subscribed only to what begins with {prefixes.described()}"
        return f"{text}, and no message does: see option subscribe there"

    def obstacle(self) -> str:
        """Why no message leaves, in words for a person, after a while without progress."""
        peers, prefixes = self.peers, self.prefixes
        where = ", ".join(self.endpoints())
        if peers is None or not self._plain:
            return ""
        peers.look()
        if not peers.any():
            return peers.health.obstacle()
        if prefixes is not None and not prefixes.everything and not self.sent:
            return self._unwanted(prefixes)
        return f"{where}: the connected peers accept nothing (they are stopped or slow, or not subscribed to these)"

    def all_there(self) -> bool:
        """Whether every endpoint to connect to has a peer; for a bound socket, whether any peer is connected."""
        return self.peers is not None and self.peers.now() >= max(1, len(self._settings.connect))

    def leaving(self) -> int | None:
        """Bytes that have left so far, if ZeroMQ is known to have more; unknown for ipc."""
        if self.peers is None or not self.progress.unsettled(self.sent):
            return None
        traffic = self.peers.traffic().values()
        known = [one.acknowledged for one in traffic if one]
        return sum(known) if known and len(known) == len(traffic) else None

    def send(
        self,
        messages: Sequence[bytes],
        *,
        size: int | None = None,
        holding: bool = False,
        patient: bool = False,
        leaves_behind: bool = True,
        quiet: bool = False,
    ) -> int:
        """Send until the pipe is full; return how many were sent.

        Args:
            messages: what to send.
            size: their total bytes, where known.
            holding: keep the GIL, unless any peer can connect (`direct`).
            patient: unsent messages are offered again, so one of several subscribers is left behind only after
                `_LEAVING_PATIENCE`.
            leaves_behind: whether a slow subscriber is left behind at all; otherwise all wait for it.
            quiet: poll no peers, and leave none behind: a signal handler that raises within pyzmq loses what that
                has read, so an interrupted caller leaves this to another thread.
        """
        send = self._send_holding if holding else self._send_some
        before = self.sent
        send(messages, self)
        while (done := self.sent - before) < len(messages):
            if quiet or not (self._subscriptions and self.peers and self.peers.now() > 1):
                break
            if not leaves_behind or (patient and (done or self._may_empty())):
                break
            self._send_past_the_slow(messages[done])
            self.sent += 1
            send(messages[done + 1 :], self)
        if done:
            self._full_since = None
            sent = messages[:done]
            self.sent_bytes += sum(map(len, sent)) if size is None or done < len(messages) else size
            self.progress.add(sent)
        return done

    def _may_empty(self) -> bool:
        """Whether the full queue has been full only briefly."""
        now = monotonic()
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since < _LEAVING_PATIENCE:
            return True
        self._full_since = None
        return False

    def _send_past_the_slow(self, message: bytes) -> None:
        """Handle a full queue of one of several subscribers: the others must not lose what it cannot accept.

        ZeroMQ reports neither which one it is nor what it skips for it until half of its queue is empty.
        """
        self.progress.falls_behind(self.sent)
        self.socket.setsockopt(zmq.XPUB_NODROP, 0)
        try:
            self.socket.send(message, zmq.NOBLOCK)
        finally:
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)

    def close(self, linger: int) -> None:
        """Close it, waiting up to `linger` milliseconds for sent messages to leave."""
        if self._subscriptions:
            with suppress(zmq.ZMQError):  # the socket was closed elsewhere
                linger = self._subscriptions.await_return(self.sent, linger)
        self._subscriptions = self.prefixes = None
        connections = self.peers.now() if self.peers else 0
        if not linger and self.peers:
            self._await_calm(self.peers)
        if self._watcher:
            self._cut += self._watcher.cut
            self._shut += self._watcher.shut
            self._watcher.stop()
        elif self.peers:
            self.peers.close()
        self._watcher = self.peers = None
        if self._open:
            if not self._open.close(linger):
                self.progress.remain(self.sent, connections, something=bool(linger))
            self._open = None

    def _await_calm(self, peers: Peers) -> None:
        """Check whether all has left: ZeroMQ discards the rest when a socket is closed at once."""
        before: list[Traffic | None] = []
        calm, deadline = 0, monotonic() + _CALM
        while self.progress.unsettled(self.sent) and monotonic() < deadline:
            traffic = list(peers.traffic().values())
            if None in traffic or not traffic:
                return
            calm = calm + 1 if traffic == before and self.progress.clear(traffic) else 0
            if calm == _CALMS:
                self.progress.has_left(self.sent)
            before = traffic
            time.sleep(_CALM / 10)

    def abandon(self) -> None:
        """In a forked child: the socket is the parent's."""
        self._subscriptions = self.prefixes = self._watcher = None
        if self.peers:
            self.peers.abandon()
            self.peers = None
        if self._open:
            self._open.abandon()
            self._open = None
