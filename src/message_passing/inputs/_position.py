"""How far a file has been read, kept in another file from one run to the next."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from pathlib import Path

import msgspec

from message_passing.errors import OpenError

_COMPARED = 256
"""Bytes at a file's beginning, and before the place that was reached, that tell whether it is the same file."""

_MOST_BYTES = 1 << 16
"""Bytes that a position file may have."""


class FilePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a file, and what tells that file from others, whatever it is called by then.

    Attributes:
        position: bytes before it, all of whole lines.
        device: of the file; and
        inode: its number there.
        modified: when it was last written, in nanoseconds since the epoch.
        fingerprint: of its first bytes and of those before the place; empty for its beginning.
    """

    position: int
    device: int
    inode: int
    modified: int
    fingerprint: str


class _Saved(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    version: int
    filename: str
    place: FilePlace


def place_in(fd: int, position: int) -> FilePlace:
    """The place in an open file.

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
    """Whether an open file has the place: the same bytes are there. The beginning is in any file.

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
    """A file with a place in it, for one process at a time."""

    def __init__(self, path: str, filename: str) -> None:
        """It is not touched yet.

        Args:
            path: its path.
            filename: the file that is read, for whoever looks into it.
        """
        self.path, self._filename = path, str(Path(filename).absolute())
        self._lock = -1
        self._saving = threading.Lock()
        self._saved: FilePlace | None = None

    def is_empty(self) -> bool:
        """Whether there is no place in it yet."""
        return self._saved is None

    def open(self) -> FilePlace | None:
        """Keep other processes away from it, and read it.

        Returns:
            The place; None if there is none yet.

        Raises:
            OpenError: another process uses it, it is no position file, or the system refuses.
        """
        try:
            self._lock = os.open(
                f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
            )
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with Path(self.path).open("rb") as file:
                data = file.read(_MOST_BYTES)
        except BlockingIOError as error:
            self.close()
            text = "another input or process uses it: give each its own"
            raise OpenError(f"cannot use the position file {self.path!r}: {text}") from error
        except FileNotFoundError as error:
            if error.filename == self.path:
                return None
            raise OpenError(f"cannot use the position file {self.path!r}: {error.strerror}") from error
        except (OSError, ValueError) as error:
            self.close()
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenError(f"cannot use the position file {self.path!r}: {reason}") from error
        try:
            found = msgspec.json.decode(data, type=_Saved)
        except msgspec.DecodeError as error:
            self.close()
            text = f"{error}. If it is one, and damaged, remove it: reading begins where `start` says then"
            raise OpenError(f"{self.path!r} is no position file: {text}") from error
        if found.version != 1:
            self.close()
            raise OpenError(
                f"the position file {self.path!r} is of version {found.version}, and only 1 is known"
            )
        self._saved = found.place
        return found.place

    def save(self, place: FilePlace) -> None:
        """Put a place into it, on the disk; whoever reads it finds this or the one before, whole. From any thread.

        Raises:
            OSError: the system refuses.
        """
        with self._saving:
            self._save(place)

    def _save(self, place: FilePlace) -> None:
        if place == self._saved or self._lock < 0:
            return
        data = msgspec.json.encode(_Saved(version=1, filename=self._filename, place=place)) + b"\n"
        fd = os.open(
            f"{self.path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
        )
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        Path(f"{self.path}.new").replace(self.path)
        self._saved = place

    def close(self) -> None:
        """Let others use it; nothing is saved from now on."""
        with self._saving:
            lock, self._lock = self._lock, -1
        if lock >= 0:
            with contextlib.suppress(OSError):
                os.close(lock)
