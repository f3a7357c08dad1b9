"""Which files are being read, and how far others were read, so that each is read once, whatever names lead to it."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from message_passing.clock import monotonic
from message_passing.inputs._discovery import READABLE
from message_passing.inputs._position import COMPARED, SavedPlace, is_at, is_reborn
from message_passing.inputs._rotation import ROTATION_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.inputs._position import FilePlace


MOST_GONE = 1000
"""The most positions that are kept of files that were removed after they had been read: by what compresses them."""

MISSING_PATIENCE = 10.0
"""Seconds in which what is missing may turn out to be in a compressed file, while none is being read."""

_HINTS, _HINT_NAMES = 10, 10_000
"""For how many missing files a compressed one is looked for that is not read, and among how many names."""

_SECOND = 1_000_000_000


class Reader(Protocol):
    """Who reads a file, now or later."""

    filename: str
    gone_since: float | None

    def text_place(self) -> FilePlace | None:
        """How far it has been read."""

    def text_size(self) -> int:
        """How many bytes the text has."""

    def is_other(self, file: str | int) -> bool:
        """Whether a file, at a path or open, is known to be another one, which has the same number."""


class KnownText(NamedTuple):
    """A text that is being read, by somebody, or has been.

    Attributes:
        place: how far.
        reader: who reads it; None if nobody does.
        certain: whether a compressed file that begins so is this one, so that the rest of it is what was not read.
    """

    place: FilePlace
    reader: Reader | None
    certain: bool = True


class _Missing(NamedTuple):
    """A file that is not there any more, and how that is reported."""

    name: str
    place: FilePlace
    text: str


def _stem(path: str) -> str:
    """The name of a file before rotation and compression added to it."""
    name = os.path.basename(path)  # noqa: PTH119 - of every file
    for suffix in READABLE:
        name = name.removesuffix(suffix)
    return re.sub(rf"{ROTATION_SUFFIX}(?=\.|$)", "", name)


class KnownFiles:
    """The files that an input reads or has read, by device and number; of the latter, so many at most.

    Attributes:
        forgotten: positions that were forgotten, because there were too many.
        unpacking: who reads a compressed file now: one at a time does.
        has_compressed: whether compressed files may be read at all.
        gone: what was removed after it had been read, by fingerprint: it may have been compressed.
    """

    def __init__(self, most: int) -> None:
        """None yet.

        Args:
            most: the most positions that are kept of files that nobody reads.
        """
        self.forgotten = 0
        self.unpacking: Reader | None = None
        self.has_compressed = False
        self._missing: deque[_Missing] = deque()
        self._missing_until = 0.0
        self._unpacked: dict[str, None] = {}  # fingerprints of places that compressed files had
        self.gone: dict[str, SavedPlace] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._most = most
        self._readers: dict[tuple[int, int], Reader] = {}
        self._places: dict[tuple[int, int], FilePlace] = {}
        self._restored: dict[int, FilePlace] = {}  # by number: a device's may change at the next boot

    def __len__(self) -> int:
        """How many positions of files that nobody reads are kept."""
        return len(self._places)

    def restore(self, saved: Iterable[SavedPlace]) -> None:
        """These were reached by an earlier run; the last ones matter most."""
        for one in saved:
            self.keep_gone(one)  # its number may be that of another file by now
            if one.gone:
                continue
            self._keep(one.place, one.filename)
            self._restored[one.place.inode] = one.place

    def keep_gone(self, one: SavedPlace) -> None:
        """It may be removed, after it has been read so far; of so many that is known."""
        self.gone.pop(one.place.fingerprint, None)
        self.gone[one.place.fingerprint] = one
        while len(self.gone) > MOST_GONE:
            del self.gone[next(iter(self.gone))]

    def is_turn_of(self, reader: Reader) -> bool:
        """Whether no other compressed file is being read."""
        return self.unpacking in (None, reader)

    def place_at(self, identity: tuple[int, int]) -> FilePlace | None:
        """How far a file was read, if it still has the number that it had."""
        return self._places.get(identity)

    def texts_of(self, path: str, modified: int) -> list[KnownText]:
        """Texts of which a compressed file may be a copy, to judge by its name, and the time of its text.

        Compressing keeps a file's time. Where it does not, only a text in the same folder is one, and it must be long
        enough: a few bytes prove nothing.
        """
        stem, folder = _stem(path), os.path.dirname(path)  # noqa: PTH120 - of every file
        read = [(one.text_place(), one.filename, one) for one in self._readers.values()]
        kept = [(place, self._names.get(identity, ""), None) for identity, place in self._places.items()]
        gone = [(one.place, one.filename, None) for one in self.gone.values()]
        missing = [one.place for one in self._missing if self._may_be(one, path, modified)]
        return [KnownText(place, None, certain=False) for place in missing] + [
            KnownText(place, reader)
            for place, name, reader in (*read, *kept, *gone)
            if place and _stem(name) == stem
            if place.modified // _SECOND == modified // _SECOND
            or (place.position >= 2 * COMPARED and os.path.dirname(os.path.abspath(name)) == folder)  # noqa: PTH100, PTH120
        ]

    @staticmethod
    def _may_be(one: _Missing, path: str, modified: int) -> bool:
        """Whether a compressed file may be what is missing, to judge by its name and time."""
        return _stem(one.name) == _stem(path) and modified // _SECOND >= one.place.modified // _SECOND

    def miss(self, name: str, place: FilePlace, text: str) -> list[str]:
        """A file is not there any more; what was read of it may be the beginning of a compressed file.

        Args:
            name: the path that it had.
            place: how far it was read.
            text: how that is reported, unless it was compressed; if none can be read, the path of one is added.

        Returns:
            What is to be reported now.
        """
        if place.fingerprint in self._unpacked:
            return []
        self._missing.append(_Missing(name, place, text))
        self._missing_until = monotonic() + MISSING_PATIENCE
        while len(self._missing) > MOST_GONE:
            self._missing.popleft()
        return self.overdue()

    def was_unpacked(self, path: str, modified: int, begins_with: Iterable[KnownText]) -> None:
        """A compressed file is read, or has been, and begins with these texts, which are not missing."""
        for one in begins_with:
            if one.reader is None or one.reader.gone_since is not None:
                self._unpacked.pop(one.place.fingerprint, None)
                self._unpacked[one.place.fingerprint] = None
        while len(self._unpacked) > MOST_GONE:
            del self._unpacked[next(iter(self._unpacked))]
        if self._missing:  # of what has not been read at all, any is the beginning
            self._missing = deque(
                one
                for one in self._missing
                if one.place.fingerprint not in self._unpacked
                if one.place.position or not self._may_be(one, path, modified)
            )

    def overdue(self, *, last: bool = False) -> list[str]:
        """What is missing, and in no compressed file, as it is reported; `last`: none will be read any more."""
        if not self._missing:
            return []
        if self.has_compressed and not last:
            now = monotonic()
            if self.unpacking:
                self._missing_until = now + MISSING_PATIENCE
            if now < self._missing_until:
                return []
        missing, self._missing = self._missing, deque()
        return [
            f"{one.text}{self._where_it_may_be(one) if number < _HINTS else ''}"
            for number, one in enumerate(missing)
        ]

    def _where_it_may_be(self, one: _Missing) -> str:
        """A compressed file that may be what is missing, and is not read, if there is one."""
        folder = os.path.dirname(os.path.abspath(one.name))  # noqa: PTH100, PTH120 - as it was given
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in islice(entries, _HINT_NAMES):
                if entry.name.endswith(READABLE) and _stem(entry.name) == _stem(one.name):
                    found = entry.stat()
                    identity = found.st_dev, found.st_ino
                    is_read = identity in self._readers or identity in self._places
                    if not is_read and found.st_mtime_ns // _SECOND >= one.place.modified // _SECOND:
                        return f"; it may be in {entry.path}, which is not read"
        return ""

    @staticmethod
    def as_text(place: FilePlace) -> KnownText:
        """A text that nobody reads."""
        return KnownText(place, None)

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
        name, place = self._names.pop(identity, ""), self._places.pop(identity, None)
        if place:  # perhaps of a file that was removed, whose number this one has
            self.keep_gone(SavedPlace(name, place, gone=True))

    def end(
        self, identity: tuple[int, int], reader: Reader, place: FilePlace | None, *, removed: bool = False
    ) -> None:
        """It is not read any more; this is how far it was, if that is known. It may have been removed."""
        if self._readers.get(identity) is reader:
            del self._readers[identity]
            if place and removed:
                self.keep_gone(SavedPlace(reader.filename, place, gone=True))
            elif place:
                self._keep(place, reader.filename)

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

    def _keep(self, place: FilePlace, name: str) -> None:
        self._places.pop(place.identity, None)
        self._places[place.identity] = place
        self._names[place.identity] = name
        while len(self._places) > self._most:
            self.forgotten += 1
            oldest = self._places.pop(next(iter(self._places)))
            self._restored.pop(oldest.inode, None)
            self._names.pop(oldest.identity, None)
