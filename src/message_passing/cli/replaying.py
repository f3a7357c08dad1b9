"""The input of `message-passing replay`, and how far it has got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.errors import OpenError
from message_passing.flow import Input
from message_passing.inputs._saved_file import SavedFile, Versioned
from message_passing.options import option
from message_passing.redelivery import AttemptResult, DeliveryAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.cli.replay_sources import Lines, ReplayItem, SpooledMessages

_BATCH = 500
"""Messages that are on their way at once, at most; and"""
_BATCH_BYTES = 1 << 20
"""bytes of them, but for one that is larger."""

_RETRY = 0.5
"""Seconds until a batch that was lost is sent again."""


class _Reached(Versioned, kw_only=True, forbid_unknown_fields=True):
    file: tuple[int, int]
    position: int


class Position:
    """How far a file or spool has been sent, kept in another file."""

    def __init__(self, path: str, source: Lines | SpooledMessages) -> None:
        """Read it.

        Args:
            path: of the file that it is kept in; empty for none.
            source: what is read.

        Raises:
            OpenError: it cannot be read, is in use, or is the position in another file.
        """
        self._identity = source.identity or (0, 0)
        self.begin = 0
        self._file = SavedFile(path, "position file") if path else None
        if not self._file:
            return
        found = self._file.open(_Reached, most_bytes=1000, remedy="remove it to start over")
        if found is None:
            return
        beyond = source.units == "byte" and found.position > source.size
        if found.file != self._identity or found.position < 0 or beyond:
            self.close()
            text = "it is a position in another file, or in one that was truncated: remove it to start over"
            raise OpenError(f"--resume {path}: {text}")
        self.begin = found.position

    def save(self, position: int) -> None:
        """Everything before this has been sent.

        Raises:
            OSError: it cannot be written.
        """
        if self._file:
            self._file.save(_Reached(version=1, file=self._identity, position=position))

    def close(self) -> None:
        """Let others use it."""
        if self._file:
            self._file.close()


@dataclass(slots=True)
class Counts:
    """What became of the lines.

    Attributes:
        taken: settled, and not lost.
        wrong: lines that have no whole message.
        left_out: dead letters of another reason.
        stuck: why it ended early; empty if it did not.
        ended: everything was read.
    """

    taken: int = 0
    wrong: int = 0
    left_out: int = 0
    stuck: str = ""
    ended: bool = False


@dataclass(slots=True)
class _Batch:
    messages: list[bytes] = field(default_factory=list)
    size: int = 0
    end: int = 0  # position behind it
    tried: int = 0


def _settle(settled: asyncio.Future[AttemptResult], result: AttemptResult) -> None:
    if not settled.done():
        settled.set_result(result)


class ReplayInput(Input):
    """Reads dead letters, JSON lines or a spool, and delivers their messages, a batch after the other.

    Where nothing is taken for too long, it calls `give_up`, by default nothing.

    A position is saved once what is before it is settled as DELIVERED or REJECTED. What is LOST is sent again.
    """

    name = "Replay"

    source: Any = option(description="The `Lines`, or `SpooledMessages`.", python_only=True)
    position: Any = option(description="The `Position` in it.", python_only=True)
    tell: Any = option(description="Called with a sentence for a person.", python_only=True)
    show: Any = option(description="Called with bytes done, and bytes in all.", python_only=True)
    rate: float = option(default=0.0, ge=0, description="Messages a second; 0: as fast as they are taken.")
    timeout: float = option(
        default=30.0, gt=0, description="Seconds in which nothing is taken until it ends."
    )

    def on_init(self) -> None:
        """Nothing was sent."""
        super().on_init()
        self.counts = Counts()
        self.give_up: Callable[[], object] = list

    async def run(self) -> None:
        """Send everything."""
        began = monotonic()
        for batch in self._batches():
            if batch.messages and not await self._sent(batch):
                return
            self.position.save(batch.end)
            self.show(self.source.done(batch.end), self.source.size)
            ahead = self.counts.taken / self.rate - (monotonic() - began) if self.rate else 0
            await asyncio.sleep(max(0, ahead))
        self.counts.ended = True

    async def _sent(self, batch: _Batch) -> bool:
        """Whether these were taken: what is lost of them is delivered again."""
        until, left, exact = monotonic() + self.timeout, batch.messages, True
        while True:
            settled: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
            attempt = DeliveryAttempt(
                self, self.emit, partial(_settle, settled), comes_again=True, tried=batch.tried
            )
            attempt.hand_on([*left], one_by_one=not exact)
            try:
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    result = await settled
                    if result.outcome is not Outcome.LOST:
                        break
                    if len(result.lost) < len(left):  # something was accepted
                        until = monotonic() + self.timeout
                    left, exact = [left[index] for index in result.lost], exact and result.exact
                    await asyncio.sleep(_RETRY)
            except TimeoutError:
                self.counts.stuck = f"nothing was accepted for {self.timeout:g} seconds (--timeout)"
                self.give_up()
                return False
        self.counts.taken += len(batch.messages)
        return True

    def _batches(self) -> Iterator[_Batch]:
        most = min(_BATCH, max(1, int(self.rate / 5))) if self.rate else _BATCH
        batch = _Batch(end=self.position.begin)
        for entry in self.source.entries(self.position.begin):
            self._count(entry)
            if batch.messages and entry.messages and batch.tried != entry.tried:
                yield batch
                batch = _Batch()
            batch.end = entry.end
            if entry.messages:
                batch.tried = entry.tried
                batch.messages += entry.messages
                batch.size += sum(map(len, entry.messages))
            if len(batch.messages) >= most or batch.size >= _BATCH_BYTES:
                yield batch
                batch = _Batch(end=entry.end)
        yield batch

    def _count(self, entry: ReplayItem) -> None:
        if entry.wrong:
            self.counts.wrong += 1
            if self.counts.wrong <= _MOST_TOLD:
                self.tell(entry.wrong)
        elif not entry.messages:
            self.counts.left_out += 1


_MOST_TOLD = 10
"""Lines that are told of; all are counted."""
