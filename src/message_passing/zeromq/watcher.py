"""A thread beside a sending socket: it takes note of peers at once, and ends the connection of who sends too much.

ZeroMQ keeps what a socket's monitor has to say until somebody reads it, without a bound; and what peers send to the
socket it works through within the next call, for as long as they go on. A sender that is idle makes no calls, and one
that is at it is held up: so this is another thread's business, and it never waits for the lock of those who send.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Protocol

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.arrivals import Arrivals
from message_passing.zeromq.peer_budget import EACH, GONE, TOGETHER, PeerBudget
from message_passing.zeromq.peers import STOPPED

if TYPE_CHECKING:
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.peers import Peers
    from message_passing.zeromq.progress import Progress
    from message_passing.zeromq.subscriptions import Prefixes
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_AT_ONCE, _OFTEN, _RARELY = 0.002, 0.05, 1.0
"""Seconds between two looks: while peers send, who bring a megabyte in 0.1; while we do; and otherwise.

What happens gathers for the shortest of these, so that a flood of connections does not wake us for each.
"""

_BETWEEN = 0.5
"""Seconds between two times that who sends is told that peers have come or gone."""

_GRACE = 2.0
"""Seconds that closing waits for a thread that does not run."""

_EACH = 0.001
"""Seconds more for each connection, so that many of them cost no more than a few."""


class Watched(Protocol):
    """What is to be known of the socket: see `Outgoing`."""

    sent: int
    notices: ThrottledWarnings
    prefixes: Prefixes | None
    progress: Progress

    def changed(self) -> object:
        """A peer has come or gone: soon somebody must call into the socket, for ZeroMQ to take note of it."""


class SenderWatcher:
    """Beside one sending socket.

    Attributes:
        cut: how many peers were disconnected since they sent too much.
        shut: how often nobody could connect for a while, since those who had gone had sent too much.
    """

    def __init__(self, peers: Peers, watched: Watched, *, guards: bool, alone: bool = True) -> None:
        """Begin: before the socket is bound or connected. Where no thread can be had, the sender stands in.

        Args:
            peers: the socket's.
            watched: the socket.
            guards: whether anybody may connect, and is disconnected if he sends too much.
            alone: whether it has a thread; otherwise the sender calls `stand_in` now and then.
        """
        self.cut = self.shut = 0
        self._peers = peers
        self._watched = watched
        self._told, self._told_at = (
            0,
            0.0,
        )  # how many peers had come or gone when that was told last, and when
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
        except RuntimeError:  # the interpreter is ending, or threads are not to be had
            self._thread = None

    def _run(self) -> None:
        # Somebody else may close the socket, or end its context; and no descriptor may be free.
        with contextlib.suppress(zmq.ZMQError, OSError), Arrivals(self._descriptor) as arrivals:
            pause = 0.0  # the monitor's descriptor tells only of what comes after somebody has read all
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
        """Take note of what has happened; whether there can be more."""
        events = self._peers.look()
        happened = self._peers.met + self._peers.ended != self._told
        if (happened and self._alive - self._told_at >= _BETWEEN) or self._peers.lookups.unresolved:
            self._told, self._told_at = self._peers.met + self._peers.ended, self._alive
            self._watched.changed()
        if self._budget:
            for event in events:
                if event.number == zmq.EVENT_ACCEPTED:
                    arrivals.expect(event.value)
        return not any(event.number == STOPPED for event in events)

    def stand_in(self) -> None:
        """Do what the thread would, where it does not run: uWSGI without threads, the end of the interpreter."""
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
        """Let nobody connect, or somebody again."""
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
