"""A live tail as a stream of JSON lines: what is wanted, as fast as the watcher can follow, and what was missed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.console.taps import WAITING, Tap
from message_passing.console.wanted import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from message_passing.console.wanted import Wanted

LOOKED_AT = 10
"""How many messages are looked at for each that may be sent, where there is a limit: watching stays cheap."""

_SECOND = 1.0
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Tail:
    """One watcher's stream."""

    def __init__(self, wanted: Wanted, limit: int = 0) -> None:
        """Prepare it, in the event loop that is to send it.

        Args:
            wanted: which messages.
            limit: how many to send a second at most; 0 for all.
        """
        loop = asyncio.get_running_loop()
        self._came = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody watches any more
                loop.call_soon_threadsafe(self._came.set)

        self._wanted = wanted
        self._limit = limit
        self._looks = limit if wanted.everything else limit * LOOKED_AT
        self.tap = Tap(wake, min(self._looks, WAITING) if limit else WAITING)
        self._sent = self._looked = self._unseen = self._told = 0

    async def lines(self, ended: asyncio.Event) -> AsyncIterator[bytes]:
        """The stream, until `ended` is set: each line as `GET /tail` describes it."""
        second = time.monotonic()
        spoke = False
        while not ended.is_set():
            left = second + _SECOND - time.monotonic()
            if left <= 0:
                if missed := self._take_missed():
                    yield _line({"missed": missed})
                elif not spoke:
                    yield _line({"alive": True})
                second, spoke = time.monotonic(), False
                self._sent = self._looked = 0
            elif self._full():
                # What waits stays there, so that the tap is full as well: it then costs the chain next to nothing.
                await _until(ended, left)
            elif block := self._found():
                spoke = True
                yield block
                await asyncio.sleep(0)
            else:
                self._came.clear()
                if not self.tap.waiting:
                    await _until(self._came, left)

    def _full(self) -> bool:
        return bool(self._limit) and (self._sent >= self._limit or self._looked >= self._looks)

    def _found(self) -> bytes:
        """Lines for what has come and is wanted, as far as there is room in this second."""
        lines: list[bytes] = []
        for when, batch in self.tap.take():
            for index, raw in enumerate(batch):
                if self._full():
                    self._unseen += len(batch) - index
                    break
                self._looked += 1
                message, text = shown(raw)
                if self._wanted.takes(message, text):
                    self._sent += 1
                    lines.append(_line({"time": when, "message": message}))
        return b"".join(lines)

    def _take_missed(self) -> int:
        before, self._told = self._told, self._unseen + self.tap.missed
        return self._told - before


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _line(value: Any) -> bytes:
    return _encode(value) + b"\n"
