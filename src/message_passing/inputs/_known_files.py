"""Which files are being read, and how far others were read, so that each is read once, whatever names lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from message_passing.inputs._position import is_at, is_reborn

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from message_passing.inputs._position import FilePlace


class Reader(Protocol):
    """Who reads a file, now or later."""

    def is_other(self, file: str | int) -> bool:
        """Whether a file, at a path or open, is known to be another one, which has the same number."""


class KnownFiles:
    """The files that an input reads or has read, by device and number; of the latter, so many at most.

    Attributes:
        forgotten: positions that were forgotten, because there were too many.
    """

    def __init__(self, most: int) -> None:
        """None yet.

        Args:
            most: the most positions that are kept of files that nobody reads.
        """
        self.forgotten = 0
        self._most = most
        self._readers: dict[tuple[int, int], Reader] = {}
        self._places: dict[tuple[int, int], FilePlace] = {}
        self._restored: dict[int, FilePlace] = {}  # by number: a device's may change at the next boot

    def __len__(self) -> int:
        """How many positions of files that nobody reads are kept."""
        return len(self._places)

    def restore(self, places: Iterable[FilePlace]) -> None:
        """These were reached by an earlier run; the last ones matter most."""
        for place in places:
            self._keep(place)
            self._restored[place.inode] = place

    def is_free(self, identity: tuple[int, int], reader: Reader | None, file: str | int) -> bool:
        """Whether nobody else reads a file, at this path or open."""
        other = self._readers.get(identity, reader)
        return other is reader or bool(other and other.is_other(file))

    def is_read(self, path: str, found: os.stat_result, reader: Reader) -> bool:
        """Whether somebody else reads a file, or whether it has been read and not written since."""
        identity = found.st_dev, found.st_ino
        place = self._places.get(identity)
        return not self.is_free(identity, reader, path) or bool(place and place.modified == found.st_mtime_ns)

    def begin(self, identity: tuple[int, int], reader: Reader) -> None:
        """It is being read from now on."""
        self._readers[identity] = reader
        self._places.pop(identity, None)

    def end(self, identity: tuple[int, int], reader: Reader, place: FilePlace | None) -> None:
        """It is not read any more; this is how far it was, or None if the file does not exist any longer."""
        if self._readers.get(identity) is reader:
            del self._readers[identity]
            if place:
                self._keep(place)

    def place_of(self, fd: int, identity: tuple[int, int]) -> FilePlace | None:
        """How far an open file was read before; None if it was not, or has been written anew.

        Raises:
            OSError: it cannot be read.
        """
        place = self._places.get(identity)
        if place is None:
            place = self._restored.get(identity[1])
            if place is None or not place.position:  # any file has a beginning
                return None
        return place if is_at(fd, place) and not is_reborn(fd, place) else None

    def _keep(self, place: FilePlace) -> None:
        self._places.pop(place.identity, None)
        self._places[place.identity] = place
        while len(self._places) > self._most:
            self.forgotten += 1
            oldest = self._places.pop(next(iter(self._places)))
            self._restored.pop(oldest.inode, None)
