"""How far a file has been read, stored in another file from one run to the next."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from message_passing.inputs._saved_file import SavedFile, Versioned

_COMPARED = 256
"""Bytes at a file's beginning, and before the position reached, that show whether it is the same file."""

_MOST_BYTES = 1 << 16
"""The most bytes of a position file."""


class FilePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A position in a file, and what identifies the file, whatever its name is later.

    Attributes:
        position: the number of bytes before it, all in complete lines.
        device: the file's device; and inode: its number there.
        modified: when it was last written, in nanoseconds since the epoch.
        fingerprint: of its first bytes and of those before the position; empty for the file's beginning.
    """

    position: int
    device: int
    inode: int
    modified: int
    fingerprint: str


class _Saved(Versioned, kw_only=True, forbid_unknown_fields=True):
    filename: str
    place: FilePlace


def place_in(fd: int, position: int) -> FilePlace:
    """A position in an open file.

    Raises:
        OSError: it cannot be read.
    """
    found = os.fstat(fd)
    return FilePlace(
        position=position,
        device=found.st_dev,
        inode=found.st_ino,
        modified=found.st_mtime_ns,
        fingerprint=_fingerprint(fd, position),
    )


def is_at(fd: int, place: FilePlace) -> bool:
    """Whether an open file has this position: the same bytes are there. Any file has a beginning.

    Raises:
        OSError: it cannot be read.
    """
    return os.fstat(fd).st_size >= place.position and _fingerprint(fd, place.position) == place.fingerprint


def _fingerprint(fd: int, position: int) -> str:
    if not position:
        return ""
    known = min(_COMPARED, position)
    compared = os.pread(fd, known, 0) + os.pread(fd, known, position - known)
    return hashlib.blake2b(compared, digest_size=16).hexdigest()


class PositionFile:
    """A file that stores a position, for one process at a time."""

    def __init__(self, path: str, filename: str) -> None:
        """Do not touch it yet.

        Args:
            path: its path.
            filename: the file that is read, as information for people.
        """
        self._file = SavedFile(path, "position file")
        self._filename = str(Path(filename).absolute())
        self._saved: FilePlace | None = None

    def is_empty(self) -> bool:
        """Whether it stores no position yet."""
        return self._saved is None

    def open(self) -> FilePlace | None:
        """Lock it against other processes, and read it.

        Returns:
            The position; None if there is none yet.

        Raises:
            OpenError: another process uses it, it is not a position file, or the system refuses.
        """
        text = "remove it; reading then begins where `start` says"
        found = self._file.open(_Saved, most_bytes=_MOST_BYTES, remedy=text)
        self._saved = found.place if found else None
        return self._saved

    def save(self, place: FilePlace) -> None:
        """Store a position: see `SavedFile.save`.

        Raises:
            OSError: the system refuses.
        """
        if place != self._saved:
            self._file.save(_Saved(version=1, filename=self._filename, place=place))
            self._saved = place

    def close(self) -> None:
        """Unlock it; nothing is saved from now on."""
        self._file.close()
