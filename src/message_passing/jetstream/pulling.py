"""Messages from a durable consumer: requested ahead within a window, and answered once they are settled.

The client's own `fetch` makes two requests, one after the other, for each batch. Here a request is made whenever a
quarter of the window is free, so that the server always has one to answer.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from message_passing.jetstream.fetched import ACK, IN_PROGRESS, TERMINATE, Fetched, nak, numbers_of_reply
from message_passing.network.backoff import pause_after
from message_passing.network.consumer_window import ConsumerWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from message_passing.jetstream.client import CheckedClient

_EXPIRES, _HEARTBEAT = 30.0, 5.0
"""Seconds that a request is good for, and after which the server says that it has nothing."""

_SILENCE = 3 * _HEARTBEAT
"""Seconds without a word from the server after which requests are made anew."""


_EXPECTED = ("404", "408")
"""Statuses which say that there is nothing, or that a request is over (ADR-13 and ADR-37 of the NATS project)."""

_MOMENTARY = ("exceeds maxbytes", "batch completed", "server shutdown", "deleted", "leader", "push")
"""Parts of the descriptions of others that a further request is the answer to."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds until the next request after one that was refused."""


@dataclass(slots=True)
class _Request:
    left: int
    size: float
    until: float
    got: int = 0


class Puller(ConsumerWindow[Fetched]):
    """The messages of one consumer, on one connection at a time.

    Attributes:
        client: the connection.
        unsure: the consumer may be gone, and is to be looked for.
        refusal: why the server does not give what was requested; empty if it does.
        removed: at least so many messages were removed from the stream before the consumer was given them.
    """

    def __init__(
        self,
        stream: str,
        durable: str,
        *,
        window: int,
        window_bytes: int,
        wake: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        """Begin without a connection.

        Args:
            stream: its name.
            durable: the name of the consumer.
            window: the most messages that are here at a time.
            window_bytes: about the most bytes of them.
            wake: called when there is something to do.
            clock: seconds, monotonic.
        """
        super().__init__(window, window_bytes, wake, clock)
        self.client: CheckedClient | None = None
        self._subscription: Subscription | None = None
        self.unsure = True
        self.refusal = ""
        self.removed = 0
        self._refused, self._pull_at = 0, 0.0
        self._place: tuple[int, int] | None = (
            None  # the latest message: its numbers in the stream and of the consumer
        )
        self._follows = False
        self._name, self._subject = f"{stream}.{durable}", ""
        self._answers: deque[tuple[int, str, bytes]] = deque()
        self._requests: dict[int, _Request] = {}
        self._number = 0
        self._epoch = 0
        self._created: object = None
        self._consumer_sequence = 0
        self._heard = 0.0
        self._too_large = False  # the next message is larger than the window
        self._inbox = ""

    async def attach(self, client: CheckedClient) -> None:
        """Use a new connection."""
        self.detach()
        self._inbox = client.new_inbox()
        self._subject = f"{client.api_prefix}.CONSUMER.MSG.NEXT.{self._name}"
        # No bounds of the client's, which would drop messages: what arrives was requested, within the window.
        self._subscription = await client.subscribe(
            f"{self._inbox}.*", cb=self._arrived, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self.client, self.unsure = client, True

    def detach(self) -> None:
        """The connection has ended: what was requested on it does not come."""
        self.client = self._subscription = self.lag = None
        self._requests.clear()

    async def leave(self) -> None:
        """Have nothing more sent, if nothing more is wanted; what was on its way has come, and is given back."""
        subscription, self._subscription = self._subscription, None
        if self.stopping and subscription and self.client and self.client.is_connected:
            await subscription.drain()  # type: ignore[no-untyped-call]
            self._requests.clear()

    def bound(self, created: object, place: tuple[int, int], *, follows: bool) -> None:
        """The consumer is there.

        Args:
            created: when; it is another one, if at another time than before.
            place: of the latest message that it has given to anybody: its numbers in the stream and of the consumer.
            follows: whether it gives each message of the stream.
        """
        if self._created not in (None, created):
            self._begin_anew()
        self._created, self.unsure = created, False
        self._place, self._follows = self._place or place, follows
        self._heard = self._clock()

    def _begin_anew(self) -> None:
        """This is another consumer, with numbers of its own: it is not told of what the other one sent."""
        self._epoch += 1
        self._consumer_sequence = 0
        self._place = None
        self._done.clear()
        self._answers.clear()

    # Receiving

    async def _arrived(self, message: Msg) -> None:  # the client wants a coroutine
        now = self._heard = self._clock()
        if not message.reply.startswith("$JS.ACK."):
            self._status(message)
            return
        deliveries, sequence, consumer_sequence, pending = numbers_of_reply(message.reply)
        if consumer_sequence <= self._consumer_sequence:
            self._begin_anew()
        self._consumer_sequence = consumer_sequence
        self.refusal, self._refused = "", 0
        if deliveries == 1:
            self._follow(sequence, consumer_sequence)
        self._count_off(len(message.data))
        key = self._epoch, sequence
        self.lag = pending + len(self._open) + 1
        if known := self._open.get(key):
            known.reply, known.deliveries, known.told = message.reply, deliveries, now
            self.duplicates += 1
        elif key in self._done:
            self.duplicates += 1
            self._answers.append((self._epoch, message.reply, ACK))
        elif self.stopping:
            self._answers.append((self._epoch, message.reply, nak(0)))
        else:
            self.admit(Fetched(key, message, deliveries, now))
        self._wake()

    def _follow(self, sequence: int, consumer_sequence: int) -> None:
        """Count what nobody was given between the latest message and this one: it was not in the stream any more."""
        if self._place and self._follows:
            missing = sequence - self._place[0] - (consumer_sequence - self._place[1])
            self.removed += max(0, missing)
        self._place = sequence, consumer_sequence

    def _count_off(self, size: int) -> None:
        """A message has come for the oldest request."""
        for number, request in self._requests.items():
            request.left -= 1
            request.size -= size
            request.got += 1
            if request.left <= 0:
                del self._requests[number]
            break

    def _status(self, message: Msg) -> None:
        """The server says something of a request: mostly, that it is over (ADR-37 of the NATS project)."""
        headers = message.headers or {}
        status, text = headers.get("Status", ""), headers.get("Description", "").lower()
        if status == "100":  # a heartbeat
            return
        number = message.subject.rpartition(".")[2]
        request = self._requests.pop(int(number), None) if number.isdigit() else None
        if status == "503" or (status == "409" and ("deleted" in text or "push" in text or "leader" in text)):
            self._requests.clear()
            self.unsure = True
        elif "exceeds maxbytes" in text and request and not request.got and not self._open:
            self._too_large = True
        elif status not in _EXPECTED and not any(words in text for words in _MOMENTARY):
            self._refused += 1
            self._pull_at = self._clock() + pause_after(self._refused, _FIRST_PAUSE, _LONGEST_PAUSE)
            self.refusal = f"{status} {headers.get('Description', '')}".strip()[:200]
        self._wake()

    # Answering

    def answer_done(self, items: Sequence[Fetched]) -> None:
        """See `ConsumerWindow`."""
        self._answers.extend([(item.key[0], item.reply, ACK) for item in items])

    def answer_failed(self, item: Fetched) -> None:
        """See `ConsumerWindow`."""
        self._answers.append((item.key[0], item.reply, TERMINATE))

    def answer_later(self, item: Fetched, delay: float) -> None:
        """See `ConsumerWindow`."""
        self._answers.append((item.key[0], item.reply, nak(delay)))

    async def answer(self) -> None:
        """Send the answers, and tell the server of what takes long."""
        client = self.client
        while client and client.is_connected and self._answers:
            epoch, reply, answer = self._answers[0]
            if epoch == self._epoch:
                await client.publish(reply, answer)
            self._answers.popleft()

    async def extend(self, ack_wait: float) -> None:
        """Tell the server of what has been here for a third of this time that it is being worked on."""
        for one in self.overdue(ack_wait / 3, self._clock()):
            if one.key[0] == self._epoch and self.client:
                await self.client.publish(one.reply, IN_PROGRESS)

    # Requesting

    async def pull(self) -> None:
        """Request as much as there is room for."""
        now = self._clock()
        if self._requests and now - self._heard > _SILENCE:
            self._requests.clear()
            self.unsure = True
            return
        for number in [number for number, one in self._requests.items() if now > one.until]:
            del self._requests[number]
        free = self._window - len(self._open) - sum(one.left for one in self._requests.values())
        size = (
            self._window_bytes - self._open_bytes - sum(max(0.0, one.size) for one in self._requests.values())
        )
        full = free * 4 < self._window or size * 4 < self._window_bytes
        if full or not self.client or now < self._pull_at:
            return
        asked: dict[str, object] = {
            "batch": free,
            "max_bytes": int(size),
            "expires": round(_EXPIRES * 1e9),
            "idle_heartbeat": round(_HEARTBEAT * 1e9),
        }
        if self._too_large:
            self._too_large = False
            asked["batch"] = free = 1
            del asked["max_bytes"]
            size = math.inf
        self._number += 1
        self._requests[self._number] = _Request(free, size, now + _EXPIRES + _HEARTBEAT)
        self._heard = max(self._heard, now - _HEARTBEAT)
        await self.client.publish(self._subject, msgspec.json.encode(asked), f"{self._inbox}.{self._number}")
