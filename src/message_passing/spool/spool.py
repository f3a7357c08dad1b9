"""A spool in operation: its thread stores frames, reads back what is to be sent, and removes what was.

Batches that arrive while a transaction is being synced share the next one. Frames not stored yet, and a window of
those to be sent next, are in memory, each with a bound.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import monotonic, steady_wall
from message_passing.errors import OpenError, PackageError
from message_passing.metrics import plural
from message_passing.paths import load_own
from message_passing.spool.directory import DATABASE, SpoolLock, cannot_use, has_no_room, strange_file
from message_passing.spool.pending import PENDING_BYTES, PendingFrames
from message_passing.spool.rows import (
    Content,
    NewerSpoolError,
    NoSpoolError,
    SpoolFrame,
    SpoolLoss,
    compressed,
    estimate,
    is_corrupt,
)
from message_passing.spool.store import MOST_DAMAGED, SpoolStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from message_passing.delivery import Hold
    from message_passing.spool.pending import PendingFrame

WhenFull = Literal["block", "drop_oldest", "drop_newest"]

READ_AHEAD = 8 << 20
"""The most bytes in memory to be sent next; for a spool with a low bound, at most a sixteenth of it."""

SPOOL_FULL = "spool full"
DISK_FULL = "spool not writable, or disk full"
TOO_OLD = "too old in the spool"
DAMAGED = "damaged in the spool"
TOO_BIG_FOR_SPOOL = "too big for the spool"

_TRANSACTION_BYTES = 2 << 20
_TRANSACTION_FRAMES = 1000
_AT_ONCE = 256  # frames that are read, or dropped, at once
_RETRY = 0.5  # seconds until storing is retried
_AGE_INTERVAL = 1.0  # seconds between two checks for frames that are too old


class Spool:
    """The spool of one output. From any thread, unless stated otherwise.

    Attributes:
        stalled: why nothing is stored at present; empty while storing works.
        on_change: called by its thread when something was stored, or is ready to be sent.
        now: the time by which frames are dated.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        max_age: float = 0.0,
        when_full: WhenFull = "block",
        compress: bool = False,
        on_drop: Callable[[SpoolLoss], object] = lambda _loss: None,
        reads_lost: bool = False,
        say: Callable[[str, str], object] = lambda _kind, _text: None,
    ) -> None:
        """Configure it; nothing is opened yet.

        Args:
            directory: its directory.
            max_bytes: the most bytes in use in its file.
            max_age: seconds after which a frame is dropped; 0 for never.
            when_full: `block`: what does not fit waits in memory, up to `has_room`; otherwise which are dropped.
            compress: store frames compressed. Those that are in it stay as they are.
            on_drop: called by its thread at each loss.
            reads_lost: it wants the frames: those on disk are read for it.
            say: called with notices for a person: a kind, and a sentence.
        """
        self.stalled = ""
        self.on_change: Callable[[], object] = lambda: None
        self.directory = directory
        self._max_bytes, self._max_age, self._when_full = max_bytes, max_age, when_full
        self.now = steady_wall()
        self._on_drop, self._say, self._reads_lost = on_drop, say, reads_lost
        self._compress = compress
        self._ahead = min(READ_AHEAD, max_bytes // 16)
        self._lock = SpoolLock(directory)
        self._store = SpoolStore(directory)
        self._changed = threading.Condition()
        self._queue = PendingFrames(min(PENDING_BYTES, max_bytes))
        self._ready: deque[SpoolFrame] = deque()
        self._ready_bytes = 0
        self._loaded: dict[int, SpoolFrame] = {}  # what is to be sent next, and what was taken for sending
        self._read_to = 0  # the number of the last frame that was loaded
        self._trimmed: list[tuple[int, int, int]] = []
        self._earlier = 0  # numbers below this are of an earlier run
        self._aged_at = 0.0
        self._expired: list[SpoolFrame] = []
        self._stalling = ""
        self._closing = self._ended = self._deserted = False
        self._alone = False  # it could have no thread
        self._thread: threading.Thread | None = None

    # Its life

    def open(self) -> None:
        """Lock the directory, open the database, and start.

        Raises:
            SpoolInUseError: another owner has it.
            OpenError: it cannot be used.
        """
        self._lock.acquire()
        try:
            remark = self._store.open()
            self._store.begin_run()
            if self._store.is_compressed():
                load_own("message_passing.zstandard:zstd")
        except (OSError, sqlite3.Error, NewerSpoolError, NoSpoolError, PackageError) as error:
            self._lock.release()
            self._store.close()
            where = repr(str(self.directory))
            if isinstance(error, NewerSpoolError):
                text = f"the spool {where} was written by a later version of message-passing: use that"
            elif isinstance(error, NoSpoolError):
                path = repr(str(self.directory / DATABASE))
                text = f"{path} is not a spool, but another program's database: name another directory"
            elif isinstance(error, PackageError):
                text = f"the spool {where} has compressed frames (spool_compress): {error}"
            elif isinstance(error, OSError) or has_no_room(error):
                text = cannot_use(self.directory, error)
            else:
                text = f"cannot open the spool {where}: {strange_file(self.directory) or error}"
            raise OpenError(text) from error
        if remark:
            self._say("damaged", remark)
        self._closing = self._ended = self._deserted = False
        self._ready.clear()
        self._loaded.clear()
        self._ready_bytes = 0
        self._earlier = self._store.next
        self._read_to = 0 if self._store.content.frames else self._store.next - 1
        thread = threading.Thread(target=self._run, name="message-passing-spool", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: `work` is to be called
            self._alone = True
        else:
            self._thread = thread

    def work(self) -> None:
        """Where it could have no thread, do its work: a turn of that."""
        if self._alone:
            self._turn(closing=False)

    @property
    def sender(self) -> bytes:
        """The id that belongs to the numbers of this run."""
        return self._store.sender

    def sender_of(self, sequence: int) -> bytes:
        """The id that belongs to a number in it, perhaps of an earlier run."""
        return self._store.sender_of(sequence)

    def first(self) -> int:
        """The lowest number in it, or else the next one: to be read before anything is taken."""
        self.work()
        with self._changed:
            while not self._ready and self._unread and not self.stalled:
                self._changed.wait(_RETRY)
            return self._ready[0].sequence if self._ready else self._store.next

    def close(self, patience: float | None = None) -> bool:
        """Store what is pending, in one attempt, and end. What could not be stored stays counted in `pending`.

        Args:
            patience: seconds to wait for a disk that does not answer; None for as long as that takes.

        Returns:
            Whether it has ended; otherwise its thread does so once the disk answers, and keeps the lock until then.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(patience)
            with self._changed:
                if not self._ended:
                    self._deserted = True
                    self.on_change = lambda: None
                    return False
            self._thread = None
        elif self._alone:
            self._turn(closing=True)
            self._alone = False
        self._end()
        return True

    def _end(self) -> None:
        self._store.close()
        self._lock.release()

    def abandon(self) -> list[object]:
        """In a forked child, return what must never be closed: the parent's (sqlite.org/howtocorrupt.html)."""
        self._lock.release()
        return [self._store]

    # What it has

    @property
    def content(self) -> Content:
        """The number of stored messages."""
        return self._store.content

    @property
    def has_room(self) -> bool:
        """Whether another batch may be added."""
        return self._queue.has_room

    @property
    def pending(self) -> int:
        """The number of messages not stored yet."""
        return self._queue.messages

    @property
    def pending_bytes(self) -> int:
        """The bytes of those."""
        return self._queue.size

    @property
    def _unread(self) -> bool:
        return self._read_to < self._store.next - 1

    def info(self) -> dict[str, Any]:
        """The state of the spool, for an operator."""
        content = self._store.content
        return {"spooled": content.messages, "spooled_bytes": content.size}

    # From and to the output

    def put(self, frames: Iterable[tuple[bytes, int, int]], hold: Hold) -> None:
        """Accept frames: bytes, number of messages, and whether these are lines. Held until all are stored."""
        if self._compress:
            frames = [
                (smaller, count, kind)
                for body, count, lines in frames
                for smaller, kind in (compressed(body, lines),)
            ]
        with self._changed:
            self._queue.put(frames, hold)
            self._changed.notify_all()

    def take(self, size: int) -> list[SpoolFrame]:
        """The stored frames to be sent next, in order, slightly above these bytes at most."""
        found = []
        with self._changed:
            while self._ready and size > 0:
                frame = self._ready.popleft()
                self._ready_bytes -= frame.size
                size -= frame.size
                found.append(frame)
            if found and self._unread and self._wants_more():
                self._changed.notify_all()
        return found

    def trim(self, sequences: Iterable[int]) -> int:
        """Mark taken frames as settled, to be removed; return the number of their messages."""
        messages = 0
        with self._changed:
            for sequence in sequences:
                if frame := self._loaded.pop(sequence, None):
                    self._trimmed.append((sequence, frame.count, frame.size))
                    messages += frame.count
            self._changed.notify_all()
        return messages

    def expire(self, sequences: Iterable[int]) -> None:
        """Mark taken frames as too old to be sent, and lost."""
        with self._changed:
            found = [frame for number in sequences if (frame := self._loaded.pop(number, None))]
            self._trimmed += [(frame.sequence, frame.count, frame.size) for frame in found]
            self._expired += found
            self._changed.notify_all()

    # The thread

    def _wants_more(self) -> bool:
        return self._ready_bytes < self._ahead // 2

    def _has_work(self) -> bool:
        if self.stalled:
            return False
        return bool(self._queue or self._trimmed or (self._unread and self._wants_more()))

    def _run(self) -> None:
        self._serve()
        with self._changed:
            self._ended = True
            deserted = self._deserted
        if deserted:
            self._end()

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._has_work() and not self._closing:
                    self._changed.wait(_RETRY if self.stalled else _AGE_INTERVAL if self._max_age else None)
                closing = self._closing
            moved = self._turn(closing=closing)
            if closing and (not moved or not (self._queue or self._trimmed)):
                return

    def _turn(self, *, closing: bool) -> bool:
        """Work once; return whether there was anything to do."""
        moved, self._stalling = False, ""
        try:
            moved = self._work(reads=not closing)
        except sqlite3.Error as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - nobody else would store anything
            self._stall(f"the spool {str(self.directory)!r} fails: {error!r}")
        with self._changed:
            self.stalled = self._stalling
            self._changed.notify_all()  # `first` waits
        if moved:
            self.on_change()
        return moved

    def _work(self, *, reads: bool) -> bool:
        """Store, remove and read once; return whether there was anything to do."""
        with self._changed:
            queued = self._queue.first(_TRANSACTION_FRAMES)
            trimmed, self._trimmed = self._trimmed, []
            expired, self._expired = self._expired, []
        if expired:
            self._lose([(frame.sequence, frame.count, frame.size) for frame in expired], TOO_OLD, expired)
        try:
            self._store.require_in_place()
            number, trimmed = self._fitting(queued, trimmed)
            moved = bool(number or trimmed)
            if moved:
                frames = [(body, count, lines) for body, count, lines, _ in queued[:number]]
                added, trimmed = self._store.commit(frames, trimmed, self.now()), []
                self._stored(queued[:number], added)
        except BaseException:
            with self._changed:
                self._trimmed[:0] = trimmed
            raise
        self._drop_old()
        moved |= reads and self._read_on()
        if not self._store.content.frames:
            with contextlib.suppress(sqlite3.Error):  # there is no room for that: it is retried
                self._store.shrink()
        return moved

    def _fitting(
        self, queued: list[PendingFrame], trimmed: list[tuple[int, int, int]]
    ) -> tuple[int, list[tuple[int, int, int]]]:
        """How many queued frames may be stored now, and which frames are still to be removed with them."""
        while queued and not (number := self._number_fitting(queued)):
            if trimmed:  # that makes room
                self._store.commit([], trimmed)
                trimmed = []
            elif not self._makes_room(queued):
                return 0, trimmed
        return (number if queued else 0), trimmed

    def _number_fitting(self, queued: list[PendingFrame]) -> int:
        number = size = 0
        room = self._max_bytes - self._store.used()
        for body, *_ in queued:
            needed = estimate(len(body))
            if size + needed > room or (number and size + needed > _TRANSACTION_BYTES):
                break
            number, size = number + 1, size + needed
        return number

    def _makes_room(self, queued: list[PendingFrame]) -> bool:
        """Whether something was removed for what is queued; otherwise, that is dropped or waits."""
        if not self._store.content.frames:
            if self._store.forget_damaged():
                return True
            self._refuse(queued[:1], TOO_BIG_FOR_SPOOL)
        elif self._when_full == "drop_oldest" and self._drop_oldest():
            return True
        elif self._when_full != "block":
            self._refuse(queued, SPOOL_FULL)
        else:
            self._stall(
                f"the spool {str(self.directory)!r} is full (spool_bytes: {self._max_bytes:,}): no more is "
                "accepted until the receiver acknowledges some of it"
            )
        return False

    def _stored(self, queued: list[PendingFrame], added: Sequence[SpoolFrame]) -> None:
        with self._changed:
            self._queue.remove(len(queued))
            if added and self._read_to == added[0].sequence - 1 and self._ready_bytes < self._ahead:
                self._load(added)
        for *_, batch in queued:
            batch.settle(lost=False)

    def _load(self, frames: Sequence[SpoolFrame]) -> None:
        for frame in frames:
            self._ready.append(frame)
            self._ready_bytes += frame.size
            self._loaded[frame.sequence] = frame
        self._read_to = frames[-1].sequence

    def _read_on(self) -> bool:
        """Read what is to be sent next, if there is room for it."""
        if not self._unread or not self._wants_more():
            return False
        frames, damaged = self._store.read(self._read_to, _AT_ONCE, self._ahead)
        with self._changed:
            if frames:
                self._load(frames)
            if damaged:
                self._read_to = max(self._read_to, damaged[-1][0])
            if not frames and not damaged:
                self._read_to = self._store.next - 1
        if damaged:
            self._lose(damaged, DAMAGED)
            self._say(
                "row",
                f"{plural(sum(count for _, count, _ in damaged))} in the spool {str(self.directory)!r} cannot be "
                "sent, because their checksums are wrong: they are set aside there, in the table `damaged`, which "
                f"keeps the last {MOST_DAMAGED} frames",
            )
        return True

    # Losing

    def _lose(
        self, lost: Sequence[tuple[int, int, int]], reason: str, frames: Sequence[SpoolFrame] = ()
    ) -> None:
        earlier = sum(count for number, count, _ in lost if number < self._earlier)
        self._on_drop(SpoolLoss(sum(count for _, count, _ in lost), reason, earlier, frames))

    def _refuse(self, queued: list[PendingFrame], reason: str) -> None:
        """Drop the first of the queue, which is not stored. The loss is counted before it can be noticed."""
        frames = [SpoolFrame(0, body, count, kind) for body, count, kind, _ in queued if self._reads_lost]
        self._on_drop(SpoolLoss(sum(count for _, count, _, _ in queued), reason, 0, frames))
        with self._changed:
            self._queue.remove(len(queued))
        for *_, batch in queued:
            batch.settle(lost=True)

    def _drop_oldest(self) -> bool:
        """Remove the oldest frames that are not in memory to be sent; return whether there were any."""
        oldest = self._store.oldest(_AT_ONCE, self._read_to)
        room, found = -_TRANSACTION_BYTES, []
        for number, count, size, _ in oldest:
            found.append((number, count, size))
            room += estimate(size)
            if room >= 0:
                break
        return self._remove_unread(found, SPOOL_FULL)

    def _remove_unread(self, found: list[tuple[int, int, int]], reason: str) -> bool:
        if found:
            frames = self._store.intact([number for number, _, _ in found]) if self._reads_lost else ()
            self._store.commit([], found)
            self._read_to = found[-1][0]
            self._lose(found, reason, frames)
        return bool(found)

    def _drop_old(self) -> None:
        if not self._max_age or monotonic() - self._aged_at < _AGE_INTERVAL:
            return
        before = self.now() - self._max_age
        while True:
            oldest = self._store.oldest(_AT_ONCE, self._read_to)
            # Not past one that is younger: what is before `_read_to` is read no more.
            old = takewhile(lambda one: one[3] < before, oldest)
            found = [(number, count, size) for number, count, size, _ in old]
            if not self._remove_unread(found, TOO_OLD):
                break
        self._aged_at = monotonic()

    # What goes wrong

    def _stall(self, why: str) -> None:
        if why != self.stalled:
            self._say("stalled", why)
        self._stalling = why

    def _failed(self, error: sqlite3.Error) -> None:
        if is_corrupt(error) or not self._store.is_open:
            self._begin_anew()
            return
        self._go_on_without_room()
        self._stall(
            f"the spool {str(self.directory)!r} cannot be written: {error}; retrying, and nothing more is accepted "
            "meanwhile"
            if self._when_full == "block"
            else f"the spool {str(self.directory)!r} cannot be written: {error}; new messages are dropped meanwhile"
        )
        if self._when_full != "block":
            with self._changed:
                queued = self._queue.first(len(self._queue))
            self._refuse(queued, DISK_FULL)

    def _go_on_without_room(self) -> None:
        """Continue without room to store: stored frames can be sent, and there may be room for removing them.

        Removing needs room, too, and so does emptying SQLite's log, which may be what has filled the disk. Where
        there is none, the files are removed once all their frames were sent.
        """
        with contextlib.suppress(sqlite3.Error):
            self._read_on()
        with self._changed:
            trimmed = list(self._trimmed)
        try:
            self._store.commit([], trimmed)
        except sqlite3.Error:
            emptied, left = False, self._store.content.frames - len(trimmed)
        else:
            emptied, left = self._store.empty_log(), self._store.content.frames
            with self._changed:
                del self._trimmed[: len(trimmed)]
        if emptied or left > 0 or not self._store.is_open:
            return
        with contextlib.suppress(OSError, sqlite3.Error):
            self._store.begin_empty()
            with self._changed:
                self._trimmed = [one for one in self._trimmed if one not in trimmed]

    def _begin_anew(self) -> None:
        """Start over after the database turned out to be damaged: its frames in memory are kept."""
        with self._changed:
            kept = list(self._loaded.values())
            lost = self._store.content.messages - sum(one.count for one in kept)
            lost -= sum(count for _, count, _ in self._trimmed)
            self._trimmed = []
        self._store.content = Content()
        if lost > 0:
            self._on_drop(SpoolLoss(lost, DAMAGED))
        try:
            self._lock.renew()
            remark = self._store.begin_anew()
            self._read_to = self._store.next - 1
            self._store.put_back(kept)
        except (sqlite3.Error, OSError, OpenError) as error:
            self._stall(
                f"the spool {str(self.directory)!r} is damaged, and a new one cannot be created: {error}"
            )
            return
        if remark:
            self._say("damaged", remark)
