"""The sending side: takes batches, never waits, holds the first messages, counts what it drops and why.

It belongs to one thread, or to a lock; it needs no event loop. What it does with a message:

    somebody listens, and the pipe has room     sent
    nobody listens yet                          held, up to the high-water mark (a bound PUB: for a while)
    the pipe is full                            dropped, or kept as backlog up to `overflow` messages

A PUB listens to its subscriptions (it is an XPUB underneath), a PUSH finds out by sending. A connecting
PUSH has ZeroMQ's pipe from the start, and that holds the first messages; a bound one has no pipe until a
worker connects.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import zmq

from message_passing.lines import carried
from message_passing.zeromq.direct import gil_holding_send, releasing_send
from message_passing.zeromq.notices import Notices
from message_passing.zeromq.peers import Peers, Returning
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.zeromq.direct import Send
    from message_passing.zeromq.sockets import SocketSettings

NO_SUBSCRIBER = "no subscriber"
QUEUE_FULL = "queue full"
SLOW_SUBSCRIBER = "slow subscriber"
UNSENT = "unsent at close"

_UNLIMITED = 1 << 62
TOO_BIG = "too big"

_LOOK_INTERVAL = 0.05  # seconds between two looks at what the monitor says
_HEAR_INTERVAL = 0.01  # seconds; once somebody listens, asking at every call would double its cost


class Sender:
    """One sending socket.

    Attributes:
        sent: messages handed to ZeroMQ.
        dropped: messages lost, by reason; of a frame as many as it carries.
        overflow: how many messages may wait here while a listener's pipe is full. 0 until somebody promises
            to wait for `backlog()` to go down before sending more.
        notices: what there is to say to a person about peers.
    """

    def __init__(
        self,
        settings: SocketSettings,
        *,
        subscribe_delay: float = 0.2,
        dropped: Counter[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare it.

        Args:
            settings: what to open.
            subscribe_delay: how long a bound PUB holds for its first subscriber, in seconds.
            dropped: where to count losses.
            clock: seconds, monotonic.
        """
        self.sent = 0
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        self.overflow = 0
        self.notices = Notices()
        self._settings = settings
        self._limit = settings.hwm or _UNLIMITED
        self._delay = subscribe_delay
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._prefixes: set[bytes] = set()
        self._subscriptions: Subscriptions | None = None
        self._hears = settings.socket_type == "PUB"
        self._open: OpenSocket | None = None
        self._peers: Peers | None = None
        self._returning = Returning(clock)
        self._opened_at = self._heard_at = self._looked_at = 0.0

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._open = OpenSocket(self._settings, self.notices)
        self._socket = self._open.socket
        self._hears = self._hears and self._socket.type == zmq.XPUB  # a socket_builder may make a plain PUB
        try:
            if self._settings.endpoints:
                self._peers = Peers(self._open, self.notices)
            self._open.attach()
        except BaseException:
            self.close_socket(linger=0)
            raise
        if self._hears:
            # Of a builder's socket it is not known whether it hears everything; within a process nobody connects.
            returns = self._settings.connect and not (self._settings.builder or self._settings.in_process)
            self._subscriptions = Subscriptions(self._socket, self._peers if returns else None)
            self._prefixes = self._subscriptions.prefixes
        self._opened_at = self._clock()
        self._send_some = releasing_send(self._socket)
        self._send_holding = gil_holding_send(self._socket)

    @property
    def file_descriptor(self) -> int:
        """Readable when `service` should be called (ZMQ_FD: also readable for nothing, at times)."""
        return self._open.file_descriptor if self._open else -1

    @property
    def held(self) -> int:
        """ZeroMQ messages that wait here."""
        return len(self._waiting)

    def carried(self) -> int:
        """The same, of a frame as many as it carries."""
        return carried(self._waiting)

    def send_many(self, messages: Sequence[bytes]) -> None:
        """Send a batch, or hold it, or count its loss. Never waits, never raises for what a peer does."""
        self.service()
        done = 0 if self._waiting or not self._listening() else self._send(messages)
        if done < len(messages):
            self._keep(messages[done:])

    def offer(self, messages: Sequence[bytes]) -> int:
        """Send as many of a batch as go at once, and hold none: for a caller with a queue of its own.

        The GIL is kept meanwhile: the caller lives among busy threads and must not wait for a turn (`direct`).

        Returns:
            How many, from the first on, were sent.
        """
        self.service()
        return self._send(messages, self._send_holding) if self._listening() else 0

    @property
    def intact(self) -> bool:
        """Whether nobody has closed the socket's descriptors: see `OpenSocket.is_intact`."""
        return self._open is not None and self._open.is_intact()

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors of the connections that are known to have succeeded."""
        return self._peers.descriptors if self._peers else frozenset()

    def service(self) -> None:
        """Hear new subscriptions and send what waits, as far as that goes."""
        if self._clock() - self._looked_at >= _LOOK_INTERVAL:
            self._look()
        if not self._hears:
            # ZeroMQ looks only now and then for workers that left; one that has gone would still be dealt to.
            self._socket.getsockopt(zmq.EVENTS)
        elif not self._prefixes or self._clock() - self._heard_at >= _HEAR_INTERVAL:
            self._hear()
        if self._waiting and self._listening():
            self._flush()
        if self._waiting and self._too_late():
            self.dropped[NO_SUBSCRIBER] += carried(self._waiting)
            self._waiting.clear()

    def backlog(self) -> int:
        """How many messages wait that a sender with patience should wait for.

        Somebody is there: slow, or standing still. Or nobody is there yet, and what is held leaves no room
        for a next batch: a receiver that is there takes a moment to be found.
        """
        if not self._waiting:
            return 0
        crowded = len(self._waiting) > self._limit - self.overflow
        return len(self._waiting) if crowded or self._somebody() else 0

    def poll(self, milliseconds: int) -> None:
        """Wait that long at most for something to change: somebody to listen, or room to send."""
        self._socket.poll(milliseconds, zmq.POLLOUT if self._listening() else zmq.POLLIN)

    def close(self) -> None:
        """Send what waits, waiting for a first listener and for the pipes to empty no longer than is set.

        Takes at most the longer of `subscribe_delay` and `linger`, and then at most `linger` more.
        """
        if self._open is None:
            return
        deadline = self._clock() + max(self._delay, self._settings.linger / 1000)
        self.service()
        while self._waiting and (left := deadline - self._clock()) > 0:
            self.poll(max(1, int(min(left, 0.05) * 1000)))
            self._look()
            self.service()
        if self._waiting:
            self.dropped[UNSENT] += carried(self._waiting)
            self._waiting.clear()
        self.close_socket(self._settings.linger)

    def close_socket(self, linger: int) -> None:
        """Close the socket; what was sent and has not left may take `linger` milliseconds, which this waits."""
        if self._subscriptions:
            with suppress(zmq.ZMQError):  # somebody else has closed the socket
                linger = self._subscriptions.await_return(self.sent, linger)
            self._subscriptions = None
        if self._peers:
            self._peers.close()
            self._peers = None
        if self._open:
            self._open.close(linger)
            self._open = None

    def abandon(self) -> None:
        """In a forked child: the socket is the parent's, and so is what waited to be sent."""
        self._waiting.clear()
        self._subscriptions = None
        if self._peers:
            self._peers.abandon()
            self._peers = None
        if self._open:
            self._open.abandon()
            self._open = None

    def _look(self) -> None:
        self._looked_at = self._clock()
        if self._peers and self._open:
            self._peers.look()
            self._returning.look_after(self._open, self._peers)
        if self._subscriptions:
            self._subscriptions.settle(self.sent)

    def _listening(self) -> bool:
        return bool(self._prefixes) or not (self._hears or self._unproven())

    def _unproven(self) -> bool:
        """Whether a PUSH may yet be refused: what ZeroMQ's own queue then holds is lost, so ours holds it."""
        secured = self._settings.security is not None and bool(self._settings.connect)
        return secured and self._peers is not None and not self._peers.met

    def _too_late(self) -> bool:
        if self._settings.connect or self._listening():
            return False
        return self._clock() - self._opened_at >= self._delay

    def _hear(self) -> None:
        self._heard_at = self._clock()
        if self._subscriptions:
            self._subscriptions.hear()

    def _send(self, messages: Sequence[bytes], send: Send | None = None) -> int:
        """Send until the pipe is full; how many were dealt with."""
        send = send or self._send_some
        before = self.sent
        send(messages, self)
        while (done := self.sent - before) < len(messages):
            if not (self._hears and self._peers and self._peers.now() > 1):
                break
            self._send_past_the_slow(messages[done])
            self.sent += 1
            send(messages[done + 1 :], self)
        return done

    def _send_past_the_slow(self, message: bytes) -> None:
        """One of several subscribers is full: the others must not lose what it cannot take.

        ZeroMQ does not tell which it is, nor what it skips afterwards, so this count is a lower bound.
        """
        self.dropped[SLOW_SUBSCRIBER] += carried([message])
        self._socket.setsockopt(zmq.XPUB_NODROP, 0)
        try:
            self._socket.send(message, zmq.NOBLOCK)
        finally:
            self._socket.setsockopt(zmq.XPUB_NODROP, 1)

    def _flush(self) -> None:
        waiting = self._waiting
        while waiting:
            batch = list(islice(waiting, 1000))
            done = self._send(batch)
            for _ in range(done):
                waiting.popleft()
            if done < len(batch):
                return

    def _keep(self, messages: Sequence[bytes]) -> None:
        """Hold what there is room for; the newest are dropped, as ZeroMQ itself does."""
        if self._too_late():
            self.dropped[NO_SUBSCRIBER] += carried(messages)
            return
        room = max(0, self._room() - len(self._waiting))
        self._waiting.extend(messages[:room])
        if room < len(messages):
            self.dropped[QUEUE_FULL] += carried(messages[room:])

    def _room(self) -> int:
        return self.overflow if self._somebody() else self._limit

    def _somebody(self) -> bool:
        if self._hears or self._unproven():
            return bool(self._prefixes)
        # A connecting socket has its pipe, which is its queue, whether the peer is there or not.
        return self._peers is None or bool(self._settings.connect) or self._peers.now() > 0
