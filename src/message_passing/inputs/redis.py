"""Receive messages that are published in Redis (Message::Passing::Input::Redis)."""

from __future__ import annotations

import asyncio
import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import Fault, OptionError, PeerError, needs_extra
from message_passing.flow import Input
from message_passing.network.backoff import RetryLater, pause_after
from message_passing.network.engine_input import FIRST_PAUSE
from message_passing.options import option
from message_passing.redis.entries import require_bytes
from message_passing.redis.options import RedisPubSubComponent
from message_passing.redis.reasons import redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_WAITING = 1000
"""The most messages that have been read and are not passed on; the next are not read meanwhile."""

_PING_INTERVAL, _SILENCE = 10.0, 30.0
"""Seconds between two questions whether the server is there, and after which it is not."""


class RedisInput(RedisPubSubComponent, Input):
    """Receives what is published to topics of Redis (SUBSCRIBE), each a message, as bytes.

    Redis keeps nothing that is published: what is published while this is not connected is lost, and cannot be
    counted. Where that matters, use `Redis::Streams`. An output after it that is full drops messages, and counts
    them.
    """

    name = "Redis"
    example = MappingProxyType({"topics": ["logs"]})
    can_wait = False

    topics: str | list[str] = option(
        description="The topics to subscribe to, as a list or separated by commas. `logs.*` subscribes to all that"
        " begin with `logs.` (PSUBSCRIBE: `*`, `?` and `[...]`)."
    )

    def on_init(self) -> None:
        """Read the topics.

        Raises:
            OptionError: there is none.
        """
        super().on_init()
        given = self.topics if isinstance(self.topics, list) else self.topics.split(",")
        names = list(dict.fromkeys(name for one in given if (name := one.strip())))
        if not names:
            raise OptionError(Fault(f"{self.label}: topics: give at least one", "topics"))
        self._patterns = [name for name in names if not {*"*?["}.isdisjoint(name)]
        self._names = [name for name in names if name not in self._patterns]
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._trouble = ""

    async def run(self) -> None:
        """Pass on what has come, until cancelled."""
        while True:
            self.emit([await self._waiting.get(), *self._taken()])
            await self.drain()

    def _taken(self) -> list[bytes]:
        return [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]

    def stopped(self) -> None:
        """Pass on what was read."""
        if left := self._taken():
            self.emit(left)

    async def background(self) -> None:
        """Be subscribed."""
        failures = 0
        try:
            while True:
                before, began = self.link.number, monotonic()
                try:
                    await self._receive()
                except (RetryLater, ResponseError) as error:
                    reason = str(error) if isinstance(error, RetryLater) else redis_reason(error)
                    connected = self.link.number != before
                    # A server that accepts and closes is tried later and later, as one that is not there.
                    failures = 1 if monotonic() - began > _PING_INTERVAL else failures + 1
                    if reason != self._trouble or connected:
                        self.report(PeerError(f"{reason}; what is published meanwhile is not received"))
                    self._trouble = reason
                await asyncio.sleep(
                    pause_after(failures, min(FIRST_PAUSE, self.reconnect_longest), self.reconnect_longest)
                )
        finally:
            self.link.close()

    async def _receive(self) -> None:
        async with self.link.alone() as connection:
            for word, topics in (("SUBSCRIBE", self._names), ("PSUBSCRIBE", self._patterns)):
                if topics:
                    await connection.send_command(word, *topics, check_health=False)
            pinging = asyncio.create_task(self._ping(connection), name=f"{self.label} ping")
            try:
                while True:
                    async with asyncio.timeout(_SILENCE):
                        answer = await connection.read_response()
                    await self._take(answer)
            finally:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)

    async def _take(self, answer: Sequence[Any]) -> None:
        kind = answer[0]
        if kind in (b"message", b"pmessage"):
            await self._waiting.put(require_bytes(answer[-1]))
        elif kind in (b"subscribe", b"psubscribe"):
            self._trouble = ""

    @staticmethod
    async def _ping(connection: Any) -> None:
        with contextlib.suppress(Exception):  # whoever reads gets to know
            while True:
                await asyncio.sleep(_PING_INTERVAL)
                await connection.send_command("PING", check_health=False)

    def problems(self) -> list[str]:
        """See `Component`: and that it receives nothing."""
        return [*([self._trouble] if self._trouble else []), *super().problems()]
