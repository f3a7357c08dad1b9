"""The rows of a spool: frames with a CRC-32 each, since SQLite does not checksum what it stores."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from message_passing.paths import load_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SPOOL_VERSION = 1
"""Of the tables: `PRAGMA user_version`."""

_SPOOL_TABLES = {"frames", "damaged", "facts"}

PAGE_BYTES = 16384
"""The version of the database format."""

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
SENDER_BYTES = 16
"""Bytes of a sender's id."""

_COMPRESSION = "message_passing.spool.compression"  # it needs an extra

_HEAD = struct.Struct("!QQB")
_LINES, _COMPRESSED = 1, 2  # the bits of a row's column `lines`
_RUN = struct.Struct(f"!Q{SENDER_BYTES}s")

Numbering = tuple[tuple[int, bytes], ...]
"""The first number of each run of a spool's owner, and the id that belongs to it and those after it, in order."""


class NewerSpoolError(Exception):
    """A spool was written by a later version, which knows its contents: it is left untouched."""


class NoSpoolError(Exception):
    """A database is not a spool, but another program's: it is left untouched."""


@dataclass(frozen=True, slots=True)
class SpoolFrame:
    """One row.

    Attributes:
        sequence: its number.
        stored: the bytes, which may be compressed.
        count: messages in it.
        kind: bits: whether each message is a line of it (otherwise it is one message as sent), and whether it is
            compressed.
        time: when it was stored, in seconds since 1970.
    """

    sequence: int
    stored: bytes
    count: int
    kind: int
    time: float = 0.0

    def messages(self) -> list[bytes]:
        """Its messages; one that was sent with several lines in it is one."""
        return self.body.split(b"\n") if self.lines else [self.body]

    @property
    def lines(self) -> bool:
        """Whether each message is a line of it."""
        return bool(self.kind & _LINES)

    @property
    def body(self) -> bytes:
        """The messages.

        Raises:
            PackageError: it is compressed, and there is no zstd.
        """
        if not self.kind & _COMPRESSED:
            return self.stored
        body: bytes = load_own(f"{_COMPRESSION}:decompress")(self.stored)
        return body

    @property
    def size(self) -> int:
        """The bytes that are stored."""
        return len(self.stored)

    @property
    def crc(self) -> int:
        """The checksum of the data of its row."""
        return crc32(self.stored, crc32(_HEAD.pack(self.sequence, self.count, self.kind)))


@dataclass(frozen=True, slots=True)
class SpoolLoss:
    """Messages that a spool has lost.

    Attributes:
        count: how many.
        reason: why.
        earlier: how many of them an earlier run had stored.
        frames: what they are in, as far as that is known, where the owner of the spool reads it.
    """

    count: int
    reason: str
    earlier: int = 0
    frames: Sequence[SpoolFrame] = ()


def compressed(body: bytes, kind: int) -> tuple[bytes, int]:
    """What is stored of a frame, compressed if that makes it smaller, and its kind then."""
    smaller: bytes = load_own(f"{_COMPRESSION}:compress")(body)
    return (smaller, kind | _COMPRESSED) if len(smaller) < len(body) else (body, kind)


@dataclass(slots=True)
class Content:
    """The contents of a spool: numbers of frames, messages and bytes."""

    frames: int = 0
    messages: int = 0
    size: int = 0


def frame_of(row: Sequence[Any]) -> SpoolFrame | None:
    """A row of `sequence, body, count, lines, time, crc` as a frame; None if it is damaged."""
    sequence, body, count, lines, time, crc = row
    try:
        frame = SpoolFrame(sequence, bytes(body), count, int(lines), float(time))
        intact = frame.crc == crc
    except (TypeError, ValueError, struct.error):
        return None
    return frame if intact else None


SELECT_FRAMES = "SELECT sequence, body, count, lines, time, crc FROM frames"


def estimate(size: int) -> int:
    """The most bytes that a frame uses in the file: a large one has pages of its own (sqlite.org/fileformat2)."""
    if size < PAGE_BYTES // 4:
        return size + 64
    return PAGE_BYTES * (2 + size // (PAGE_BYTES - 8))


def measure(count: object, size: object) -> tuple[int, int]:
    """The messages and bytes of a row that may be damaged, limited to plausible numbers."""
    length = len(size) if isinstance(size, (bytes, str)) else size if isinstance(size, int) else 0
    return (min(count, length + 1) if isinstance(count, int) and count >= 0 else 1), length


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers in order as ranges with both ends."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def pack_runs(runs: Numbering) -> bytes:
    """As a value for the table `facts`."""
    return b"".join(_RUN.pack(*run) for run in runs)


def unpack_runs(facts: Mapping[str, Any]) -> Numbering:
    """The runs according to the table `facts`.

    Raises:
        sqlite3.DatabaseError: they are damaged or missing.
    """
    try:
        runs = tuple(_RUN.iter_unpack(facts["runs"]))
    except (KeyError, TypeError, struct.error) as error:
        raise corrupt("its ids are missing") from error
    if not runs or list(runs) != sorted(runs):
        raise corrupt("its ids are not in order")
    return runs


def spool_version(db: sqlite3.Connection) -> int:
    """The version of the spool that a database is; 0 if it is empty.

    Raises:
        sqlite3.Error: it cannot be read.
        NewerSpoolError, NoSpoolError: see there.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and not version:
        return 0
    # Any program may count its versions there.
    if version <= 0 or not tables >= _SPOOL_TABLES:
        raise NoSpoolError
    if version > SPOOL_VERSION:
        raise NewerSpoolError
    return version


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, rather than a passing system error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def corrupt(text: str) -> sqlite3.DatabaseError:
    """The error of a database with invalid contents."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
