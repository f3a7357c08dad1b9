"""Writing the ledger in its own thread, so that the chain never waits for a disk."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from message_passing.clock import monotonic, wall
from message_passing.identity import run_id
from message_passing.ledger.database import AT_ONCE, LossLedger, NewerLedgerError, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from message_passing.loss_monitor import Loss

WRITE_INTERVAL = 5.0
"""Seconds between two writes, while something is lost: what a process that is killed has not written yet."""

ALIVE_INTERVAL = 60.0
"""Seconds between two records that the node is running, while nothing is lost."""

LAST_WRITE = 2.0
"""Seconds that the end of a node waits for its last write."""

MOST_PENDING = 10_000
"""Losses (by minute, component, reason and sender) that wait to be written. Beyond it, senders are not told apart;
beyond twice as many, losses are only counted (`unwritten`)."""

OTHER_SENDERS = "(other senders)"

_COMPLAINT = 600.0
"""Seconds between two reports that it cannot be written."""

_DAY, _HOUR = 86400.0, 3600.0
_JUMP = 60.0
"""Seconds by which the clock may be off against the system's before nothing is forgotten for its age."""


class LedgerWriter:
    """Records the losses of one node.

    Attributes:
        unwritten: messages lost that are not in the ledger, and will not be.
    """

    def __init__(
        self, path: Path, *, node: str, days: int, max_bytes: int, pid: int, tell: Callable[[str], object]
    ) -> None:
        """Start the thread.

        Args:
            path: the ledger; its directory exists.
            node: this node's name.
            days: for how long losses are kept.
            max_bytes: what the ledger may take.
            pid: this process.
            tell: reports a sentence to the user; called from that thread.
        """
        self.unwritten = 0
        self._ledger, self._tell, self._days = LossLedger(path, max_bytes), tell, days
        self._run = Run(run_id(), node, pid, wall())
        self._pending: Counter[tuple[int, Loss]] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = self._usable = False
        self._complained = -_COMPLAINT
        with contextlib.suppress(OSError):  # it is said later why it cannot be written
            self._ledger.create()
        self._thread = threading.Thread(target=self._work, name="message-passing ledger", daemon=True)
        self._thread.start()

    def add(self, losses: Mapping[Loss, int]) -> None:
        """Record losses. From any thread; never waits for a disk."""
        minute = int(wall()) // 60 * 60
        with self._lock:
            for loss, count in losses.items():
                key = (minute, loss)
                if key not in self._pending and len(self._pending) >= MOST_PENDING:
                    key = (minute, loss._replace(sender=OTHER_SENDERS if loss.sender else ""))
                if key not in self._pending and len(self._pending) >= 2 * MOST_PENDING:
                    self.unwritten += max(0, count)
                else:
                    self._pending[key] += count

    def close(self) -> None:
        """Write what is left, within `LAST_WRITE` seconds."""
        self._ending = True
        self._wake.set()
        self._thread.join(LAST_WRITE)
        with self._lock:
            left = self.unwritten + sum(max(0, count) for count in self._pending.values())
        if left:
            self._tell(
                f"{left} lost messages are not in the ledger {self._ledger.path}: it could not be written"
            )

    def _work(self) -> None:
        alive, pruning = -ALIVE_INTERVAL, _Pruning(self._days)
        while True:
            ending, now = self._ending, monotonic()
            if self._pending or ending or now - alive >= ALIVE_INTERVAL:
                alive = now
                self._write(ended=ending)
                if before := pruning.due():
                    self._attempt(partial(self._ledger.forget, before))
            if ending:
                return
            self._wake.wait(WRITE_INTERVAL)

    def _write(self, *, ended: bool) -> None:
        with self._lock:
            losses, self._pending = self._pending, Counter()
        left = [*losses.items()]
        while self._attempt(partial(self._ledger.add, self._run, dict(left[:AT_ONCE]), wall(), ended=ended)):
            left = left[AT_ONCE:]
            if not left:
                return
        with self._lock:  # it is tried again, with what has come meanwhile
            self._pending.update(dict(left))

    def _attempt(self, do: Callable[[], object]) -> bool:
        try:
            if not self._usable:
                if told := self._ledger.check():
                    self._tell(told)
                self._usable = True
            do()
        except NewerLedgerError:
            self._complain("it was written by a later version")
        except (sqlite3.Error, OSError) as error:
            self._usable = False  # it may be damaged: see before the next
            self._complain(str(error))
        else:
            return True
        return False

    def _complain(self, why: str) -> None:
        if monotonic() - self._complained >= _COMPLAINT:
            self._complained = monotonic()
            self._tell(
                f"cannot write the ledger {self._ledger.path}: {why}; losses are kept in memory, and it is retried"
            )


class _Pruning:
    """The time before which losses are forgotten: hourly, if the clock has not been set meanwhile.

    A clock that is a year ahead for a moment would otherwise make everything too old.
    """

    def __init__(self, days: int) -> None:
        self._days = days
        self._begin()

    def _begin(self) -> None:
        self._wall, self._monotonic = wall(), monotonic()

    def due(self) -> float:
        """Before when; 0 for not now."""
        since = monotonic() - self._monotonic
        jump = abs(wall() - self._wall - since)
        if since < _HOUR and jump < _JUMP:
            return 0.0
        self._begin()
        return self._wall - self._days * _DAY if jump < _JUMP else 0.0
