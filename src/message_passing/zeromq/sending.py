"""The sending side: accepts batches, never waits, buffers the first messages, counts what it drops and why.

It belongs to one thread, or to a lock; it needs no event loop. What it does with a message:

    a peer wants it, and the pipe has room       sent
    no connected peer wants it                   buffered, up to the high-water mark (a bound PUB: for a while)
    the pipe is full                             dropped, or kept as backlog up to `overflow` messages

Where something has to be dropped, it is the newest, or with `drop_oldest` the oldest of what is buffered.

A PUB receives its subscriptions (it is an XPUB underneath). For a PUSH that connects, the monitor shows whether a
peer is connected; a bound one finds out by sending. What was given to ZeroMQ while a peer was connected and had not
left when it disconnected is in ZeroMQ's own queue, whose length is not available: see `possible`.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.lines import message_count
from message_passing.metrics import UNSENT
from message_passing.zeromq.held import Held
from message_passing.zeromq.outgoing import Outgoing
from message_passing.zeromq.progress import SLOW_SUBSCRIBER

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from message_passing.delivery import Hold
    from message_passing.zeromq.settings import SocketSettings
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

__all__ = ["NO_SUBSCRIBER", "QUEUE_FULL", "SLOW_SUBSCRIBER", "TOO_BIG", "UNSENT", "Sender"]

NO_SUBSCRIBER = "no subscriber"
QUEUE_FULL = "queue full"
TOO_BIG = "too big"

CLAIM = 10.0
"""Seconds after a receiver's first subscription for which a connecting PUB buffers what is not subscribed to."""

GATHERING = 0.2
"""Seconds after opening in which a bound PUB sends nothing, or `subscribe_delay` if that is less: waiting peers retry
every 0.1 or 0.2 seconds, and without this delay only the first would get all messages."""

UNLIMITED = 1 << 62
"""No bound in messages; the bound in bytes remains (`held.HELD_BYTES`)."""

SEND_BATCH = 1000
"""The most messages of the next batch: a sender with patience has room for as many, or waits."""

_LEAST = 0.1  # seconds that closing may always take, as far as `linger` allows
_LOOK_INTERVAL = 0.05  # seconds between two polls of the monitor
_HEAR_INTERVAL = 0.01  # seconds; once a peer is connected, polling at every call would double its cost
_TICK = 5  # milliseconds between two attempts to send to an XPUB whose pipe is full: it never signals room


class Sender:
    """One sending socket, and the messages that wait for it.

    Attributes:
        dropped: messages lost, by reason, counting each frame as those it carries.
        overflow: how many messages may wait here while a peer's pipe is full. 0 until the caller promises to
            wait for `backlog()` to go down before sending more. `UNLIMITED` where the caller waits for as long as
            it takes, so that nothing is dropped for lack of room.
        drop_oldest: what is dropped when nothing more may be buffered: see above.
        outgoing: the socket.
        unsent_why: why messages were left when it was closed, in words; empty if unknown.
    """

    def __init__(
        self,
        settings: SocketSettings,
        *,
        subscribe_delay: float = 0.2,
        watched: bool = True,
        on_drop: Callable[[int, str], object] = lambda _count, _reason: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Prepare it.

        Args:
            settings: what to open.
            subscribe_delay: how long a bound PUB buffers what no peer has subscribed to, in seconds.
            watched: see `Outgoing`. If False, `tend` must be called now and then.
            on_drop: called at each loss with the number of messages and the reason.
            clock: seconds, monotonic.
        """
        self.dropped: Counter[str] = Counter()
        self._on_drop = on_drop
        self.overflow = 0
        self.unsent_why = ""
        self.drop_oldest = False
        self.outgoing = Outgoing(settings, watched=watched)
        self._settings = settings
        self._limit = settings.hwm or UNLIMITED
        self._delay = subscribe_delay
        self._clock = clock
        self._held = Held()
        self._opened_at = self._heard_at = self._looked_at = self._claimed_at = 0.0
        self._gathers_until = 0.0

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self.outgoing.open()
        self._opened_at = self._clock()
        if self._settings.bind and self.outgoing.prefixes is not None:
            self._gathers_until = self._opened_at + min(self._delay, GATHERING)

    @property
    def sent(self) -> int:
        """ZeroMQ messages passed to libzmq."""
        return self.outgoing.sent

    @property
    def given(self) -> int:
        """The same, of a frame as many as it carries."""
        return self.outgoing.progress.given(self.sent)

    @property
    def notices(self) -> ThrottledWarnings:
        """The notices about peers."""
        return self.outgoing.notices

    @property
    def file_descriptor(self) -> int:
        """Readable when `service` should be called (ZMQ_FD: at times also readable without cause)."""
        return self.outgoing.file_descriptor

    @property
    def held(self) -> int:
        """ZeroMQ messages that wait here."""
        return len(self._held)

    def hold(self, hold: Hold) -> None:
        """See `Held.hold`."""
        self._held.hold(hold)

    def problems(self) -> list[str]:
        """What prevents it from sending: see `Outgoing.problems`."""
        return self.outgoing.problems(unsent=len(self._held.unclaimed) + self.dropped[NO_SUBSCRIBER])

    def carried(self) -> int:
        """The same, of a frame as many as it carries."""
        return self._held.carried()

    @property
    def possible(self) -> dict[str, int]:
        """At most how many other messages may have been lost, by reason: see `Progress`."""
        return self.outgoing.progress.possible(self.sent)

    @property
    def subscribed(self) -> int:
        """A number that changes with the subscriptions."""
        prefixes = self.outgoing.prefixes
        return prefixes.changes if prefixes is not None else 0

    def send_many(self, messages: Sequence[bytes], size: int | None = None) -> None:
        """Send a batch, buffer it, or count its loss. Never waits, never raises because of a peer's actions.

        Args:
            messages: the batch.
            size: their bytes, where these have been added up.
        """
        self.service()
        prefixes = self.outgoing.prefixes
        if prefixes is not None and not prefixes.everything:
            (messages, others), size = prefixes.split(messages), None
            self._put_aside(others)
        done = 0
        if self._listening() and not self._held.waiting:
            done = self._send(messages, size)
        if done < len(messages):
            self._keep(messages[done:])

    def offer(self, messages: Sequence[bytes], *, size: int | None = None, quiet: bool = False) -> int:
        """Send as many of a batch as possible at once, and buffer none: for a caller with its own queue.

        The GIL is kept meanwhile where no unauthenticated peer can connect: the caller runs among busy threads
        and must not wait to reacquire it (`direct`).

        Args:
            messages: what to send.
            size: their bytes, where these have been added up.
            quiet: do not poll the peers: see `Outgoing.send`.

        Returns:
            How many, from the first on, were sent. One that no peer has subscribed to is not: see `unclaimed`.
        """
        if not self.ready(quiet=quiet):
            return 0
        prefixes = self.outgoing.prefixes
        if prefixes is not None and not prefixes.everything:
            messages, size = list(takewhile(prefixes.match, messages)), None
        if not messages:
            return 0
        return self.outgoing.send(messages, size=size, holding=True, patient=True, quiet=quiet)

    def ready(self, *, quiet: bool = False) -> bool:
        """Whether any peer is ready, so that offering is worthwhile.

        Args:
            quiet: as for `offer`.
        """
        if not quiet:
            self.service()
        return self._listening()

    def unclaimed(self, messages: Sequence[bytes]) -> int:
        """How many of these, from the first on, no peer has subscribed to, though there are subscriptions."""
        prefixes = self.outgoing.prefixes
        if prefixes is None or prefixes.everything or not self.outgoing.listening():
            return 0
        match = prefixes.match
        return sum(1 for _ in takewhile(lambda message: not match(message), messages))

    @property
    def intact(self) -> bool:
        """Whether the socket's descriptors are still open: see `OpenSocket.is_intact`."""
        return self.outgoing.intact

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors of the connections that are known to have succeeded."""
        return self.outgoing.peers.descriptors if self.outgoing.peers else frozenset()

    def service(self) -> None:
        """Process new subscriptions and send what waits, as far as possible."""
        self.tend()
        held, prefixes = self._held, self.outgoing.prefixes
        settled = (
            prefixes is not None and prefixes.everything and not held.waiting and self.outgoing.listening()
        )
        if not settled or self._clock() - self._heard_at >= _HEAR_INTERVAL:
            self._hear()
        if held.waiting and self._listening():
            self._flush()
        if held.unclaimed and self._too_late():
            self._drop(held.clear(held.unclaimed), NO_SUBSCRIBER)

    def tend(self) -> None:
        """Poll the peers, if it is time, and let ZeroMQ process their events."""
        if self._clock() - self._looked_at >= _LOOK_INTERVAL and self.outgoing.intact:
            self._look()
            self._hear()

    def backlog(self) -> int:
        """How many buffered messages a sender with patience should wait for.

        A peer is connected, but slow or stopped. Or none is connected yet, and the buffer has no room for a next
        batch: connecting to a running receiver takes a moment.
        """
        if not self._held:
            return 0
        if self._somebody():
            return len(self._held.waiting)
        return len(self._held) if len(self._held) > self._limit - min(self.overflow, SEND_BATCH) else 0

    def under_way(self) -> int | None:
        """A number that changes as receivers accept data, while all are connected and something is left to send.

        None otherwise; and where that is unknown (ipc), once nothing waits here.
        """
        self.service()
        if not self.outgoing.all_there():
            return None
        left = self.outgoing.leaving()
        return None if left is None and not self._held.waiting else self.sent + (left or 0)

    def _send(self, messages: Sequence[bytes], size: int | None = None) -> int:
        return self.outgoing.send(
            messages, size=size, patient=self.overflow > 0, leaves_behind=self.overflow < UNLIMITED
        )

    def poll(self, milliseconds: int) -> None:
        """Wait for at most this long for a change: a peer that is ready, or room to send."""
        listening = self.outgoing.listening()
        if listening and self.outgoing.prefixes is None:
            self.outgoing.socket.poll(milliseconds, zmq.POLLOUT)
        else:
            crowded = listening and self._held.waiting
            self.outgoing.socket.poll(min(milliseconds, _TICK) if crowded else milliseconds, zmq.POLLIN)

    def close(self, since: float | None = None) -> None:
        """Send what waits, waiting for a first peer and for the pipes to empty no longer than is set.

        Takes at most the longer of `subscribe_delay` and `linger`, and then at most `linger` more.

        Args:
            since: the moment from which that counts, if not now: what waits has been served since. At least a tenth
                of a second is always left.
        """
        if not self.outgoing.is_open:
            return
        linger, now = self._settings.linger / 1000, self._clock()
        deadline = (now if since is None else since) + max(self._delay, linger)
        last = deadline + linger
        deadline = max(deadline, now + min(_LEAST, max(self._delay, linger)))
        self.service()
        while self._held and (left := deadline - self._clock()) > 0:
            self.poll(max(1, int(min(left, 0.05) * 1000)))
            self._look()
            self.service()
            self.unsent_why = self.outgoing.obstacle()
        held = self._held
        if not held or (self.sent and not held.waiting):  # otherwise `NO_SUBSCRIBER` reports it
            self.unsent_why = ""
        if held.unclaimed:
            reason = NO_SUBSCRIBER if self.outgoing.somebody() else UNSENT
            self._drop(held.clear(held.unclaimed), reason)
        if held.waiting:
            self._drop(held.clear(held.waiting), UNSENT)
        self.close_socket(int(1000 * min(linger, max(_LEAST, last - self._clock()))))

    def close_socket(self, linger: int) -> None:
        """Close the socket, waiting up to `linger` milliseconds for sent messages to leave."""
        self.outgoing.close(linger)

    def abandon(self) -> None:
        """Reset in a forked child: the socket is the parent's, and so is what waited to be sent."""
        self._held = Held()
        self.outgoing.abandon()

    def _listening(self) -> bool:
        """Whether messages may be given to ZeroMQ now."""
        return self.outgoing.listening() and not (self._gathers_until and self._gathers())

    def _somebody(self) -> bool:
        """Whether any peer is connected to which messages may be sent."""
        return self.outgoing.somebody() and not (self._gathers_until and self._gathers())

    def _gathers(self) -> bool:
        """Whether other peers that have waited as long as the first may still connect: see `GATHERING`."""
        if self._clock() < self._gathers_until:
            return True
        self._gathers_until = 0.0
        return False

    def _look(self) -> None:
        self._looked_at = self._clock()
        self.outgoing.look()

    def _hear(self) -> None:
        self._heard_at = self._clock()
        prefixes = self.outgoing.prefixes
        before = bool(prefixes)
        if self.outgoing.hear() and prefixes is not None:
            self._held.sort(prefixes)
            self._claimed_at = self._claimed_at if before else self._clock()

    def _too_late(self) -> bool:
        """Whether to stop waiting for subscribers to messages that no peer has subscribed to."""
        if self._settings.connect:
            return self.outgoing.listening() and self._clock() - self._claimed_at >= CLAIM
        return self._clock() - self._opened_at >= self._delay

    def _flush(self) -> None:
        held = self._held
        while held.waiting and self.outgoing.listening():
            batch = held.first(1000)
            done = self._send(batch)
            held.remove(done)
            if done < len(batch):
                return
            self._hear()

    def _put_aside(self, messages: Sequence[bytes]) -> None:
        """Buffer what no peer has subscribed to."""
        if not messages:
            return
        if self._too_late():
            self._drop(message_count(messages), NO_SUBSCRIBER)
        else:
            self._hold(self._held.unclaimed, messages, self._most() - len(self._held))

    def _keep(self, messages: Sequence[bytes]) -> None:
        """Buffer what a peer wants and cannot be sent."""
        somebody = self._somebody()
        most = self.overflow - len(self._held.waiting) if somebody else self._most() - len(self._held)
        self._hold(self._held.waiting, messages, most)

    def _most(self) -> int:
        """How many messages may be buffered for a peer that is not connected.

        A chain's PUSH that connects accepts a batch before it waits, with or without a worker.
        """
        pushes = self._settings.socket_type == "PUSH" and bool(self._settings.connect)
        return self._limit + self.overflow if pushes or self.overflow == UNLIMITED else self._limit

    def _hold(self, queue: deque[bytes], messages: Sequence[bytes], most: int) -> None:
        """Buffer what there is room for, and drop the newest of the rest, as ZeroMQ itself does, or the oldest."""
        keep = self._held.keep_newest if self.drop_oldest else self._held.keep
        if refused := keep(queue, messages, most):
            self._drop(message_count(refused), QUEUE_FULL)

    def _drop(self, count: int, reason: str) -> None:
        self.dropped[reason] += count
        self._held.lose()
        self._on_drop(count, reason)
