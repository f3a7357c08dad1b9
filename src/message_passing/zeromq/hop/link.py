"""The two ends of an acknowledged hop: sockets, and the states in `producer` and `consumer` that use them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.zeromq.hop.consumer import Consumer
from message_passing.zeromq.hop.frames import (
    ID_BYTES,
    MOST_RANGES,
    Ack,
    Data,
    Hello,
    Ready,
)
from message_passing.zeromq.hop.hop_sockets import HopSockets
from message_passing.zeromq.hop.packing import unpacked
from message_passing.zeromq.hop.producer import Producer

if TYPE_CHECKING:
    from message_passing.zeromq.hop.consumer import Delivered
    from message_passing.zeromq.hop.delivery_state import Unsettled
    from message_passing.zeromq.settings import SocketSettings

_REPLY_BYTES = 64 + 16 * MOST_RANGES
"""Bytes of the largest message that a receiver sends."""

_SILENT_AFTER = 4.0
"""Seconds for which a peer is connected and says nothing until that is a problem: greetings are sent every second."""

_REPLIES = 100
"""Messages of one receiver that may wait to be read."""


_TO_BE_READ = 0.1
"""Seconds that senders have to read what was last sent to them, before their connections end."""

_OUTPUT = "it is an output, too: an output sends to an input"
_INPUT = "it is an input, too: an input receives from an output"
_NOT_TO_A_SENDER = {Hello: _OUTPUT, Data: _OUTPUT}
_NOT_TO_A_RECEIVER = {Ready: _INPUT, Ack: _INPUT}
"""What only a peer of the wrong kind says."""


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
            sender: the id of this run; a new one when it is empty.
            first: the number of its first frame.
        """
        limits = replace(settings.limits, maxmsgsize=_REPLY_BYTES)
        self._sockets = HopSockets(replace(settings, limits=limits, hwm=_REPLIES), None)
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
    def sockets(self) -> HopSockets:
        """Its sockets."""
        return self._sockets

    def silent(self) -> list[str]:
        """The endpoints where somebody has been connected for some seconds, and nobody is ready to receive."""
        ready = self.producer.ready_peers()
        fixed = self._sockets.fixed_peers()
        return [
            ", ".join(receiver.endpoints())
            for number, receiver in enumerate(self._sockets.receivers)
            if not (number in ready if fixed else ready)
            and receiver.health
            and receiver.health.connected_for() >= _SILENT_AFTER
        ]

    def service(self) -> list[Unsettled]:
        """Receive and send as much as possible without waiting; return what has been settled."""
        settled: list[Unsettled] = []
        self.given_up += len(self.producer.expire(monotonic()))
        while True:  # ZMQ_FD is edge-triggered, and sending may take the edge: so receiving comes last
            self._sockets.send_all(self.producer, monotonic())
            came = list(self._sockets.received(self.producer, _NOT_TO_A_SENDER))
            for key, message in came:
                settled += self.producer.receive(key, message, monotonic())
            if not came:
                return settled

    def close(self) -> None:
        """Close the sockets."""
        self._sockets.close()


class HopReceiver:
    """The receiving end, with its sockets. For one thread."""

    def __init__(
        self,
        settings: SocketSettings,
        *,
        queue_bytes: int,
        frames: int,
        size: int,
        dead_after: float,
        key_field: str = "",
    ) -> None:
        """Prepare it.

        Args:
            settings: its socket: ROUTER or DEALER.
            queue_bytes: see `Receiver`.
            frames: see `Consumer`.
            size: see `Consumer`.
            dead_after: see `Consumer`.
            key_field: each frame has its sender's name, for this field of its messages.
        """
        self._too_big = 0
        self._answered = 0.0
        self._maxmsgsize = settings.limits.maxmsgsize
        self._sockets = HopSockets(settings, queue_bytes, key_field)
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
    def sockets(self) -> HopSockets:
        """Its sockets."""
        return self._sockets

    def receive(self) -> list[Delivered]:
        """The new frames that have arrived, a bounded number."""
        now = monotonic()
        found: list[Delivered] = []
        for key, message in self._sockets.received(self.consumer, _NOT_TO_A_RECEIVER):
            if delivered := self.consumer.receive(key, message, now):
                if 0 <= self._maxmsgsize < len(delivered.data.body):
                    found += self._fitting(delivered)
                else:
                    found.append(delivered)
        return found

    def _fitting(self, delivered: Delivered) -> list[Delivered]:
        """A frame with its messages that are not too big; if all are, none, and settled."""
        messages = unpacked([delivered.data], blocks=False)
        fitting = [message for message in messages if len(message) <= self._maxmsgsize]
        self._too_big += len(messages) - len(fitting)
        if not fitting:
            self.consumer.settle(delivered)
            return []
        return [replace(delivered, data=replace(delivered.data, body=b"\n".join(fitting)))]

    def take_too_big(self) -> int:
        """How many messages were larger than `maxmsgsize` since this was asked last; they are lost."""
        count, self._too_big = self._too_big, 0
        return count

    def answer(self) -> bool:
        """Send what is due: acknowledgements above all.

        Returns:
            Whether anything was sent. That may take the edge of ZMQ_FD: `receive` is to be called before waiting.
        """
        now = monotonic()
        self.consumer.expire(now)
        some = self._sockets.send_all(self.consumer, now)
        if some:
            self._answered = now
        return some

    def seconds_to_read(self) -> float:
        """How long senders should still have, before the sockets are closed, to read what was sent to them.

        A slow sender may have the last acknowledgements in its socket still: with ZMQ_IMMEDIATE, libzmq drops what
        was not read of a connection that ends (`socket_base_t::hiccuped`), and all that they settle would be sent
        again.
        """
        return max(0.0, self._answered + _TO_BE_READ - monotonic())

    def close(self, linger: float) -> None:
        """Close the sockets; acknowledgements have so many seconds to leave, and to be read."""
        if rest := min(self.seconds_to_read(), linger):
            time.sleep(rest)
        self._sockets.close(round(linger * 1000))
