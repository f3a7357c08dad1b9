"""Receive messages from a stream of Redis. The original has no such input."""

from __future__ import annotations

import asyncio
import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from message_passing.clock import monotonic
from message_passing.errors import EncodingError, PeerError, needs_extra
from message_passing.identity import sender_name
from message_passing.network.backoff import RetryLater, pause_after
from message_passing.network.engine_input import (
    FIRST_PAUSE,
    LAG_INTERVAL,
    LAST_ANSWERS,
    LONGEST_PAUSE,
    LOOK,
    LeasingInput,
)
from message_passing.options import option
from message_passing.redis.entries import MESSAGE_FIELD, EntryWindow, StreamEntry
from message_passing.redis.group import RedisGroup
from message_passing.redis.options import RedisStreamComponent
from message_passing.redis.reasons import redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_BLOCK = 0.2
"""Seconds that the server waits for new entries before it says that there are none."""

_GONE = ("NOGROUP", "no such key", "UNBLOCKED")
"""What the server says if somebody has removed the stream or the group."""

_QUIET = 60.0
"""Seconds within which a trouble that goes and comes back is not reported again."""

_MOST_REPORTED = 10
"""The most troubles that are remembered for that."""

_TOGETHER = 0.005
"""Seconds within which acknowledgements are sent together: each command costs as much as many lines."""


class RedisStreamsInput(RedisStreamComponent, LeasingInput):
    """Receives messages from a stream of Redis, as a consumer group that any number of nodes share.

    Each message goes to one of the nodes, and is acknowledged (XACK) once the chain is done with it; if a node dies
    before that, another one gets it (XAUTOCLAIM). A message that the chain loses is redelivered, to any of the nodes,
    with increasing delays, but within `ack_wait`. Frames, as the output `Redis::Streams` makes them, are taken apart.
    The group, and an empty stream, are created if they are missing. It needs Redis 7 or newer.
    """

    name = "Redis::Streams"
    example = MappingProxyType({"stream": "logs", "group": "archive"})

    group: str = option(
        min_length=1, description="Name of the consumer group: nodes with the same one share the messages."
    )
    start: Literal["all", "new"] = option(
        default="all",
        description="Where a new group begins: with the first message, or the next.",
    )
    delete: bool = option(
        default=False,
        description="Remove from the stream what has been acknowledged: for a stream that only one group reads.",
    )

    def on_init(self) -> None:
        """Nothing is read yet."""
        super().on_init()
        self.arrivals = self._entries = EntryWindow(self.window, self.window_bytes, self.changed.set)
        self._reading = self.new_link()
        self._group = RedisGroup(
            self.link, self.stream, self.group, sender_name(), self.start, delete=self.delete
        )
        self._troubles: dict[str, str] = {}
        self._reported: dict[str, float] = {}  # until when they are not again
        self._ending = asyncio.Event()
        self._claim_at = self._lag_at = 0.0
        self._missed: int | None = None
        self._with_others, self._others = 0, ""

    def stopped(self) -> None:
        """Give back what was not passed on."""
        self._entries.release()
        self._ending.set()

    async def background(self) -> None:
        """Read, and answer."""
        reading = asyncio.create_task(self._keep("read", self._read), name=f"{self.label} reading")
        try:
            await self._keep("answer", self._answer)
        finally:
            self._entries.release(everything=True)
            with contextlib.suppress(RetryLater, ResponseError, TimeoutError):
                # The server gives nothing more to this consumer once what it was asked for has been answered.
                ended, _ = await asyncio.wait([reading], timeout=2 * _BLOCK)
                async with asyncio.timeout(LAST_ANSWERS):
                    await self._group.settle(self._entries, self.ack_wait)
                    await self._ask_for_lag()
                    await self._group.leave(self.ack_wait, forget=bool(ended) and not self._troubles)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self._reading.close()
            self.link.close()

    async def _keep(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do this again and again, after a failure later and later, until nothing more is wanted."""
        failures = vanished = 0
        while what != "read" or not self._entries.stopping:
            try:
                await work()
            except (RetryLater, ResponseError) as error:
                self._entries.lag = None
                if any(text in str(error) for text in _GONE) and self._group.ready:
                    self._group.ready = False
                    self._entries.forget()
                    self.report(PeerError(f"{self._where()}it is gone, and is created anew"))
                    vanished += 1
                    if vanished > 1:
                        await self._pause(vanished)
                    continue
                failures += 1
                reason = (
                    str(error) if isinstance(error, RetryLater) else f"{self._where()}{redis_reason(error)}"
                )
                if reason not in self._troubles.values() and monotonic() >= self._reported.get(reason, 0.0):
                    self.report(PeerError(reason))
                    self._reported[reason] = monotonic() + _QUIET
                    if len(self._reported) > _MOST_REPORTED:
                        del self._reported[next(iter(self._reported))]
                self._troubles[what] = reason
                await self._pause(failures)
            else:
                failures = vanished = 0
                self._troubles.pop(what, None)

    async def _pause(self, failures: int) -> None:
        longest = min(LONGEST_PAUSE, self.reconnect_longest)
        await self.wait_for(self._ending, pause_after(failures, min(FIRST_PAUSE, longest), longest))

    def _where(self) -> str:
        return f"the stream {self.stream!r}, group {self.group!r}: "

    async def _read(self) -> None:
        if not self._group.ready and await self._group.create():
            self._lag_at = 0.0
        count = self._entries.room()
        if not count:
            self._entries.freed.clear()
            await self.wait_for(self._entries.freed, LOOK)
            return
        self._receive(await self._group.read(self._reading, count, _BLOCK))

    def _receive(self, entries: Sequence[StreamEntry]) -> None:
        self._entries.saw(entries)
        for entry in filter(self._entries.is_new, entries):
            if entry.fault:
                self._entries.keep(entry)
                self.bury(entry, EncodingError(entry.fault), [entry.rest])
            else:
                if entry.others:
                    self._leave_out(entry.others)
                self._entries.admit(entry)
        self.arrival.set()

    def _leave_out(self, names: str) -> None:
        """Others have added an entry with more than a message."""
        if not self._with_others:
            text = f"entries have other fields than {MESSAGE_FIELD!r}, which are not passed on: {names}"
            self.report(PeerError(f"{self._where()}{text}"))
        self._with_others, self._others = self._with_others + 1, names

    def notes(self) -> list[str]:
        """See `RedisStreamComponent`: and that something in entries is not passed on."""
        given = super().notes()
        if self._with_others:
            text = f"{self._with_others} entries had other fields, which were not passed on; the last: {self._others}"
            given.append(text)
        return given

    async def _answer(self) -> None:
        self.changed.clear()
        await self.look_at_server()
        if self._group.ready:
            await self._group.settle(self._entries, self.ack_wait)
            self._claim_at = min(self._claim_at, self._entries.next_due)
            if monotonic() >= self._claim_at and not self._entries.stopping:
                await self._claim()
            if monotonic() >= self._lag_at:
                self._lag_at = monotonic() + LAG_INTERVAL
                await self._ask_for_lag()
        now = monotonic()
        due = min(self._claim_at, self._lag_at, self._entries.next_due) - now
        await self.wait_for(self.changed, max(0.01, min(LOOK, self.ack_wait / 6, due)))
        if not self._entries.stopping:
            await asyncio.sleep(_TOGETHER)

    async def _claim(self) -> None:
        """Take over what others, or this one, have not been at work on for `ack_wait`, as far as there is room."""
        self._entries.next_due = float("inf")
        self._claim_at = monotonic() + min(LONGEST_PAUSE, self.ack_wait / 4)
        if not (count := self._entries.room()):
            return
        found = await self._group.claim(min(count, 100), self.ack_wait)
        self._receive(found.entries)
        if found.removed:
            self._report_removed(found.removed)
        if found.more:
            self._claim_at = 0.0

    async def _ask_for_lag(self) -> None:
        self._entries.lag, missed = await self._group.lag()
        if missed > (self._missed or 0):
            self._report_removed(
                missed - (self._missed or 0), " since the group began" if self._missed is None else ""
            )
        self._missed = missed

    def _report_removed(self, count: int, since: str = "") -> None:
        what = "entry was" if count == 1 else "entries were"
        text = f"{count} {what} removed from it (maxlen, or by hand) before this group was done with them"
        self.report(PeerError(f"{self._where()}{text}{since}: lost"))

    def problems(self) -> list[str]:
        """See `LeasingInput`: and that the stream cannot be read."""
        found = super().problems()
        return [*dict.fromkeys(self._troubles.values()), *found]
