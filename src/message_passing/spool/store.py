"""A spool's database: frames in the order of their numbers, added and removed by transactions that are synced.

For one thread at a time. Pages of trimmed frames are reused by later ones; the file shrinks once the spool is empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from bisect import bisect_right
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from message_passing.clock import wall
from message_passing.file_identity import file_identity
from message_passing.spool.directory import DATABASE, LOG_BYTES, database_in, sync_directory
from message_passing.spool.rows import (
    PAGE_BYTES,
    SELECT_FRAMES,
    SENDER_BYTES,
    SPOOL_VERSION,
    Content,
    NewerSpoolError,
    NoSpoolError,
    Numbering,
    SpoolFrame,
    corrupt,
    frame_of,
    is_corrupt,
    measure,
    pack_runs,
    ranges,
    spool_version,
    unpack_runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST_NUMBERINGS = 1000
"""Numbering of which something is still in the spool and that have ids of their own; further ones share the last."""

_CHECKPOINT_PAGES = LOG_BYTES // PAGE_BYTES
"""Pages in SQLite's log from which on they are moved to the database."""

_CACHE_KIB = 8192
"""Of pages that SQLite keeps in memory."""

_SHRINK_PAGES = 4000
"""Pages that an empty spool keeps at most."""

MOST_DAMAGED = 100
"""Rows that are kept after they were set aside; of more, the last ones."""

MOST_ASIDE = 10
"""Databases that are set aside at most: a disk that damages everything is not filled with them."""

_ASIDE = f"{DATABASE}.damaged-*"

_SETTINGS = f"""
PRAGMA page_size = {PAGE_BYTES};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};
PRAGMA journal_size_limit = {_CHECKPOINT_PAGES * PAGE_BYTES};
PRAGMA cache_size = -{_CACHE_KIB};
"""

_COLUMNS = """time REAL NOT NULL, count INTEGER NOT NULL, lines INTEGER NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL"""

_TABLES = f"""
CREATE TABLE frames (sequence INTEGER PRIMARY KEY, {_COLUMNS});
CREATE TABLE damaged (sequence INTEGER PRIMARY KEY, {_COLUMNS});
CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL);
"""


class SpoolStore:
    """The database of one directory, which its owner has locked.

    Attributes:
        content: what is in it.
        runs: which id belongs to which numbers. One that is copied, or restored from a backup, would otherwise give
            numbers to new frames that a receiver knows as others', and takes for duplicates.
        next: the number of the next frame.
        aside: the path to which a damaged database was last renamed.
    """

    def __init__(self, directory: Path) -> None:
        """Configure it; nothing is opened yet."""
        self.content = Content()
        self.runs: Numbering = ()
        self._runs_stored = False
        self.next = 1
        self.aside = directory / DATABASE
        self._file: tuple[int, int] | None = None  # which one it is
        self._directory = directory
        self._db: sqlite3.Connection | None = None

    # Opening

    def open(self) -> str:
        """Open it, or begin a new one if it is damaged.

        Returns:
            A sentence for a person about what happened; empty if there is nothing to tell.

        Raises:
            OSError, sqlite3.Error: it cannot be used.
            NewerSpoolError, NoSpoolError: see there.
        """
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._close_quietly()
            if not is_corrupt(error):
                raise
            return self.begin_anew()
        return ""

    def begin_anew(self) -> str:
        """Rename a damaged database, and begin an empty one, which continues its numbers if they are known.

        Returns:
            A sentence for a person about what happened.

        Raises:
            OSError, sqlite3.Error: it cannot be done.
        """
        self._close_quietly()
        path = self._directory / DATABASE
        if sum(not one.name.endswith(("-wal", "-shm")) for one in self._directory.glob(_ASIDE)) >= MOST_ASIDE:
            text = (
                f"{MOST_ASIDE} damaged databases are set aside there already: export what is readable in them "
                f"(message-passing spool export FILE), and remove {_ASIDE}"
            )
            raise OSError(errno.EMLINK, text)
        self.aside = aside = path.with_name(f"{DATABASE}.damaged-{int(wall())}-{os.urandom(2).hex()}")
        for ending in ("-wal", "-shm"):  # SQLite finds the log by the database's name
            if (beside := path.with_name(f"{DATABASE}{ending}")).exists():
                beside.rename(aside.with_name(f"{aside.name}{ending}"))
        if was_there := path.exists():
            path.rename(aside)
            sync_directory(self._directory)
        self._open()
        if not was_there:
            return f"the spool {str(path)!r} was removed while it was in use: a new one begins"
        return (
            f"the spool {str(path)!r} is damaged: it is set aside as {str(aside)!r}, and a new one begins; "
            f"to recover what is still readable: message-passing spool export {aside}"
        )

    def begin_empty(self) -> None:
        """Remove the files, nothing of which is needed any more, when there is no room for deleting their contents.

        Raises:
            OSError, sqlite3.Error: a new one cannot be made.
        """
        self._close_quietly()
        for ending in ("", "-wal", "-shm"):
            (self._directory / f"{DATABASE}{ending}").unlink(missing_ok=True)
        self.content = Content()
        self._open()

    def _open(self) -> None:
        path = database_in(self._directory)
        self._db = db = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            is_new = not spool_version(db)  # before anything in it is changed
        except (NewerSpoolError, NoSpoolError):
            self._close_quietly()
            raise
        for statement in filter(str.strip, _SETTINGS.split(";")):
            db.execute(statement)
        self._file = file_identity(path)
        if is_new:
            self._create(db)
        facts = dict(db.execute("SELECT name, value FROM facts").fetchall())
        last = db.execute("SELECT max(sequence) FROM frames").fetchone()[0] or 0
        self.content = self._counted()
        try:
            self.runs, self._runs_stored = unpack_runs(facts), True
        except sqlite3.DatabaseError:  # what is in it may come twice, under another id, but comes
            self.runs, self._runs_stored = ((1, os.urandom(SENDER_BYTES)),), False
        following = facts.get("next")
        self.next = max(following if isinstance(following, int) else 1, last + 1)
        if not self.content.frames:
            self._shrink()

    def _create(self, db: sqlite3.Connection) -> None:
        self.runs = self.runs or ((self.next, os.urandom(SENDER_BYTES)),)
        db.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, _TABLES.split(";")):
            db.execute(statement)
        facts = [("runs", pack_runs(self.runs)), ("next", self.next)]
        db.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        db.execute(f"PRAGMA user_version = {SPOOL_VERSION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Close it. Idempotent."""
        self._close_quietly()

    def _close_quietly(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):  # what was committed is in the log
                db.close()

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("it is not open")
        return self._db

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._db is not None

    def require_in_place(self) -> None:
        """Check that the file is still in place: what is written to a removed file is lost when this process ends.

        Raises:
            sqlite3.DatabaseError: it was removed, or another is in its place.
        """
        if file_identity(self._directory / DATABASE) != self._file:
            raise corrupt("it was removed or replaced")

    # Whose its numbers are

    @property
    def sender(self) -> bytes:
        """The id that belongs to new numbers."""
        return self.runs[-1][1] if self.runs else b""

    def sender_of(self, sequence: int) -> bytes:
        """The id that belongs to a number."""
        at = bisect_right(self.runs, sequence, key=itemgetter(0))
        return self.runs[max(0, at - 1)][1] if self.runs else b""

    def begin_run(self) -> None:
        """Have another id for new numbers. It is stored with the first frame that needs it.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        lowest = self._open_db.execute("SELECT min(sequence) FROM frames").fetchone()[0]
        ends = [*(first for first, _ in self.runs[1:]), self.next]
        needed = [
            run
            for run, end in zip(self.runs, ends, strict=True)
            if lowest is not None and run[0] < end and lowest < end
        ]
        if len(needed) < MOST_NUMBERINGS:
            self.runs, self._runs_stored = (*needed, (self.next, os.urandom(SENDER_BYTES))), False

    # Changing

    def commit(
        self,
        frames: Sequence[tuple[bytes, int, int]],
        trimmed: Sequence[tuple[int, int, int]] = (),
        now: float = 0.0,
    ) -> list[SpoolFrame]:
        """Add and remove frames in one transaction, which is on disk when this returns.

        Args:
            frames: of each, the stored bytes, the number of messages, and the kind: see `SpoolFrame`.
            trimmed: of each frame to be removed, its number, its number of messages, and its bytes.
            now: seconds since 1970.

        Returns:
            The new frames.

        Raises:
            sqlite3.Error: nothing was changed.
        """
        db = self._open_db
        added = [
            SpoolFrame(self.next + index, stored, count, kind, now)
            for index, (stored, count, kind) in enumerate(frames)
        ]
        try:
            db.execute("BEGIN IMMEDIATE")
            removed = self._delete(db, trimmed)
            if added:
                self._insert(db, added)
                db.execute("REPLACE INTO facts VALUES ('next', ?)", (added[-1].sequence + 1,))
                if not self._runs_stored:
                    db.execute("REPLACE INTO facts VALUES ('runs', ?)", (pack_runs(self.runs),))
            db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.next += len(added)
        self._runs_stored = self._runs_stored or bool(added)
        if removed == len(trimmed):
            self._count(added, trimmed)
        else:  # some were in a database that is set aside
            self.content = self._counted()
        return added

    def put_back(self, frames: Sequence[SpoolFrame]) -> None:
        """Add frames with the numbers that they had in a database that was set aside.

        Raises:
            sqlite3.Error: nothing was changed.
        """
        db = self._open_db
        try:
            db.execute("BEGIN IMMEDIATE")
            self._insert(db, frames)
            db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.content = self._counted()

    @staticmethod
    def _insert(db: sqlite3.Connection, frames: Sequence[SpoolFrame]) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO frames (sequence, time, count, lines, crc, body) VALUES (?, ?, ?, ?, ?, ?)",
            [(one.sequence, one.time, one.count, one.kind, one.crc, one.stored) for one in frames],
        )

    def _count(self, added: Sequence[SpoolFrame], removed: Sequence[tuple[int, int, int]]) -> None:
        content = self.content
        content.frames += len(added) - len(removed)
        content.messages += sum(one.count for one in added) - sum(count for _, count, _ in removed)
        content.size += sum(one.size for one in added) - sum(size for _, _, size in removed)

    def _counted(self) -> Content:
        frames, messages, size = self._open_db.execute(
            "SELECT count(*), total(count), total(length(body)) FROM frames"
        ).fetchone()
        return Content(frames, int(messages), int(size))

    @staticmethod
    def _delete(db: sqlite3.Connection, trimmed: Sequence[tuple[int, int, int]]) -> int:
        spans = ranges(sorted(number for number, _, _ in trimmed))
        before = db.total_changes
        db.executemany("DELETE FROM frames WHERE sequence BETWEEN ? AND ?", spans)
        return db.total_changes - before

    def _roll_back(self) -> None:
        try:
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:  # it was rolled back by the error
            pass

    def is_compressed(self) -> bool:
        """Whether any frame is compressed.

        Raises:
            sqlite3.Error: see `commit`.
        """
        return bool(self._open_db.execute("SELECT 1 FROM frames WHERE lines > 1 LIMIT 1").fetchone())

    def read(self, after: int, most: int, size: int) -> tuple[list[SpoolFrame], list[tuple[int, int, int]]]:
        """Read frames in order; those whose rows are damaged are set aside.

        Args:
            after: the number before the first.
            most: the most frames.
            size: the number of bytes at which reading stops.

        Returns:
            The frames; and of each damaged one, its number, its number of messages, and its bytes.

        Raises:
            sqlite3.Error: see `commit`.
        """
        frames: list[SpoolFrame] = []
        damaged: list[tuple[int, int, int]] = []
        cursor = self._open_db.execute(
            f"{SELECT_FRAMES} WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, most)
        )
        for row in cursor:
            if frame := frame_of(row):
                frames.append(frame)
                size -= frame.size
            else:
                damaged.append((row[0], *measure(row[2], row[1])))
            if size <= 0:
                break
        cursor.close()
        if damaged:
            self._set_aside(damaged)
        return frames, damaged

    def intact(self, sequences: Iterable[int]) -> list[SpoolFrame]:
        """Those of these frames, by their numbers in order, that are in it and not damaged.

        Raises:
            sqlite3.Error: see `commit`.
        """
        query = f"{SELECT_FRAMES} WHERE sequence BETWEEN ? AND ?"
        rows = (self._open_db.execute(query, span) for span in ranges(sequences))
        return [frame for row in chain.from_iterable(rows) if (frame := frame_of(row))]

    def _set_aside(self, damaged: Sequence[tuple[int, int, int]]) -> None:
        db = self._open_db
        numbers = [(number,) for number, _, _ in damaged]
        try:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO damaged SELECT * FROM frames WHERE sequence = ?", numbers)
            db.executemany("DELETE FROM frames WHERE sequence = ?", numbers)
            db.execute(
                "DELETE FROM damaged WHERE sequence NOT IN "
                "(SELECT sequence FROM damaged ORDER BY sequence DESC LIMIT ?)",
                (MOST_DAMAGED,),
            )
            db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.content = self._counted()

    def forget_damaged(self) -> int:
        """Remove what was set aside, and return the number of frames.

        Raises:
            sqlite3.Error: see `commit`.
        """
        return self._open_db.execute("DELETE FROM damaged").rowcount

    # Bounds

    def used(self) -> int:
        """The bytes of the file that are in use; the space of removed frames is reused."""
        db = self._open_db
        pages = (
            db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
        )
        return int(pages) * PAGE_BYTES

    def oldest(self, most: int, after: int = 0) -> list[tuple[int, int, int, float]]:
        """Of each of the oldest frames, its number, its number of messages, its bytes, and its time."""
        return [
            (number, *measure(count, size), time if isinstance(time, float) else 0.0)
            for number, count, size, time in self._open_db.execute(
                "SELECT sequence, count, length(body), time FROM frames WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (after, most),
            )
        ]

    def shrink(self) -> None:
        """Release the space of an empty spool, if it is large.

        Raises:
            sqlite3.Error: there is no room for it.
        """
        if not self.content.frames:
            self._shrink()

    def _shrink(self) -> None:
        db = self._open_db
        if db.execute("PRAGMA freelist_count").fetchone()[0] > _SHRINK_PAGES:
            self.vacuum()

    def empty_log(self) -> bool:
        """Move what is in SQLite's log to the database, and release its space; whether that was possible."""
        try:
            return not self._open_db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False

    def vacuum(self) -> None:
        """Make the file as small as it can be.

        Raises:
            sqlite3.Error: there is no room for it.
        """
        self._open_db.execute("VACUUM")
        self._open_db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
