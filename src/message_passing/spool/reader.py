"""Reading a spool, also that of a running node: read-only, so that the node is not disturbed."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Self

from message_passing.errors import OpenError
from message_passing.spool.directory import DATABASE
from message_passing.spool.rows import (
    SELECT_FRAMES,
    Content,
    NewerSpoolError,
    NoSpoolError,
    SpoolFrame,
    corrupt,
    frame_of,
    is_corrupt,
    spool_version,
    unpack_runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from message_passing.spool.rows import Numbering

_PATIENCE = 2.0  # seconds to wait for a node's write


class SpoolReader:
    """One spool, opened for reading.

    Attributes:
        path: the database.
        unreadable: the known number of rows that could not be read because the file is damaged.
    """

    def __init__(self, target: Path) -> None:
        """A spool's directory, or a database that was set aside."""
        self.path = target / DATABASE if target.is_dir() else target
        self.unreadable = 0
        self._target = target
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Open it.

        Raises:
            OpenError: it does not exist, is not a spool, or cannot be read.
        """
        if not self.path.exists():
            raise OpenError(
                f"there is no spool in {str(self._target)!r}: name the directory given to the option spool"
            )
        why = "is not a spool"
        try:
            with self._explained():
                if self._opened():
                    return self
        except NoSpoolError:
            pass
        except NewerSpoolError:
            why = "was written by a later version of message-passing"
        self.__exit__()
        raise OpenError(f"{str(self.path)!r} {why}")

    def _opened(self) -> int:
        """Open it, and return its version."""
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        try:
            return self._connected(uri)
        except sqlite3.OperationalError as error:
            log = self.path.with_name(f"{self.path.name}-wal")
            # Where nothing can be written, as in a snapshot, SQLite cannot have its shared memory. Without a log, the
            # file is all there is.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or (
                log.exists() and log.stat().st_size
            ):
                raise
            return self._connected(f"{uri}&immutable=1")

    def _connected(self, uri: str) -> int:
        self.__exit__()
        self._db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
        return spool_version(self._db)

    def __exit__(self, *_: object) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """An SQLite error as a sentence for a person."""
        try:
            yield
        except sqlite3.Error as error:
            what = "is damaged" if is_corrupt(error) else "cannot be read"
            raise OpenError(f"the spool {str(self.path)!r} {what}: {error}") from error

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        assert self._db is not None  # noqa: S101 - within `with`
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def content(self, table: str = "frames") -> Content:
        """Its contents, or those of its table `damaged`.

        Raises:
            OpenError: it cannot be read.
        """
        query = f"SELECT count(*), total(count), total(length(body)) FROM {table}"  # noqa: S608 - our own text
        frames, messages, size = self._rows(query)[0]
        return Content(frames, int(messages), int(size))

    def facts(self) -> dict[str, Any]:
        """Its last sender id, next number, and the times of the oldest and the newest frame, if any.

        Raises:
            OpenError: it cannot be read.
        """
        facts = self._facts()
        times = [
            self._rows(f"SELECT time FROM frames ORDER BY sequence {order} LIMIT 1")  # noqa: S608 - our own text
            for order in ("ASC", "DESC")
        ]
        oldest, newest = (rows[0][0] if rows else None for rows in times)
        with contextlib.suppress(sqlite3.DatabaseError):
            facts["sender"] = unpack_runs(facts)[-1][1].hex()
        return {
            "sender": facts.get("sender"),
            "next": facts.get("next"),
            "oldest": oldest,
            "newest": newest,
        }

    def _facts(self) -> dict[str, Any]:
        return dict(self._rows("SELECT name, value FROM facts"))

    def numbering(self) -> tuple[Numbering, int]:
        """Which id belongs to which numbers, and the next number.

        Raises:
            OpenError: it cannot be read.
        """
        facts = self._facts()
        with self._explained():
            if not isinstance(facts.get("next"), int):
                raise corrupt("its next number is missing")
            return unpack_runs(facts), facts["next"]

    def check(self) -> bool:
        """Whether SQLite finds the file intact.

        Raises:
            OpenError: it cannot be read.
        """
        return self._rows("PRAGMA quick_check(1)") == [("ok",)]

    def frames(self, after: int = 0) -> Iterator[SpoolFrame | int]:
        """All frames after a number, in order; for a damaged one, its number. Unreadable parts are left out.

        Raises:
            OpenError: it cannot be read at all.
        """
        while True:
            try:
                rows = self._after(after, 16)
            except OpenError as error:
                if not isinstance(error.__cause__, sqlite3.Error) or not is_corrupt(error.__cause__):
                    raise
                following = self._following(after)
                if following is None:
                    return
                rows = following
            if not rows:
                return
            for row in rows:
                yield frame_of(row) or row[0]
            after = rows[-1][0]

    def _after(self, after: int, most: int) -> list[tuple[Any, ...]]:
        return self._rows(f"{SELECT_FRAMES} WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, most))

    def _following(self, after: int) -> list[tuple[Any, ...]] | None:
        """The next readable row after an unreadable place; None if there is none.

        Steps grow: numbers within a page's reach are tried first, then farther ones.
        """
        self.unreadable += 1
        step = 0
        while step <= _FARTHEST:
            step = max(1, step + max(1, step // 4))
            try:
                if rows := self._after(after + step - 1, 1):
                    return rows
            except OpenError:
                continue
            else:
                return None
        return None


_FARTHEST = 1 << 24  # numbers beyond a damaged place that are tried
