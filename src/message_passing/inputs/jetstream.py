"""Receive messages from a stream of NATS JetStream. The original has no such input."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import monotonic
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import Fault, MessageError, OptionError, PeerError, needs_extra
from message_passing.flow import Input
from message_passing.jetstream.consumers import ConsumerKeeper, ConsumerWish
from message_passing.jetstream.fetched import ACK, TERMINATE, nak
from message_passing.jetstream.options import CONSUMER_NAME, JetStreamComponent
from message_passing.jetstream.pulling import Puller
from message_passing.jetstream.streams import API_TIMEOUT
from message_passing.jetstream.subjects import pattern_fault
from message_passing.network.backoff import pause_after
from message_passing.options import option

with needs_extra("jetstream"):
    from nats.errors import Error as NatsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nats.aio.client import Client

    from message_passing.jetstream.fetched import Fetched

_LOOK = 1.0
"""The most seconds between two looks at what there is to do."""

_LAG_INTERVAL = 2.0
"""Seconds between two questions how many messages wait."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds until more is passed on after the chain lost something, and until the consumer is looked for again."""

_LAST_ANSWERS = 1.0
"""The most seconds that the last answers may take at the end."""


class JetStreamInput(JetStreamComponent, Input):
    """Receives messages from a stream of NATS JetStream, as a durable consumer that any number of nodes share.

    Each message goes to one of the nodes, and is acknowledged once the chain is done with it; before that, another
    node gets it if this one dies. A message that the chain loses comes again, to any of the nodes, later and later.
    Frames, as the output `JetStream` makes them, are taken apart. The consumer is created if there is none; one that
    exists is used as it is.
    """

    name = "JetStream"
    example = MappingProxyType({"stream": "LOGS", "durable": "archive"})
    acknowledges = True

    durable: str = option(
        min_length=1,
        max_length=255,
        pattern=CONSUMER_NAME,
        description="Name of the consumer: nodes with the same one share the messages.",
    )
    filter_subject: str = option(
        default="",
        min_length=1,
        description="Only messages with this subject, which may have wildcards: `logs.*.error`.",
    )
    deliver_policy: Literal["all", "new"] = option(
        default="all",
        description="Where a consumer begins that is created: with the first message, or the next.",
    )
    ack_wait: float = option(
        default=30.0,
        ge=1,
        description="Seconds after which a node that has died, or is cut off, no longer has its messages: others get"
        " them. A chain that works for longer tells the server so.",
    )
    max_ack_pending: int = option(
        default=10_000,
        ge=1,
        description="The most unacknowledged messages of all nodes together, a frame being one.",
    )
    window: int = option(
        default=1000,
        ge=1,
        description="The most unacknowledged messages of this node, a frame being one.",
    )
    window_bytes: int = option(
        default=16 << 20, ge=1024, description="About the most bytes of them; one alone may have more."
    )
    retry_first: float = option(
        default=1.0, ge=0, description="Seconds after which a message that the chain lost comes again."
    )
    retry_longest: float = option(
        default=60.0, gt=0, description="Maximum delay until it comes again, in seconds."
    )
    max_deliveries: int = option(
        default=0,
        ge=0,
        description="How often a message is delivered before it fails: if the chain loses it that often, or the"
        " nodes that had it died. With `dead_letters` it then goes to the error chain. 0: no limit.",
    )

    def on_init(self) -> None:
        """Check the names.

        Raises:
            OptionError: the stream is missing, or the filter is no subject.
        """
        super().on_init()
        faults = []
        if not self.stream:
            faults.append(Fault(f"{self.label} needs the option 'stream' (its name)"))
        if self.create and not self.subjects:
            faults.append(Fault(f"{self.label}: create needs the subjects of the stream", "create"))
        if self.filter_subject and (fault := pattern_fault(self.filter_subject)):
            text = f"{self.label}: {self.filter_subject!r} is no subject: {fault}"
            faults.append(Fault(text, "filter_subject"))
        if faults:
            raise OptionError(*faults)
        self._changed = asyncio.Event()
        wish = ConsumerWish(
            self.stream,
            self.durable,
            self.filter_subject,
            self.deliver_policy,
            self.ack_wait,
            self.max_ack_pending,
        )
        self._consumer = ConsumerKeeper(wish, lambda text: self.report(PeerError(text)))
        self._puller = Puller(
            self.stream,
            self.durable,
            window=self.window,
            window_bytes=self.window_bytes,
            wake=self._changed.set,
            clock=monotonic,
        )
        self.connection.on_change(self._changed.set)
        self._arrival = asyncio.Event()
        self._ack_wait = self.ack_wait
        self._looks, self._look_at, self._lag_at = 0, 0.0, 0.0
        self._losses, self._retry_at = 0, 0.0
        self._redelivered = 0

    async def run(self) -> None:
        """Pass on what has arrived, until cancelled."""
        while True:
            self._arrival.clear()
            pause = self._retry_at - monotonic()
            if pause > 0 or not self._puller.ready:
                await self._wait(self._arrival, pause if pause > 0 else _LOOK)
                continue
            batch = self._puller.take()
            if self.max_deliveries and batch[0].deliveries > self.max_deliveries:
                self._bury(batch[0])
                continue
            self._redelivered += batch[0].deliveries > 1
            messages = batch[0].messages if len(batch) == 1 else [one.messages[0] for one in batch]
            self.deliver(messages, functools.partial(self._settled, batch), comes_again=True)
            await self.drain()
            await asyncio.sleep(0)  # others get their turn

    def stopped(self) -> None:
        """Give back what was not passed on."""
        self._puller.release()

    def _settled(self, batch: list[Fetched], outcome: Outcome) -> None:
        if outcome is not Outcome.LOST:
            self._losses = 0
            for fetched in batch:
                self._puller.settle(fetched, ACK)
            return
        self._losses += 1
        self._retry_at = monotonic() + pause_after(self._losses, _FIRST_PAUSE, _LONGEST_PAUSE)
        for fetched in batch:
            if self.max_deliveries and fetched.deliveries >= self.max_deliveries:
                self._bury(fetched)
            else:
                self._put_off(fetched)

    def _put_off(self, fetched: Fetched) -> None:
        """Have it delivered again, to any node, later and later."""
        delay = (
            pause_after(fetched.deliveries, self.retry_first, self.retry_longest) if self.retry_first else 0.0
        )
        self._puller.settle(fetched, nak(delay))

    def _bury(self, fetched: Fetched) -> None:
        """It has failed; it is gone once its dead letter, if it leaves one, is safe."""

        def settled(outcome: Outcome) -> None:
            if outcome is Outcome.LOST:
                self._put_off(fetched)
            else:
                self._puller.settle(fetched, TERMINATE)

        times = min(fetched.deliveries, self.max_deliveries)
        text = f"it was delivered {times} times (max_deliveries), and the chain lost it, or its node died, each time"
        with Delivery(settled, self, asyncio.get_running_loop(), comes_again=True):
            self.fail(MessageError(text), fetched.messages)

    async def background(self) -> None:
        """Be connected, request messages, and answer."""
        keeping = asyncio.create_task(self.connection.keep(), name=f"{self.label} connection")
        asking: asyncio.Task[None] | None = None
        try:
            while True:
                self._changed.clear()
                with contextlib.suppress(
                    NatsError, OSError
                ):  # then the connection ends, and there is another
                    await self._work()
                self._arrival.set()
                if monotonic() >= self._lag_at and (asking is None or asking.done()):
                    self._lag_at = monotonic() + _LAG_INTERVAL
                    asking = asyncio.create_task(self._ask_for_lag(), name=f"{self.label} lag")
                await self._wait(self._changed, min(_LOOK, self._ack_wait / 6))
        finally:
            self._puller.release(everything=True)
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(_LAST_ANSWERS):
                    await self._puller.leave()
                    await self._puller.answer()
            await self.connection.end(keeping)
            if asking:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _work(self) -> None:
        client = self.connection.client
        if client is not self._puller.client:
            self._puller.detach()
            self._looks, self._look_at = 0, 0.0
            if client:
                await self._puller.attach(client)
        if client is None:
            return
        if self._puller.stopping:
            await self._puller.leave()
        await self._puller.answer()
        await self._puller.extend(self._ack_wait)
        if self._puller.unsure and monotonic() >= self._look_at:
            await self._look_for_consumer(client)
        if not self._puller.unsure and not self._puller.stopping:
            await self._puller.pull()

    async def _look_for_consumer(self, client: Client) -> None:
        found = await self._consumer.ensure(client) if await self.streams.ensure(client) else None
        if found is None:
            self._looks += 1
            self._look_at = monotonic() + pause_after(self._looks, _FIRST_PAUSE, _LONGEST_PAUSE)
            return
        self._looks = 0
        self._ack_wait = found.config.ack_wait or self.ack_wait
        self._puller.bound(found.created)
        self._lag_at = 0.0

    async def _ask_for_lag(self) -> None:
        client = self.connection.client
        if client is None or self._puller.unsure:
            return
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            found = await client.jsm(timeout=API_TIMEOUT).consumer_info(self.stream, self.durable)
            self._puller.lag = (found.num_pending or 0) + (found.num_ack_pending or 0)

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def info(self) -> Mapping[str, Any]:
        """See `Component`: and how far it lags behind the stream."""
        return {
            **super().info(),
            "lag": self._puller.lag,
            "redelivered": self._redelivered,
            "duplicates": self._puller.duplicates,
        }

    def problems(self) -> list[str]:
        """See `JetStreamComponent`: and that the consumer cannot be used, or the chain loses what it receives."""
        found = super().problems()
        if not found and self._consumer.trouble:
            found.append(self._consumer.trouble)
        if not found and self.connection.denied:
            found.append(self.connection.denied)
        if self._losses:
            found.append("the chain lost messages, which come again; until then, others come later")
        return found
