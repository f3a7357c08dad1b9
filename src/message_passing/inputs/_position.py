"""How far files have been read, stored in another file from one run to the next."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from message_passing.file_identity import birth_time
from message_passing.inputs._saved_file import SavedFile, Versioned

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARED = 256
"""Bytes at a file's beginning, and before the position reached, that show whether it is the same file."""

_MOST_BYTES = 1 << 26
"""The most bytes of a position file: those of a hundred thousand positions, whose paths are not unusually long."""


class FilePlace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position in a file, and what identifies the file, whatever its name is later.

    Attributes:
        position: the number of bytes before it, all in complete lines.
        device: the file's device; and inode: its number there.
        modified: when it was last written, in nanoseconds since the epoch.
        fingerprint: of its first bytes and of those before the position; empty for the file's beginning.
        born: when the file was created, in nanoseconds since the epoch; 0 if that is not known.
        packed: the bytes of a compressed file that has been read; its position and fingerprint are those of its text.
    """

    position: Annotated[int, msgspec.Meta(ge=0)]
    device: int
    inode: int
    modified: int
    fingerprint: str
    born: int = 0
    packed: int = 0

    @property
    def identity(self) -> tuple[int, int]:
        """The file's device, and its number there."""
        return self.device, self.inode


class SavedPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A position, and the path that the file had; `gone` if it was removed since, after it had been read."""

    filename: str
    place: FilePlace
    gone: bool = False


class FileMark(NamedTuple):
    """What is reached in one of the files.

    Attributes:
        filename: its absolute path.
        identity: its device, and its number there.
        place: the position; None if the file does not exist any longer.
    """

    filename: str
    identity: tuple[int, int]
    place: FilePlace | None


class _Saved(Versioned, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file, or several."""

    filename: str = ""
    place: FilePlace | None = None
    files: tuple[SavedPlace, ...] = ()


def place_in(fd: int, position: int, born: int | None = None) -> FilePlace:
    """A position in an open file.

    Args:
        fd: the file.
        position: in bytes.
        born: see `birth_time`, if it is known already.

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
        born=birth_time(fd) if born is None else born,
    )


def is_at(fd: int, place: FilePlace) -> bool:
    """Whether an open file, or copy, has this position: the same bytes are there. Any file has a beginning.

    Raises:
        OSError: it cannot be read.
    """
    return os.fstat(fd).st_size >= place.position and _fingerprint(fd, place.position) == place.fingerprint


def is_reborn(fd: int, place: FilePlace) -> bool:
    """Whether an open file is known not to be the one of a position, although it has its number."""
    return bool(place.born) and birth_time(fd) not in (0, place.born)


def _fingerprint(fd: int, position: int) -> str:
    if not position:
        return ""
    known = min(COMPARED, position)
    compared = os.pread(fd, known, 0) + os.pread(fd, known, position - known)
    return hashlib.blake2b(compared, digest_size=16).hexdigest()


class PositionFile:
    """A file that stores positions, for one process at a time.

    Attributes:
        exists: whether it stores any, or that there are none any more.
    """

    def __init__(self, path: str, filename: str = "") -> None:
        """Do not touch it yet.

        Args:
            path: its path.
            filename: the file that is read, if that is one and always the same, as information for people.
        """
        self._file = SavedFile(path, "position file")
        self._filename = str(Path(filename).absolute()) if filename else ""
        self._saved: Sequence[SavedPlace] = ()
        self.exists = False

    def open(self) -> FilePlace | None:
        """Lock it against other processes, and read it.

        Returns:
            The last position; None if there is none yet.

        Raises:
            OpenError: another process uses it, it is not a position file, or the system refuses.
        """
        found = self.open_all()
        return found[-1].place if found else None

    def open_all(self) -> Sequence[SavedPlace]:
        """Like `open`, for several files: all positions, in the order in which they were reached.

        Raises:
            OpenError: likewise.
        """
        text = "remove it; reading then begins where `start` says"
        found = self._file.open(_Saved, most_bytes=_MOST_BYTES, remedy=text)
        if found and found.place:
            self._saved = (SavedPlace(found.filename, found.place),)
        elif found:
            self._saved = found.files
        self.exists = bool(found)
        return self._saved

    def save(self, place: FilePlace) -> None:
        """Store one position: see `SavedFile.save`.

        Raises:
            OSError: the system refuses.
        """
        self.save_all((SavedPlace(self._filename, place),))

    def save_all(self, places: Sequence[SavedPlace]) -> None:
        """Store positions, in the order in which they were reached.

        Raises:
            OSError: the system refuses.
        """
        if self.exists and places == self._saved:
            return
        if self._filename:  # one is enough: the last
            self._file.save(_Saved(version=1, filename=self._filename, place=places[-1].place))
        else:
            self._file.save(_Saved(version=1, files=tuple(places)))
        self._saved, self.exists = places, True

    def close(self) -> None:
        """Unlock it; nothing is saved from now on."""
        self._file.close()
