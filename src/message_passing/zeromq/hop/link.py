"""The sockets of an acknowledged hop: they carry what the states in `producer` and `consumer` say."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from message_passing.clock import monotonic
from message_passing.errors import Fault, OpenError
from message_passing.zeromq.hop.consumer import Consumer
from message_passing.zeromq.hop.frames import (
    ID_BYTES,
    MOST_RANGES,
    Ack,
    Data,
    Hello,
    ProtocolError,
    Ready,
    decode,
)
from message_passing.zeromq.hop.producer import Producer
from message_passing.zeromq.receiving import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from message_passing.zeromq.hop.consumer import Delivered
    from message_passing.zeromq.hop.delivery_state import Unsettled
    from message_passing.zeromq.hop.frames import HopMessage
    from message_passing.zeromq.settings import SocketSettings

_AT_ONCE = 64
"""Messages that are received before something is sent."""

_REPLY_BYTES = 64 + 16 * MOST_RANGES
"""Bytes of the largest message that a receiver sends."""

_REPLIES = 100
"""Messages of one receiver that may wait to be read."""


class _State(Protocol):
    """What both ends have."""

    def peers(self) -> list[Hashable]:
        """All peers."""

    def next_message(self, key: Hashable, now: float) -> HopMessage | None:
        """What is to be sent to a peer."""

    def sent(self, key: Hashable, message: HopMessage, now: float) -> None:
        """It was sent."""

    def next_time(self, now: float) -> float:
        """When there is something to do again."""


class _Sockets:
    """One ROUTER, whose peers are known by their routing ids; or a DEALER for each endpoint, known by its number.

    Attributes:
        receivers: the sockets: one, or those of several DEALERs.
        strange: messages that were not of the protocol.
    """

    def __init__(self, settings: SocketSettings, queue_bytes: int | None) -> None:
        self.strange = 0
        several = settings.socket_type == "DEALER" and len(settings.connect) > 1
        each = [replace(settings, connect=(one,)) for one in settings.connect] if several else [settings]
        self._routes = settings.socket_type == "ROUTER"
        self._settings = settings
        self.receivers = [Receiver(one, queue_bytes=queue_bytes) for one in each]

    def open(self) -> None:
        """Open all.

        Raises:
            OpenError: with what every one of them has found.
        """
        faults: list[Fault] = []
        for receiver in self.receivers:
            try:
                receiver.open()
            except OpenError as error:
                faults += error.faults
        if faults:
            self.close()
            raise OpenError(*faults)

    def close(self, linger: int = 0) -> None:
        """Close all; messages already sent have so many milliseconds to leave."""
        for receiver in self.receivers:
            receiver.close(linger)

    @property
    def file_descriptors(self) -> list[int]:
        """Readable when there may be something to receive."""
        return [receiver.file_descriptor for receiver in self.receivers]

    def on_ready(self, wake: Callable[[], object]) -> None:
        """See `Receiver.on_ready`."""
        for receiver in self.receivers:
            receiver.on_ready(wake)

    def fixed_peers(self) -> list[Hashable]:
        """The peers of DEALERs: one for each."""
        return [] if self._routes else list(range(len(self.receivers)))

    def received(self) -> Iterator[tuple[Hashable, HopMessage]]:
        """The messages that have arrived, a bounded number."""
        for number, receiver in enumerate(self.receivers):
            for frames in receiver.receive_parts(_AT_ONCE):
                key: Hashable = frames[0] if self._routes else number
                try:
                    yield key, decode(frames[1:] if self._routes else frames)
                except ProtocolError as error:
                    self.strange += 1
                    receiver.notices.say(f"protocol {error}", f"protocol error by a peer: {error}")

    def misfit(self, text: str) -> None:
        """Note that a peer is of the wrong kind."""
        self.strange += 1
        self.receivers[0].notices.say("misfit", text)

    def send(self, key: Hashable, message: HopMessage) -> bool:
        """Send something to a peer, if there is room now."""
        frames = message.encode()
        if isinstance(key, bytes):
            return self.receivers[0].send_parts([key, *frames])
        assert isinstance(key, int)  # noqa: S101 - a DEALER's number
        return self.receivers[key].send_parts(frames)

    def send_all(self, state: _State, now: float) -> bool:
        """Send everything that is due, as far as there is room; return whether anything was."""
        some = False
        for key in state.peers():
            while message := state.next_message(key, now):
                if not self.send(key, message):
                    break
                state.sent(key, message, now)
                some = True
        return some


class HopSender:
    """The sending end, with its sockets. For one thread at a time.

    Attributes:
        given_up: how often a receiver was silent for too long.
    """

    def __init__(
        self, settings: SocketSettings, *, dead_after: float, sender: bytes = b"", first: int = 1
    ) -> None:
        """Prepare it.

        Args:
            settings: its socket: DEALER or ROUTER.
            dead_after: see `Producer`.
            sender: its id; a new one when it is empty.
            first: the number of its first frame.
        """
        limits = replace(settings.limits, maxmsgsize=_REPLY_BYTES)
        self._sockets = _Sockets(replace(settings, limits=limits, hwm=_REPLIES), None)
        self.producer = Producer(
            sender or os.urandom(ID_BYTES),
            greets=settings.socket_type == "DEALER",
            dead_after=dead_after,
            first=first,
        )
        self.given_up = 0

    def open(self) -> None:
        """Bind or connect.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._sockets.open()
        for key in self._sockets.fixed_peers():
            self.producer.add_peer(key, monotonic())

    @property
    def sockets(self) -> _Sockets:
        """Its sockets."""
        return self._sockets

    def service(self) -> list[Unsettled]:
        """Receive and send as much as possible without waiting; return what has been settled."""
        settled: list[Unsettled] = []
        self.given_up += len(self.producer.expire(monotonic()))
        while True:  # ZMQ_FD is edge-triggered, and sending may take the edge: so receiving comes last
            self._sockets.send_all(self.producer, monotonic())
            came = list(self._sockets.received())
            for key, message in came:
                if isinstance(message, (Hello, Data)):
                    self._sockets.misfit("the peer is an output too: an output sends to an input")
                else:
                    settled += self.producer.receive(key, message, monotonic())
            if not came:
                return settled

    def close(self) -> None:
        """Close the sockets."""
        self._sockets.close()


class HopReceiver:
    """The receiving end, with its sockets. For one thread."""

    def __init__(
        self, settings: SocketSettings, *, queue_bytes: int, frames: int, size: int, dead_after: float
    ) -> None:
        """Prepare it.

        Args:
            settings: its socket: ROUTER or DEALER.
            queue_bytes: see `Receiver`.
            frames: see `Consumer`.
            size: see `Consumer`.
            dead_after: see `Consumer`.
        """
        self._too_big = 0
        self._maxmsgsize = settings.limits.maxmsgsize
        self._sockets = _Sockets(settings, queue_bytes)
        self.consumer = Consumer(
            os.urandom(ID_BYTES),
            greets=settings.socket_type == "DEALER",
            frames=frames,
            size=size,
            dead_after=dead_after,
        )

    def open(self) -> None:
        """Bind or connect.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._sockets.open()
        for key in self._sockets.fixed_peers():
            self.consumer.add_peer(key, monotonic())

    @property
    def sockets(self) -> _Sockets:
        """Its sockets."""
        return self._sockets

    def receive(self) -> list[Delivered]:
        """The new frames that have arrived, a bounded number."""
        now = monotonic()
        found: list[Delivered] = []
        for key, message in self._sockets.received():
            if isinstance(message, (Ready, Ack)):
                self._sockets.misfit("the peer is an input too: an input receives from an output")
            elif delivered := self.consumer.receive(key, message, now):
                if 0 <= self._maxmsgsize < len(delivered.data.body):
                    self._too_big += 1
                    self.consumer.settle(delivered)  # it would be too big the next time, too
                else:
                    found.append(delivered)
        return found

    def take_too_big(self) -> int:
        """How many frames have been larger than `maxmsgsize`, and so lost, since the last call."""
        count, self._too_big = self._too_big, 0
        return count

    def answer(self) -> bool:
        """Send what is due: acknowledgements above all.

        Returns:
            Whether anything was sent. That may take the edge of ZMQ_FD: `receive` is to be called before waiting.
        """
        now = monotonic()
        self.consumer.expire(now)
        return self._sockets.send_all(self.consumer, now)

    def close(self, linger: float) -> None:
        """Close the sockets; acknowledgements have so many seconds to leave."""
        self._sockets.close(round(linger * 1000))
