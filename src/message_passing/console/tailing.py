"""A live tail as a stream of JSON lines: matching messages, as fast as the client reads, and how many were missed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.console.message_filter import decode_for_display
from message_passing.console.taps import WAITING, Tap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from message_passing.console.message_filter import MessageFilter

LOOKED_AT = 10
"""How many messages are examined for each that may be sent, if there is a limit: this keeps a tail cheap."""

_MESSAGES_AT_ONCE, _BYTES_AT_ONCE = 100, 64 * 1024
"""Messages, and their bytes, that are examined before other work has its turn."""

_SECOND = 1.0
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Tail:
    """One watcher's stream."""

    def __init__(self, wanted: MessageFilter, limit: int, admit: Callable[[], Awaitable[None]]) -> None:
        """Prepare it, in the event loop that is to send it.

        Args:
            wanted: which messages.
            limit: how many to send a second at most; 0 for all.
            admit: waits until there is time for looking at some.
        """
        loop = asyncio.get_running_loop()
        self._came = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the client
                loop.call_soon_threadsafe(self._came.set)

        self._filter, self._limit, self._admit = wanted, limit, admit
        self._looks = limit if wanted.everything else limit * LOOKED_AT
        self.tap = Tap(wake, min(self._looks, WAITING) if limit else WAITING)
        self._sent = self._looked = self._told = 0

    async def lines(self, ended: asyncio.Event, on_missed: Callable[[int], object]) -> AsyncIterator[bytes]:
        """The stream, until `ended` is set: each line as `GET /tail` describes it.

        Args:
            ended: set when there is no more.
            on_missed: called with how many messages are reported as missed.
        """
        second = time.monotonic()
        spoke = False
        while not ended.is_set():
            left = second + _SECOND - time.monotonic()
            if left <= 0:
                if missed := self._take_missed():
                    on_missed(missed)
                    yield _line({"missed": missed})
                elif not spoke:
                    yield _line({"alive": True})
                second, spoke = time.monotonic(), False
                self._sent = self._looked = 0
            elif self._full():
                # What waits stays there, so that the tap is full as well: it then costs the chain next to nothing.
                await _until(ended, left)
            elif self.tap.waiting:
                await self._admit()
                if block := self._found():
                    spoke = True
                    yield block
            else:
                self._came.clear()
                if not self.tap.waiting:
                    await _until(self._came, left)

    def _full(self) -> bool:
        return bool(self._limit) and (self._sent >= self._limit or self._looked >= self._looks)

    def _found(self) -> bytes:
        """Lines for what has come and is wanted, as far as there is room in this second."""
        lines: list[bytes] = []
        most = _MESSAGES_AT_ONCE
        if self._limit:
            most = min(most, self._limit - self._sent, self._looks - self._looked)
        for when, batch in self.tap.take(most, _BYTES_AT_ONCE):
            for raw in batch:
                self._looked += 1
                if line := self._line_of(when, *decode_for_display(raw)):
                    self._sent += 1
                    lines.append(line)
        return b"".join(lines)

    def _line_of(self, when: float, message: Any, text: str) -> bytes:
        """The line for a message; empty when it is not wanted."""
        try:
            return _line({"time": when, "message": message}) if self._filter.matches(message, text) else b""
        except (RecursionError, ValueError):
            # It could just be decoded, and is nested too deeply for all else.
            return _line({"time": when, "message": text}) if self._filter.matches(text, text) else b""

    def _take_missed(self) -> int:
        before, self._told = self._told, max(self._told, self.tap.missed)
        return self._told - before


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _line(value: Any) -> bytes:
    return _encode(value) + b"\n"
