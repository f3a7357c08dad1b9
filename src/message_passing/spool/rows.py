"""The rows of a spool: frames with a CRC-32 each, since SQLite does not checksum what it stores."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE_BYTES = 16384
"""The version of the database format."""

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
SENDER_BYTES = 16
"""Bytes of a sender's id."""

_HEAD = struct.Struct("!QQ?")


class NewerSpoolError(Exception):
    """A spool was written by a later version, which knows its contents: it is left untouched."""


@dataclass(frozen=True, slots=True)
class SpoolFrame:
    """One row.

    Attributes:
        sequence: its number.
        body: the bytes.
        count: messages in it.
        lines: whether each message is a line of it; otherwise it is one message as sent.
        time: when it was stored, in seconds since 1970.
    """

    sequence: int
    body: bytes
    count: int
    lines: bool
    time: float = 0.0

    @property
    def crc(self) -> int:
        """The data of its row."""
        return crc32(self.body, crc32(_HEAD.pack(self.sequence, self.count, self.lines)))


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
        frame = SpoolFrame(sequence, bytes(body), count, bool(lines), float(time))
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


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, rather than a passing system error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def corrupt(text: str) -> sqlite3.DatabaseError:
    """The error of a database with invalid contents."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
