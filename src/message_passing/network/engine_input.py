"""The base of inputs from an engine's stream: nodes share it, and acknowledge what the chain has settled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import MessageError
from message_passing.flow import Input
from message_passing.network.backoff import pause_after
from message_passing.network.consumer_window import ConsumerWindow
from message_passing.options import option
from message_passing.zeromq.hop.packing import BLOCK_BYTES, TOGETHER_BYTES, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.network.consumer_window import Received

LOOK = 1.0
"""The most seconds between two looks at what there is to do."""

LAG_INTERVAL = 2.0
"""Seconds between two questions how many messages wait."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds until more is passed on after the chain lost something, and until what is missing is looked for again."""

LAST_ANSWERS = 1.0
"""The most seconds that the last answers may take at the end."""


class EngineInput(Input):
    """Passes on what a subclass receives into its window, and decides what becomes of it.

    A subclass sets `arrivals` in `on_init`, fills it in `background`, and sends the answers that it keeps.

    Attributes:
        arrivals: what is here.
        arrival: set when there is something to pass on.
        changed: wakes the subclass when there is something to answer.
    """

    acknowledges = True

    window: int = option(
        default=1000,
        ge=1,
        description="The most unacknowledged messages of this node, a frame being one.",
    )
    window_bytes: int = option(
        default=16 << 20,
        ge=1024,
        description="Approximate maximum of their bytes; a single message may exceed it.",
    )
    retry_first: float = option(
        default=1.0, ge=0, description="Seconds after which a message that the chain lost is redelivered."
    )
    retry_longest: float = option(
        default=60.0, gt=0, description="Maximum delay before it is redelivered, in seconds."
    )
    max_deliveries: int = option(
        default=0,
        ge=0,
        description="How often a message is delivered before it fails: if the chain loses it that often, or the"
        " nodes that had it died. With `dead_letters` it then goes to the error chain. 0: no limit.",
    )

    def on_init(self) -> None:
        """Nothing has arrived."""
        super().on_init()
        self.changed, self.arrival = asyncio.Event(), asyncio.Event()
        self.arrivals = ConsumerWindow[Any](self.window, self.window_bytes, self.changed.set)
        self._losses, self._retry_at = 0, 0.0
        self._redelivered = 0
        self._most_deliveries = self.max_deliveries

    def _limit_deliveries(self, most: int) -> None:
        """The engine itself delivers a message so often at most; 0 for no limit: whichever is less, holds."""
        self._most_deliveries = min(filter(None, (self.max_deliveries, most)), default=0)

    async def run(self) -> None:
        """Pass on what has arrived, until cancelled."""
        while True:
            self.arrival.clear()
            pause = self._retry_at - monotonic()
            if pause > 0 or not self.arrivals.ready:
                await self.wait_for(self.arrival, pause if pause > 0 else LOOK)
                continue
            batch = self.arrivals.take(self._together())
            if self._most_deliveries and batch[0].deliveries > self._most_deliveries:
                self._bury_often(batch[0])
                continue
            self._redelivered += batch[0].deliveries > 1
            self.deliver(
                unpacked(batch, blocks=self.wiring.blocks),
                functools.partial(self._settled, batch),
                comes_again=True,
            )
            await self.drain()
            await asyncio.sleep(0)  # others get their turn

    def _together(self) -> int:
        """The most bytes of what is passed on at a time."""
        if self._most_deliveries == 1:
            return -1  # each alone: what is lost fails at once, and nothing else with it
        return BLOCK_BYTES if self.wiring.blocks else TOGETHER_BYTES

    def stopped(self) -> None:
        """Give back what was not passed on."""
        self.arrivals.release()

    def _settled(self, batch: list[Received], outcome: Outcome) -> None:
        if outcome is not Outcome.LOST:
            self._losses = 0
            self.arrivals.acknowledge(batch)
            return
        self._losses += 1
        self._retry_at = monotonic() + pause_after(self._losses, FIRST_PAUSE, LONGEST_PAUSE)
        for received in batch:
            if self._most_deliveries and received.deliveries >= self._most_deliveries:
                self._bury_often(received)
            else:
                self._put_off(received)

    def _put_off(self, received: Received) -> None:
        """Have it delivered again, to any node, later and later."""
        delay = (
            pause_after(received.deliveries, self.retry_first, self.retry_longest)
            if self.retry_first
            else 0.0
        )
        self.arrivals.put_off(received, delay)

    def _bury_often(self, received: Received) -> None:
        times = min(received.deliveries, self._most_deliveries)
        text = f"it was delivered {times} times (max_deliveries), and the chain lost it, or its node died, each time"
        self.bury(received, MessageError(text), received.messages)

    def bury(self, received: Received, error: MessageError, messages: Sequence[Any]) -> None:
        """It has failed; it is gone once its dead letter, if it leaves one, is safe.

        Args:
            received: in the window.
            error: why.
            messages: what is reported.
        """

        def settled(outcome: Outcome) -> None:
            if outcome is Outcome.LOST:
                self._put_off(received)
            else:
                self.arrivals.terminate(received)

        with Delivery(settled, self, asyncio.get_running_loop(), comes_again=True):
            self.fail(error, messages)

    @staticmethod
    async def wait_for(event: asyncio.Event, seconds: float) -> None:
        """Wait until it is set, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def info(self) -> Mapping[str, Any]:
        """See `Component`: and how far it lags behind the stream."""
        return {
            **super().info(),
            "lag": self.arrivals.lag,
            "redelivered": self._redelivered,
            "duplicates": self.arrivals.duplicates,
        }

    def problems(self) -> list[str]:
        """See `Component`: and that the chain loses what it receives."""
        found = [*super().problems()]
        if self._losses:
            found.append("the chain lost messages, which will be redelivered; later ones wait until then")
        return found


class LeasingInput(EngineInput):
    """One that has each message for a time, and tells the engine where its chain takes longer."""

    ack_wait: float = option(
        default=30.0,
        ge=1,
        description="Seconds after which the messages of a node that has died, or is cut off, go to other nodes. A"
        " chain that takes longer tells the server that it is still working.",
    )
