"""The sending side: takes batches, never waits, holds the first messages, counts what it drops and why.

It belongs to one thread, or to a lock; it needs no event loop. What it does with a message:

    somebody wants it, and the pipe has room     sent
    nobody is there who wants it                 held, up to the high-water mark (a bound PUB: for a while)
    the pipe is full                             dropped, or kept as backlog up to `overflow` messages

Where something has to be dropped, it is the newest, or with `drop_oldest` the oldest of what is held.

A PUB listens to its subscriptions (it is an XPUB underneath). Of a PUSH that connects, the monitor tells whether a
peer is there; a bound one finds out by sending. What was given to ZeroMQ while somebody was there and had not left
when he went is in ZeroMQ's own queue, which tells nobody how much it holds: see `possible`.
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
"""Seconds after a receiver's first subscription that a connecting PUB holds what it did not ask for."""

GATHERING = 0.2
"""Seconds after its opening in which a bound PUB sends nothing, or `subscribe_delay` if that is less: those who have
waited for it try to connect every tenth of a second, or fifth, and without this only the first would get all."""

UNLIMITED = 1 << 62
"""No bound in messages: that in bytes remains (`held.HELD_BYTES`)."""

SEND_BATCH = 1000
"""Messages that a next batch may have: a sender with patience has room for as many, or waits."""

_LEAST = 0.1  # seconds that closing has in any case, as far as `linger` allows them
_LOOK_INTERVAL = 0.05  # seconds between two looks at what the monitor says
_HEAR_INTERVAL = 0.01  # seconds; once somebody listens, asking at every call would double its cost
_TICK = 5  # milliseconds between two tries to send to an XPUB whose pipe is full: it never says when there is room


class Sender:
    """One sending socket, and what waits for it.

    Attributes:
        dropped: messages lost, by reason; of a frame as many as it carries.
        overflow: how many messages may wait here while a listener's pipe is full. 0 until somebody promises
            to wait for `backlog()` to go down before sending more. `UNLIMITED` where whoever sends waits for as long
            as it takes, so that nothing is dropped for want of room.
        drop_oldest: what makes room where nothing more may be held: see above.
        outgoing: the socket.
        unsent_why: why messages were left when it was closed, in words; empty if that is not known.
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
            subscribe_delay: how long a bound PUB holds what nobody has subscribed to, in seconds.
            watched: see `Outgoing`. Without, `tend` must be called now and then.
            on_drop: told of each loss: how many messages, and why.
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
        """Messages handed to ZeroMQ."""
        return self.outgoing.sent

    @property
    def given(self) -> int:
        """The same, of a frame as many as it carries."""
        return self.outgoing.progress.given(self.sent)

    @property
    def notices(self) -> ThrottledWarnings:
        """What there is to say to a person about peers."""
        return self.outgoing.notices

    @property
    def file_descriptor(self) -> int:
        """Readable when `service` should be called (ZMQ_FD: also readable for nothing, at times)."""
        return self.outgoing.file_descriptor

    @property
    def held(self) -> int:
        """ZeroMQ messages that wait here."""
        return len(self._held)

    def hold(self, hold: Hold) -> None:
        """See `Held.hold`."""
        self._held.hold(hold)

    def problems(self) -> list[str]:
        """What keeps it from sending: see `Outgoing.problems`."""
        return self.outgoing.problems(unsent=len(self._held.unclaimed) + self.dropped[NO_SUBSCRIBER])

    def carried(self) -> int:
        """The same, of a frame as many as it carries."""
        return self._held.carried()

    @property
    def possible(self) -> dict[str, int]:
        """Messages besides these that may have been lost, at most, by reason: see `Progress`."""
        return self.outgoing.progress.possible(self.sent)

    @property
    def subscribed(self) -> int:
        """A number that changes with what is subscribed to."""
        prefixes = self.outgoing.prefixes
        return prefixes.changes if prefixes is not None else 0

    def send_many(self, messages: Sequence[bytes], size: int | None = None) -> None:
        """Send a batch, or hold it, or count its loss. Never waits, never raises for what a peer does.

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

    def offer(self, messages: Sequence[bytes], *, quiet: bool = False) -> int:
        """Send as many of a batch as go at once, and hold none: for a caller with a queue of its own.

        The GIL is kept meanwhile where no strangers can connect: the caller lives among busy threads and must
        not wait for a turn (`direct`).

        Args:
            messages: what to send.
            quiet: do not hear what peers do: see `Outgoing.send`.

        Returns:
            How many, from the first on, were sent. One that nobody has subscribed to is not: see `unclaimed`.
        """
        if not self.ready(quiet=quiet):
            return 0
        prefixes = self.outgoing.prefixes
        if prefixes is not None and not prefixes.everything:
            messages = list(takewhile(prefixes.match, messages))
        return self.outgoing.send(messages, holding=True, patient=True, quiet=quiet) if messages else 0

    def ready(self, *, quiet: bool = False) -> bool:
        """Whether anybody listens: it is worth while to offer something.

        Args:
            quiet: as for `offer`.
        """
        if not quiet:
            self.service()
        return self._listening()

    def unclaimed(self, messages: Sequence[bytes]) -> int:
        """How many of these, from the first on, nobody has subscribed to, though somebody has to something."""
        prefixes = self.outgoing.prefixes
        if prefixes is None or prefixes.everything or not self.outgoing.listening():
            return 0
        match = prefixes.match
        return sum(1 for _ in takewhile(lambda message: not match(message), messages))

    @property
    def intact(self) -> bool:
        """Whether nobody has closed the socket's descriptors: see `OpenSocket.is_intact`."""
        return self.outgoing.intact

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors of the connections that are known to have succeeded."""
        return self.outgoing.peers.descriptors if self.outgoing.peers else frozenset()

    def service(self) -> None:
        """Hear new subscriptions and send what waits, as far as that goes."""
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
        """Look at the peers, if it is time, and let ZeroMQ take note of what they did."""
        if self._clock() - self._looked_at >= _LOOK_INTERVAL and self.outgoing.intact:
            self._look()
            self._hear()

    def backlog(self) -> int:
        """How many messages wait that a sender with patience should wait for.

        Somebody is there: slow, or standing still. Or nobody is there yet, and what is held leaves no room
        for a next batch: a receiver that is there takes a moment to be found.
        """
        if not self._held:
            return 0
        if self._somebody():
            return len(self._held.waiting)
        return len(self._held) if len(self._held) > self._limit - min(self.overflow, SEND_BATCH) else 0

    def under_way(self) -> int | None:
        """A number that changes as receivers take something, while they are there, all of them, and have not all.

        None otherwise; and where the system does not tell (ipc), once nothing waits here.
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
        """Wait that long at most for something to change: somebody to listen, or room to send."""
        listening = self.outgoing.listening()
        if listening and self.outgoing.prefixes is None:
            self.outgoing.socket.poll(milliseconds, zmq.POLLOUT)
        else:
            crowded = listening and self._held.waiting
            self.outgoing.socket.poll(min(milliseconds, _TICK) if crowded else milliseconds, zmq.POLLIN)

    def close(self, since: float | None = None) -> None:
        """Send what waits, waiting for a first listener and for the pipes to empty no longer than is set.

        Takes at most the longer of `subscribe_delay` and `linger`, and then at most `linger` more.

        Args:
            since: the moment from which that counts, where it is not now: what waits has been looked after since.
                A tenth of a second is left in any case.
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
        if not held or (self.sent and not held.waiting):  # otherwise `NO_SUBSCRIBER` says it
            self.unsent_why = ""
        if held.unclaimed:
            reason = NO_SUBSCRIBER if self.outgoing.somebody() else UNSENT
            self._drop(held.clear(held.unclaimed), reason)
        if held.waiting:
            self._drop(held.clear(held.waiting), UNSENT)
        self.close_socket(int(1000 * min(linger, max(_LEAST, last - self._clock()))))

    def close_socket(self, linger: int) -> None:
        """Close the socket; what was sent and has not left may take `linger` milliseconds, which this waits."""
        self.outgoing.close(linger)

    def abandon(self) -> None:
        """In a forked child: the socket is the parent's, and so is what waited to be sent."""
        self._held = Held()
        self.outgoing.abandon()

    def _listening(self) -> bool:
        """Whether messages may be given to ZeroMQ now."""
        return self.outgoing.listening() and not (self._gathers_until and self._gathers())

    def _somebody(self) -> bool:
        """Whether anybody is there to whom messages may be given."""
        return self.outgoing.somebody() and not (self._gathers_until and self._gathers())

    def _gathers(self) -> bool:
        """Whether others may come who have waited as long as the first: see `GATHERING`."""
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
        """Whether nobody will come any more for what nobody has subscribed to."""
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
        """Hold what nobody has subscribed to."""
        if not messages:
            return
        if self._too_late():
            self._drop(message_count(messages), NO_SUBSCRIBER)
        else:
            self._hold(self._held.unclaimed, messages, self._most() - len(self._held))

    def _keep(self, messages: Sequence[bytes]) -> None:
        """Hold what somebody wants and cannot be sent."""
        somebody = self._somebody()
        most = self.overflow - len(self._held.waiting) if somebody else self._most() - len(self._held)
        self._hold(self._held.waiting, messages, most)

    def _most(self) -> int:
        """How many messages may be held for somebody who is not there.

        A chain's PUSH that connects takes a batch before it waits, whether a worker is there or not.
        """
        pushes = self._settings.socket_type == "PUSH" and bool(self._settings.connect)
        return self._limit + self.overflow if pushes or self.overflow == UNLIMITED else self._limit

    def _hold(self, queue: deque[bytes], messages: Sequence[bytes], most: int) -> None:
        """Hold what there is room for; of the others the newest are dropped, as ZeroMQ itself does, or the oldest."""
        keep = self._held.keep_newest if self.drop_oldest else self._held.keep
        if refused := keep(queue, messages, most):
            self._drop(message_count(refused), QUEUE_FULL)

    def _drop(self, count: int, reason: str) -> None:
        self.dropped[reason] += count
        self._held.lose()
        self._on_drop(count, reason)
