"""A thread beside a sending socket: it notices peers at once, and disconnects those that send too much.

ZeroMQ queues a monitor's events until they are read, without a bound; and it processes what peers send to the socket
within the next call, for as long as they continue. An idle sender makes no calls, and a busy one is delayed: so this
is the task of another thread, which never waits for the senders' lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Protocol

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.arrivals import Arrivals
from message_passing.zeromq.monitor_events import (
    EVENT_ACCEPTED,
    EVENT_MONITOR_STOPPED,
)
from message_passing.zeromq.peer_budget import EACH, GONE, TOGETHER, PeerBudget

if TYPE_CHECKING:
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.peers import Peers
    from message_passing.zeromq.progress import Progress
    from message_passing.zeromq.subscriptions import Prefixes
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_AT_ONCE, _OFTEN, _RARELY = 0.002, 0.05, 1.0
"""Seconds between two checks: while peers send, up to a megabyte in 0.1 s; while we send; and otherwise.

Events gather for the shortest of these, so that a flood of connections does not wake us for each.
"""

_BETWEEN = 0.5
"""Seconds between two signals to the sender that peers have connected or disconnected."""

_GRACE = 2.0
"""Seconds that closing waits for a thread that does not respond."""

_EACH = 0.001
"""Additional seconds for each connection, so that many of them cost no more than a few."""


class Watched(Protocol):
    """What must be known about the socket: see `Outgoing`."""

    sent: int
    notices: ThrottledWarnings
    prefixes: Prefixes | None
    progress: Progress

    def changed(self) -> object:
        """Signal that a peer has connected or disconnected: ZeroMQ notices only in a call into the socket."""


class SenderWatcher:
    """The watcher of one sending socket.

    Attributes:
        cut: how many peers were disconnected because they sent too much.
        shut: how often new connections were refused for a while because former peers had sent too much.
    """

    def __init__(self, peers: Peers, watched: Watched, *, guards: bool, alone: bool = True) -> None:
        """Begin: before the socket is bound or connected. Where no thread is available, the sender stands in.

        Args:
            peers: the socket's.
            watched: the socket.
            guards: whether any peer may connect, and is disconnected if it sends too much.
            alone: whether it has its own thread; otherwise the sender calls `stand_in` now and then.
        """
        self.cut = self.shut = 0
        self._peers = peers
        self._watched = watched
        # How many peers had connected or disconnected at the last signal, and when that was.
        self._told, self._told_at = (0, 0.0)
        self._budget = PeerBudget() if guards else None
        self._looked = self._alive = self._noted = monotonic()
        self._thread: threading.Thread | None = None
        if alone:
            self._start()

    def _start(self) -> None:
        self._descriptor = int(self._peers.monitor.events.fileno())
        self._thread = threading.Thread(target=self._run, name="message-passing-watcher", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or no thread is available
            self._thread = None

    def _run(self) -> None:
        # The socket may be closed elsewhere, or its context end; and no descriptor may be free.
        with contextlib.suppress(zmq.ZMQError, OSError), Arrivals(self._descriptor) as arrivals:
            pause = 0.0  # the monitor's descriptor signals only what arrives after everything was read
            while True:
                happened = arrivals.wait(pause)
                self._alive = monotonic()
                if not self._read(arrivals):
                    return
                pause = self._pause(arrivals)
                if happened or self._alive - self._looked >= pause:
                    self._look()
                    pause = self._pause(arrivals)
                if happened:
                    time.sleep(_AT_ONCE)

    def _read(self, arrivals: Arrivals) -> bool:
        """Process what has happened; return whether there can be more."""
        events = self._peers.look()
        happened = self._peers.met + self._peers.ended != self._told
        if (happened and self._alive - self._told_at >= _BETWEEN) or self._peers.lookups.unresolved:
            self._told, self._told_at = self._peers.met + self._peers.ended, self._alive
            self._watched.changed()
        if self._budget:
            for event in events:
                if event.number == EVENT_ACCEPTED:
                    arrivals.expect(event.value)
        return not any(event.number == EVENT_MONITOR_STOPPED for event in events)

    def stand_in(self) -> None:
        """Do the thread's work where it does not run: uWSGI without threads, the end of the interpreter."""
        now = monotonic()
        if self._thread is None or now - self._alive > 2 * _RARELY:
            self._peers.look()
            if now - self._looked >= _OFTEN:
                self._look()

    def _pause(self, arrivals: Arrivals) -> float:
        if self._peers.met + self._peers.ended != self._told:
            return _OFTEN
        if self._budget and self._budget.crowded:
            return _OFTEN
        if not (count := len(self._peers.connections)):
            return _RARELY
        if self._budget and self._budget.moves:
            return max(_AT_ONCE, count * _EACH)
        busy = self._watched.progress.unsettled(self._watched.sent) or (self._budget and not arrivals.certain)
        return max(_OFTEN if busy else _RARELY, count * _EACH)

    def _look(self) -> None:
        self._looked = monotonic()
        sent = self._watched.sent
        if not self._budget and not self._watched.progress.unsettled(sent):
            return
        traffic = self._peers.traffic()
        if self._looked - self._noted >= _OFTEN:
            self._noted = self._looked
            self._watched.progress.look(sent, list(traffic.values()))
        if self._budget:
            prefixes = self._watched.prefixes
            too_many = prefixes is not None and prefixes.too_many()
            crowded = self._budget.crowded
            self._disconnect(self._budget.excess(traffic, self._looked, too_many=too_many))
            if crowded != self._budget.crowded:
                self._shut(self._budget)

    def _disconnect(self, found: dict[Connection, int]) -> None:
        for connection, count in found.items():
            if self._peers.disconnect([connection]):
                self.cut += 1
                self._watched.notices.say(
                    f"budget {connection.port}",
                    f"port {connection.port}: {connection.address} sent {count} bytes to a socket that only sends, "
                    f"and was disconnected: {EACH} are allowed at once, {TOGETHER} for all connections",
                )

    def _shut(self, budget: PeerBudget) -> None:
        """Stop accepting connections, or accept them again."""
        self._peers.admit(newcomers=not budget.crowded)
        listeners = self._peers.connections.listeners
        if budget.crowded and listeners:
            self.shut += 1
            self._watched.notices.say(
                "budget",
                f"connections that have ended had sent {int(budget.gone)} bytes to a socket that only sends: nobody "
                f"can connect to it for some seconds; {TOGETHER} are allowed at once, and {GONE} a second",
            )

    def stop(self) -> None:
        """End the events and the thread, and wait for it. From the thread that calls into the socket."""
        self._peers.end()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(_GRACE)
        self._peers.close()
