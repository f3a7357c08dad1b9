"""Receive messages from a stream of NATS JetStream. The original has no such input."""

from __future__ import annotations

import asyncio
import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from message_passing.clock import monotonic
from message_passing.errors import Fault, OptionError, PeerError, needs_extra
from message_passing.jetstream.consumers import (
    ConsumerKeeper,
    ConsumerWish,
    has_all,
    latest_given,
    most_deliveries,
)
from message_passing.jetstream.options import CONSUMER_NAME, JetStreamComponent
from message_passing.jetstream.pulling import Puller
from message_passing.jetstream.streams import API_ERRORS
from message_passing.jetstream.subjects import pattern_fault
from message_passing.network.backoff import pause_after
from message_passing.network.engine_input import (
    FIRST_PAUSE,
    LAG_INTERVAL,
    LAST_ANSWERS,
    LONGEST_PAUSE,
    LOOK,
    LeasingInput,
)
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.jetstream.client import CheckedClient

with needs_extra("jetstream"):
    from nats.errors import Error as NatsError


class JetStreamInput(JetStreamComponent, LeasingInput):
    """Receives messages from a stream of NATS JetStream, as a durable consumer that any number of nodes share.

    Each message goes to one of the nodes, and is acknowledged once the chain is done with it; before that, another
    node gets it if this one dies. A message that the chain loses is redelivered, to any of the nodes, with
    increasing delays. Frames, as the output `JetStream` makes them, are taken apart. The consumer is created if there
    is none; one that exists is used as it is.
    """

    name = "JetStream"
    example = MappingProxyType({"stream": "LOGS", "durable": "archive"})

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
        description="Where a new consumer begins: with the first message, or the next.",
    )
    max_ack_pending: int = option(
        default=10_000,
        ge=1,
        description="The most unacknowledged messages of all nodes together, a frame being one.",
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
        wish = ConsumerWish(
            self.stream,
            self.durable,
            self.filter_subject,
            self.deliver_policy,
            self.ack_wait,
            self.max_ack_pending,
            self.max_deliveries,
        )
        self._consumer = ConsumerKeeper(wish, lambda text: self.report(PeerError(text)))
        self.arrivals = self._puller = Puller(
            self.stream,
            self.durable,
            window=self.window,
            window_bytes=self.window_bytes,
            wake=self.changed.set,
            clock=monotonic,
        )
        self.connection.on_change(self.changed.set)
        self._ack_wait = self.ack_wait
        self._looks, self._look_at, self._lag_at = 0, 0.0, 0.0
        self._paused, self._told = False, ""

    async def background(self) -> None:
        """Be connected, request messages, and answer."""
        keeping = asyncio.create_task(self.connection.keep(), name=f"{self.label} connection")
        asking: asyncio.Task[None] | None = None
        try:
            while True:
                self.changed.clear()
                with contextlib.suppress(
                    NatsError, OSError
                ):  # then the connection ends, and there is another
                    await self._work()
                self.arrival.set()
                if monotonic() >= self._lag_at and (asking is None or asking.done()):
                    self._lag_at = monotonic() + LAG_INTERVAL
                    asking = asyncio.create_task(self._ask_for_lag(), name=f"{self.label} lag")
                await self.wait_for(self.changed, min(LOOK, self._ack_wait / 6))
        finally:
            self._tell()
            self._puller.release(everything=True)
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(LAST_ANSWERS):
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

    async def _look_for_consumer(self, client: CheckedClient) -> None:
        found = await self._consumer.ensure(client) if await self.streams.ensure(client) else None
        if found is None:
            self._puller.lag = None
            self._looks += 1
            self._look_at = monotonic() + pause_after(self._looks, FIRST_PAUSE, LONGEST_PAUSE)
            return
        self._looks = 0
        self._ack_wait = found.config.ack_wait or self.ack_wait
        self._limit_deliveries(most_deliveries(found.config))
        place = latest_given(found)
        self._puller.bound(found.created, place, follows=has_all(found.config) and not self.streams.compacted)
        self._lag_at = 0.0

    async def _ask_for_lag(self) -> None:
        client = self.connection.client
        if client is None or self._puller.unsure:
            return
        with contextlib.suppress(*API_ERRORS):
            found = await client.manager().consumer_info(self.stream, self.durable)
            self._puller.lag = (found.num_pending or 0) + (found.num_ack_pending or 0)
            self._paused = bool(found.paused)
        self._tell()

    def _tell(self) -> None:
        """Report what was removed from the stream, and what keeps the consumer from giving messages."""
        if count := self._puller.removed:
            self._puller.removed = 0
            what = "message was" if count == 1 else "messages were"
            text = f"at least {count} {what} removed from it (its limits, or by hand) before the consumer"
            self.report(
                PeerError(f"the stream {self.stream!r}: {text} {self.durable!r} was given them: lost")
            )
        if (trouble := self._withheld()) and trouble != self._told:
            self.report(PeerError(trouble))
        self._told = trouble

    def _withheld(self) -> str:
        """Why the consumer gives no messages, although it is there."""
        name = f"the consumer {self.durable!r} of the stream {self.stream!r}"
        if self._paused:
            return f"{name} is paused, and gives no messages until it is resumed"
        if not self._puller.refusal:
            return ""
        hint = " (options window and window_bytes)" if "Exceeded MaxRequest" in self._puller.refusal else ""
        return f"{name} refuses what is requested: {self._puller.refusal}{hint}"

    def problems(self) -> list[str]:
        """See `JetStreamComponent`: and that the consumer cannot be used."""
        found = super().problems()
        trouble = self._consumer.trouble or self.connection.denied or self._withheld()
        if trouble and not self.connection.trouble and not self.streams.trouble:
            found.insert(0, trouble)
        return found
