"""The spool of a handler: its thread has records put on disk before they are sent, until they are acknowledged.

Each process has a spool of its own in the handler's directory, and goes on with what is in that. What is left in
others, whose process has ended, is sent besides, one spool after another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import zmq

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.logging.acknowledged_socket import AcknowledgedSocket
from message_passing.logging.encoded_level import UNKNOWN_LEVEL, level_of_encoded
from message_passing.metrics import plural
from message_passing.spool.directory import DATABASE, SpoolInUseError, SpoolLock
from message_passing.spool.reader import SpoolReader
from message_passing.spool.slots import MOST_SPOOLS, candidates, spools_in
from message_passing.zeromq.hop.spooled import SpooledSending

if TYPE_CHECKING:
    from message_passing.logging.losses import Telling
    from message_passing.spool.rows import SpoolLoss
    from message_passing.zeromq.hop.acknowledged_sending import AcknowledgedSending

NOT_STORED = "not on disk"
"""The reason of what had been handed to the spool when the handler was closed, and was not stored within `linger`."""

ADOPT_INTERVAL = 30.0
"""Seconds between two looks for spools whose process has ended."""

_LOOK = 0.05
"""Seconds between two looks whether such a spool has been sent."""


_MOST_NOTICES = 100
"""Notices of losses that are remembered: what one of them reports is reported again, should the spool lose it."""


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """The options of a spool: see `AcknowledgedOptions`."""

    directory: str
    max_bytes: int
    max_age: float
    when_full: Literal["block", "drop_oldest", "drop_newest"]
    compress: bool


class SpooledSocket(AcknowledgedSocket):
    """One spool with a DEALER after another. What was handed over is settled once it is on disk."""

    doubtful = NOT_STORED
    keeps = True

    def __init__(self, *given: Any, spool: SpoolSettings, **more: Any) -> None:
        """Prepare it: see `AcknowledgedSocket`. Nothing is opened yet."""
        super().__init__(*given, **more)
        self._spool = spool
        self._directory = Path(spool.directory)
        self._adopted: SpooledSending | None = None
        self._adopt_after = self._look_after = 0.0
        self._left = 0  # records in the spool when it was closed
        self._notices_given: dict[bytes, Telling] = {}  # the last ones

    def _present(self) -> list[AcknowledgedSending]:
        return [*super()._present(), *([self._adopted] if self._adopted else [])]

    # Opening

    def _open(self) -> AcknowledgedSending:
        """Open the first spool that nobody uses, or a new one.

        Raises:
            OpenError, OSError, zmq.ZMQError: it cannot be done now.
        """
        for directory in candidates(self._directory):
            sending = self._sending_of(directory)
            try:
                sending.open()
            except SpoolInUseError:
                continue
            self._left = 0
            self._adopt_after = monotonic()
            return sending
        raise OpenError(
            f"all {MOST_SPOOLS} spools in {str(self._directory)!r} are in use: give programs directories of their own"
        )

    def _sending_of(self, directory: Path) -> SpooledSending:
        spool = self._spool
        return SpooledSending(
            self._settings,
            ack_timeout=self._ack_timeout,
            directory=str(directory),
            max_bytes=spool.max_bytes,
            max_age=spool.max_age,
            when_full=spool.when_full,
            compress=spool.compress,
            on_drop=self._dropped,
            reads_lost=True,
        )

    def _dropped(self, loss: SpoolLoss) -> None:
        """Count what the spool has lost, by its levels as far as they are known. From its thread."""
        for frame in loss.frames:
            if not frame.count and (telling := self._notices_given.pop(frame.body, None)):
                self._losses.retell(telling)
        levels = Counter(
            level_of_encoded(text) for frame in loss.frames if frame.count for text in frame.messages()
        )
        levels[UNKNOWN_LEVEL] += loss.count - levels.total()
        for level, count in levels.items():
            for _ in range(count):
                self._losses.add(loss.reason, level)

    def offer(self, records: list[bytes], *, notice: bool = False) -> int:
        """See `AcknowledgedSocket`."""
        if notice:
            self._notices_given[records[0]] = self._losses.telling()
            if len(self._notices_given) > _MOST_NOTICES:
                self._notices_given.pop(next(iter(self._notices_given)), None)
        return super().offer(records, notice=notice)

    # What others have left

    def tend(self) -> None:
        """See `AcknowledgedSocket`; and have sent what is in spools whose process has ended."""
        super().tend()
        now = monotonic()
        if self.quiet or self._sending is None or now < self._look_after:
            return
        self._look_after = now + _LOOK
        if self._adopted and not self._adopted.has_thread:
            self._adopted.serve()
        if self._adopted and (self._adopted.broken or self._adopted.is_empty):
            adopted, self._adopted = self._adopted, None
            self._retire(adopted)
            self._adopt_after = now
        if self._adopted is None and now >= self._adopt_after:
            self._adopt_after = now + ADOPT_INTERVAL
            self._adopted = self._orphan()

    def _orphan(self) -> SpooledSending | None:
        """A spool that nobody uses, and that something is in, opened; None if there is none."""
        for directory in spools_in(self._directory):
            if not _has_something(directory):
                continue
            sending = self._sending_of(directory)
            try:
                sending.open()
            except (
                OpenError,
                OSError,
                RuntimeError,
                zmq.ZMQError,
            ):  # in use again; or it is tried another time
                continue
            return sending
        return None

    # What there is to tell

    def counts(self) -> dict[str, int]:
        """See `AcknowledgedSocket`; and what is on disk."""
        spooled = sum(sending.spooled for sending in self._present() if isinstance(sending, SpooledSending))
        return {**super().counts(), "spooled": spooled + self._left}

    def outstanding(self) -> int:
        """What waits to be stored or acknowledged, also of others, and one more while others are to be looked at."""
        if self._adopted:
            return super().outstanding() + max(1, self._adopted.unfinished)
        return super().outstanding() + (self._sending is not None and monotonic() >= self._adopt_after)

    def obstacle(self) -> str | None:
        """Why nothing is stored, or else acknowledged."""
        stalled = self._sending.problems() if isinstance(self._sending, SpooledSending) else []
        return stalled[0] if stalled else super().obstacle()

    def _notices_of(self, sending: AcknowledgedSending, *, last: bool) -> list[str]:
        texts = super()._notices_of(sending, last=last)
        if isinstance(sending, SpooledSending):
            texts += [f"log handler: {text}" for text in sending.notices.take(all_counts=last)]
        return texts

    # The end

    def leave(self, deadline: float) -> None:
        """See `RecordSocket`."""
        if self._adopted:
            self._leaving.append((self._adopted, deadline))
            self._adopted = None
        super().leave(deadline)

    def _retire(self, sending: AcknowledgedSending, deadline: float = 0.0) -> None:
        if isinstance(sending, SpooledSending):
            sending.patience = max(_LOOK, deadline - monotonic())
        super()._retire(sending, deadline)
        if isinstance(sending, SpooledSending) and sending.spooled:
            self._left += sending.spooled
            self._late.append(
                f"log handler: {plural(sending.spooled)} left in the spool {str(self._directory)!r}, to be sent by "
                "the next process that uses it"
            )

    def abandon(self) -> None:
        """See `RecordSocket`."""
        super().abandon()
        self._adopted = None


def _has_something(directory: Path) -> bool:
    """Whether nobody uses a spool, and something is in it, or it is damaged."""
    if not (directory / DATABASE).exists():
        return False
    lock = SpoolLock(directory)
    try:
        lock.acquire()
    except OpenError:
        return False
    try:
        with SpoolReader(directory) as spool:
            return spool.content().frames > 0
    except OpenError:
        return True
    finally:
        lock.release()
