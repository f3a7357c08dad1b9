"""How a ZeroMQ output keeps what it sends on disk until it is acknowledged."""

from __future__ import annotations

import contextlib
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.spool.spool import Spool, WhenFull
from message_passing.zeromq.hop.acknowledged_sending import AcknowledgedSending
from message_passing.zeromq.hop.link import HopSender
from message_passing.zeromq.hop.packing import packed
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from message_passing.delivery import Hold
    from message_passing.spool.rows import SpoolLoss
    from message_passing.zeromq.settings import SocketSettings

WINDOW_BYTES = 16 << 20
"""Bytes of frames that are in memory to be sent or acknowledged; of a spool with a low bound, an eighth of that."""

WINDOW_FRAMES = 10_000
"""Frames that are in memory to be sent or acknowledged."""

CLOSE_PATIENCE = 10.0
"""Seconds that closing waits for a disk that does not answer, unless somebody has less patience."""

_kept_by_children: list[object] = []  # connections of parents, which a forked child must not close


class SpooledSending(AcknowledgedSending):
    """One output's sending end with a spool. From any thread.

    Attributes:
        notices: the notices about the spool.
        dropped_earlier: messages that were dropped, and had been stored by an earlier run.
        patience: seconds that closing waits for a disk that does not answer.
    """

    def __init__(
        self,
        settings: SocketSettings,
        *,
        ack_timeout: float,
        directory: str,
        max_bytes: int,
        max_age: float,
        when_full: WhenFull,
        compress: bool,
        on_drop: Callable[[SpoolLoss], object],
        reads_lost: bool = False,
    ) -> None:
        """Prepare it: see `AcknowledgedSending` and `Spool`."""
        super().__init__(settings, most=0, ack_timeout=ack_timeout)
        self.notices = ThrottledWarnings()
        self.dropped_earlier = 0
        self.patience = CLOSE_PATIENCE
        self._settings, self._ack_timeout, self._max_age = settings, ack_timeout, max_age
        self._report_drop = on_drop
        self._window = min(WINDOW_BYTES, max_bytes // 8)
        self._on_way = 0  # bytes
        self._spool = Spool(
            Path(directory),
            max_bytes=max_bytes,
            max_age=max_age,
            when_full=when_full,
            compress=compress,
            on_drop=self._dropped,
            reads_lost=reads_lost,
            say=self.notices.say,
        )

    def open(self) -> None:
        """Open the spool, then the sockets: what is in it has the same numbers again, and the ids belonging to them.

        Raises:
            SpoolInUseError: see `Spool.open`.
            OpenError: see there, and `OpenSocket`.
        """
        self._spool.open()
        try:
            self._sender = HopSender(
                self._settings,
                dead_after=self._ack_timeout,
                sender=self._spool.sender,
                first=self._spool.first(),
            )
            super().open()
        except BaseException:
            self._spool.close()
            raise
        self._spool.on_change = self._changed
        self.wake()

    @property
    def held(self) -> int:
        """Messages that are not on disk yet."""
        return self._spool.pending

    @property
    def unsettled_bytes(self) -> int:
        """The bytes of those."""
        return self._spool.pending_bytes

    @property
    def unfinished(self) -> int:
        """Messages that are not on disk yet, or not acknowledged."""
        return self._spool.pending + self._spool.content.messages

    @property
    def spooled(self) -> int:
        """Messages that are in the spool."""
        return self._spool.content.messages

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it, nor about to be."""
        return not self._spool.pending and not self._spool.content.frames

    @property
    def has_room(self) -> bool:
        """Whether another batch may be added."""
        return self._spool.has_room

    has_much_room = has_room

    def info(self) -> dict[str, Any]:
        """See `AcknowledgedSending`; and the contents of the spool."""
        return {**super().info(), **self._spool.info()}

    def problems(self) -> list[str]:
        """See `AcknowledgedSending`; and why nothing can be stored."""
        return [*([self._spool.stalled] if self._spool.stalled else []), *super().problems()]

    def _dropped(self, loss: SpoolLoss) -> None:
        self.dropped_earlier += loss.earlier
        self._report_drop(loss)

    def _changed(self) -> None:
        """The spool has stored or read something."""
        self.wake()
        with contextlib.suppress(RuntimeError):  # that loop has ended
            self.on_room()

    def write(self, messages: Sequence[bytes], hold: Hold, *, plain: bool = False) -> None:
        """Take a batch. It is held until all of it is on disk."""
        self._write(packed(messages, plain=plain), hold)

    def _write(self, frames: Iterable[tuple[bytes, int, bool]], hold: Hold) -> None:
        self._spool.put(frames, hold)

    def _service(self) -> None:
        self._spool.work()
        producer = self._sender.producer
        if self._max_age:
            self._expire(self._spool.now() - self._max_age)
        while True:
            while self._on_way < self._window and len(producer) < WINDOW_FRAMES:
                frames = self._spool.take(1)  # one by one: a compressed frame is larger than what is stored
                for frame in frames:
                    body, sender = frame.body, self._spool.sender_of(frame.sequence)
                    producer.restore(frame.sequence, body, frame.time, lines=frame.lines, sender=sender)
                    self._on_way += len(body)
                if not frames:
                    break
            settled = self._sender.service()
            if not settled:
                return
            self._on_way -= sum(len(entry.body) for entry in settled)
            self.acknowledged += self._spool.trim([entry.sequence for entry in settled])

    def _expire(self, before: float) -> None:
        """Give up frames that wait to be sent and are too old."""
        producer = self._sender.producer
        old = [
            entry
            for entry in takewhile(lambda entry: entry.token < before, producer.unsettled())
            if entry.peer is None
        ]
        for entry in old:
            producer.discard(entry.sequence)
            self._on_way -= len(entry.body)
        if old:
            self._spool.expire([entry.sequence for entry in old])

    def _end(self) -> None:
        """Everything that can be is on disk then. What is not stays counted in `held`."""
        self._spool.close(self.patience)

    def abandon(self) -> None:
        """In a forked child: the spool is the parent's too."""
        super().abandon()
        _kept_by_children.append(self._spool.abandon())
