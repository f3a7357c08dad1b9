"""The ledger's file: an SQLite database (sqlite.org), bounded in bytes and age, that several nodes may share.

It is opened for each use and closed afterwards, so that no node keeps a file that was set aside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from message_passing.file_identity import file_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from message_passing.loss_monitor import Loss

VERSION = 1
"""Version of the tables: `PRAGMA user_version`."""

AT_ONCE = 200
"""Losses that are added at once, so that they take a small part even of the smallest ledger: some 250 KB of 1 MiB."""

MOST_RUNS = 1000
"""The most runs that are remembered."""

_TABLES = """
CREATE TABLE losses (
    minute INTEGER NOT NULL, node TEXT NOT NULL, component TEXT NOT NULL, reason TEXT NOT NULL,
    sender TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (minute, node, component, reason, sender)
);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, node TEXT NOT NULL, pid INTEGER NOT NULL,
    started REAL NOT NULL, seen REAL NOT NULL, ended INTEGER NOT NULL
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL);
"""

_KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a named pipe", stat.S_IFDIR: "a directory"}
_FILLED, _HALF = 0.9, 0.5  # the share of its maximum size from which the oldest rows are removed
_MOST_COUNT = 2**53  # of one row: senders choose their numbers
_MOST_TEXT = 300  # characters of a name or reason
_MOST_TAKEN_BACK = 1000  # rows from which what has come after all is taken
_SHARE = 10  # one in so many rows is removed at a time
_PATIENCE = 2.0  # seconds that another node's writing is waited for


class NewerLedgerError(Exception):
    """It was written by a later version with an unknown format: it is not changed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one node.

    Attributes:
        id: unique to the run.
        node: the name of the node.
        pid: the process id.
        started: when, in seconds since 1970.
    """

    id: str
    node: str
    pid: int
    started: float


class LossLedger:
    """One ledger file, for writing."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: the file.
            max_bytes: its maximum size on disk, besides SQLite's log of some MB.
        """
        self.path = path
        self._max_bytes = max_bytes

    def check(self) -> str:
        """Create the file if it does not exist, and set it aside if it is damaged.

        Returns:
            A sentence for the user; empty if there is nothing to report.

        Raises:
            OSError, sqlite3.Error: it cannot be created.
            NewerLedgerError: see there.
        """
        found = file_identity(self.path)
        try:
            with self._opened() as db:
                if [row[0] for row in db.execute("PRAGMA quick_check(1)")] == ["ok"]:
                    return ""
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
        aside = self._set_aside(found)
        with self._opened():
            return (
                f"the ledger {self.path} is damaged: it was set aside as {aside}, and a new one was started"
            )

    def add(
        self, run: Run, losses: Mapping[tuple[int, Loss], int], now: float, *, ended: bool = False
    ) -> None:
        """Add losses, and record that the run continues or has ended.

        Args:
            run: the run that lost them.
            losses: at most `AT_ONCE`, by the beginning of a minute, in seconds since 1970. Less than nothing takes
                back what was added.
            now: seconds since 1970.
            ended: whether this is the last.

        Raises:
            OSError, sqlite3.Error: it cannot be written; nothing of this has been added.
        """
        with self._opened() as db:
            while True:
                try:
                    self._add(db, run, losses, now, ended=ended)
                    break
                except sqlite3.OperationalError:  # it may be full: try to make room by removing the oldest
                    db.rollback()
                    if not self._make_room(db, from_share=_HALF):
                        raise
                    db.commit()
            db.commit()
            if self._make_room(db):
                db.commit()

    def forget(self, before: float) -> None:
        """Forget losses of minutes before a moment: seconds since 1970."""
        with self._opened() as db:
            if db.execute("DELETE FROM losses WHERE minute < ?", (int(before),)).rowcount:
                _note_kept_from(db, before)
            db.execute("DELETE FROM runs WHERE seen < ?", (before,))
            db.commit()

    def create(self) -> None:
        """Create an empty file, for its owner alone, if there is none.

        Raises:
            OSError: it cannot be created, or is not a regular file, but a link, a named pipe or a directory.
        """
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            return
        if not stat.S_ISREG(found.st_mode):
            raise OSError(
                f"it is not a regular file, but {_KINDS.get(stat.S_IFMT(found.st_mode), 'a device')}"
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.create()
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as db:
            filled, version = contents(db)
            if version > VERSION:
                raise NewerLedgerError
            if filled and not version:
                raise OSError("it is the database of another program")
            # It may be a copy that was put back. It is not opened for that: to close it would end the locks of who
            # reads it in this process (fcntl(2)).
            if (found := self.path.stat()).st_mode & 0o077 and found.st_uid == os.geteuid():
                self.path.chmod(0o600)
            size = db.execute("PRAGMA page_size").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {max(16, self._max_bytes // size)}")
            db.execute("PRAGMA journal_mode = WAL")
            # In WAL, a power failure costs the last commits at most.
            db.execute("PRAGMA synchronous = NORMAL")
            if version < VERSION:
                db.execute("BEGIN IMMEDIATE")
                if not db.execute("PRAGMA user_version").fetchone()[0]:  # otherwise another node was first
                    for statement in _TABLES.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
                db.commit()
            yield db

    @staticmethod
    def _add(
        db: sqlite3.Connection, run: Run, losses: Mapping[tuple[int, Loss], int], now: float, *, ended: bool
    ) -> None:
        db.execute("BEGIN IMMEDIATE")
        for (minute, loss), count in losses.items():
            key = tuple(map(_plain, (run.node, *loss)))
            if count > 0:
                db.execute(
                    "INSERT INTO losses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "count = min(count + excluded.count, ?)",
                    (minute, *key, min(count, _MOST_COUNT), _MOST_COUNT),
                )
            elif count < 0:
                _take_back(db, key, -count)
        db.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "seen = max(seen, excluded.seen), ended = excluded.ended",
            (run.id, _plain(run.node), run.pid, run.started, max(now, run.started), ended),
        )
        db.execute(
            "DELETE FROM runs WHERE rowid NOT IN (SELECT rowid FROM runs ORDER BY rowid DESC LIMIT ?)",
            (MOST_RUNS,),
        )

    def _make_room(self, db: sqlite3.Connection, *, from_share: float = _FILLED) -> bool:
        """Remove the oldest rows, in order of insertion, if it fills up; whether some were removed.

        A full disk alone removes none.
        """
        size, pages, free = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        if (pages - free) * size < from_share * self._max_bytes:
            return False
        count = db.execute("SELECT count(*) FROM losses").fetchone()[0]
        if not count:
            return False
        oldest = "SELECT rowid FROM losses ORDER BY rowid LIMIT ?"
        share = count // _SHARE + 1
        (last,) = db.execute(
            f"SELECT max(minute) FROM losses WHERE rowid IN ({oldest})",  # noqa: S608 - our own text
            (share,),
        ).fetchone()
        db.execute(f"DELETE FROM losses WHERE rowid IN ({oldest})", (share,))  # noqa: S608 - our own text
        _note_kept_from(db, last + 60)
        return True

    def _set_aside(self, found: tuple[int, int] | None) -> Path:
        """Rename it, unless another node has done so; of those that are damaged, the last one stays."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if file_identity(self.path) == found:
                os.replace(self.path, aside)  # noqa: PTH105 - beside the others
                for ending in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        finally:
            os.close(folder)
        return aside


def contents(db: sqlite3.Connection) -> tuple[int, int]:
    """How many tables and indexes it has, and the version of them: no ledger, or an empty one, if that is 0."""
    # Asked in this order: a node that is about to begin it may do so in between.
    filled = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return filled, db.execute("PRAGMA user_version").fetchone()[0]


def _note_kept_from(db: sqlite3.Connection, when: float) -> None:
    db.execute(
        "INSERT INTO facts VALUES ('kept_from', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        (when,),
    )


def _plain(text: str) -> str:
    """A text that the database accepts, shortened: a name may contain lone surrogates."""
    return text[:_MOST_TEXT].encode("utf-8", "backslashreplace").decode()


def _take_back(db: sqlite3.Connection, key: tuple[str, ...], count: int) -> None:
    """Take back losses that have arrived after all, the latest first."""
    rows = db.execute(
        "SELECT rowid, count FROM losses WHERE node = ? AND component = ? AND reason = ? AND sender = ? "
        "ORDER BY rowid DESC",
        key,
    )
    for row, lost in rows.fetchmany(_MOST_TAKEN_BACK):
        if count <= 0:
            return
        if lost <= count:
            db.execute("DELETE FROM losses WHERE rowid = ?", (row,))
        else:
            db.execute("UPDATE losses SET count = ? WHERE rowid = ?", (lost - count, row))
        count -= lost
