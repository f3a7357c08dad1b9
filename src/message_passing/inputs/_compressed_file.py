"""A compressed log, as rotation leaves it: what of it has not been read already is read once."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec

from message_passing.clock import monotonic
from message_passing.errors import ComponentError, OpenError
from message_passing.inputs._compressed_text import TextComparison, open_text, text_fingerprint
from message_passing.inputs._followed import name_state, reason_of, require_file
from message_passing.inputs._followed_file import FollowedFile
from message_passing.inputs._position import COMPARED, FilePlace
from message_passing.inputs._reading import CHUNK

SETTLED = 2.0
"""Seconds without a change after which a compressed file is taken to be complete."""

_FIRST_RETRY, _LONGEST_RETRY = 1.0, 30.0
"""Seconds until a file whose original is still being read is compared with it again: at first, and at most."""

_NOT_COMPLETE = "it ends too early"


class CompressedFile(FollowedFile):
    """Read to its end, once; unless it is the compressed form of what has been read. One is read at a time.

    It is not open between two reads of it, as far as others are concerned: it makes no room for others.
    """

    _file: Any = None
    _reader: Any = None
    _compared: TextComparison | None = None  # while it is compared with known texts
    _left = 0  # bytes of text that were read before
    _at_end = False
    _pause = 0.0
    _modified = _size = 0
    _head = b""

    @property
    def is_open(self) -> bool:
        """Not for others."""
        return False

    def open(self, *, at_end: bool, resume: FilePlace | None = None) -> None:  # noqa: ARG002 - what is known counts
        """See `FollowedFile`; at its end, nothing of it is read.

        Raises:
            OSError: it is not there, or no file.
        """
        try:
            require_file(Path(self.filename).stat())
        except FileNotFoundError:
            if not self._waits:
                raise
        else:
            self._at_end = at_end

    def look(self) -> bool:
        """Read a chunk, unless another one is being read, it has been read, or it is still being written."""
        state = name_state(self.filename)
        if self._file and (not state or state[:2] != self._identity):
            state = self._identity + (0,) * 3  # it is read to its end, whatever its name leads to now
        if state is None:
            self.gone_since = self.gone_since or monotonic()
            return False
        self.gone_since = None
        if state == self._quiet or monotonic() < self._retry_at or not self._known.is_turn_of(self):
            return False
        now = time.time_ns()
        if not self._file and not self._at_end and any(0 <= now - at < SETTLED * 1e9 for at in state[3:]):
            return False
        self._known.unpacking = self
        try:
            return self._step()
        except (EOFError, OSError, ValueError, zlib.error, ComponentError) as error:
            self._failed(error)
        except Exception as error:  # that of zstd, which need not be installed
            if type(error).__name__ != "ZstdError":
                raise
            self._failed(error)
        return False

    def _step(self) -> bool:
        if not self._file and not self._begin_reading():
            return False
        data = self._reader.read1(CHUNK)
        if self._compared:
            self._compared.add(data)
            if not data:
                self._judge(self._compared)
            return self._file is not None
        if not data:
            self._complete()
            return False
        self._head = (self._head + data[:COMPARED])[:COMPARED]
        began = self._position
        self._position += len(data)
        recent = self._behind + data
        self._behind = recent[-COMPARED:]
        if left := min(self._left, len(data)):
            self._left -= left
            data, began = data[left:], began + left
            self._line_end = began
            if not self._left:
                self._text.begin_within(self._head[:4])
        if data:
            before = self._line_end
            self._take_at(data, began)
            if self._line_end > before:
                end = self._line_end - (self._position - len(recent))
                self._tell_place(self._place(self._line_end, recent[max(0, end - COMPARED) : end]))
        self.last_read = monotonic()
        return True

    def _begin_reading(self) -> bool:
        """Open it; whether there is something to read."""
        fd = os.open(self.filename, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._file = os.fdopen(fd, "rb")
        found = os.fstat(fd)
        require_file(found)
        self._identity = found.st_dev, found.st_ino
        self._modified, self._size = found.st_mtime_ns, found.st_size
        self._told = ""
        place = self._known.place_at(self._identity)
        was_read = place and (place.packed, place.modified) == (self._size, self._modified)
        if was_read or self._at_end or not self._known.is_free(self._identity, self, fd):
            self._done(None if was_read else self._place(0, b"", packed=self._size))
            return False
        self._known.begin(self._identity, self)
        texts = self._known.texts_of(self.filename, self._modified)
        own = [] if place is None else [self._known.as_text(place)]
        self._compared = TextComparison([*own, *texts]) if own or texts else None
        self._known.was_unpacked(self.filename, self._modified, ())
        self._rewind(0)
        return True

    def _rewind(self, left: int) -> None:
        """Read it from its beginning, of which so many bytes are known."""
        self._file.seek(0)
        self._marked = None
        self._reader = open_text(self.filename, self._file)
        self._position = self._line_end = 0
        self._left, self._behind, self._head = left, b"", b""
        self._partial.clear()
        self._text.begin()

    def _judge(self, compared: TextComparison) -> None:
        """Decide how much of it is read."""
        self._compared = None
        known = 0
        self._known.was_unpacked(self.filename, self._modified, compared.same)
        for one in compared.same:
            if not one.certain:
                continue
            position, reader = one.place.position, one.reader
            if reader is not None and (size := reader.text_size()) != position and size == compared.size:
                self._pause = min(_LONGEST_RETRY, 2 * self._pause or _FIRST_RETRY)
                self._retry_at = monotonic() + self._pause  # its original is still being read
                self._close_file()
                return
            if reader is None or size == compared.size:
                known = max(known, position)
        if known == compared.size:
            self._done(self._place(known, compared.behind, compared.head, packed=self._size))
        else:
            self._rewind(known)

    def _complete(self) -> None:
        self._end_text()
        if self._container:
            self._container_lines += self._container.end_all()
        self._done(self._place(self._position, self._behind, packed=self._size))

    def _failed(self, error: Exception) -> None:
        """It is damaged, or it cannot be read; what there is of it has been."""
        if isinstance(error, OSError) and error.errno:
            reason = reason_of(error)
            self._close_file()
            self._retry_at = monotonic() + _LONGEST_RETRY
            text = f"cannot read {self.filename}: {reason}; it is tried again"
        else:
            reason = _NOT_COMPLETE if isinstance(error, EOFError) else str(error)
            text = f"{self.filename} is damaged, or not what its name says: {reason}"
            if isinstance(error, ComponentError):
                text = f"cannot read {self.filename}: {error}"
            at = self._compared.size if self._compared else self._position
            text += f". Of its text, {at} bytes came before that"
            if self._compared:  # compare what there is of it
                compared, self._compared = self._compared, None
                same = [one for one in compared.same if one.certain and one.reader is None]
                self._left = max([0, *(one.place.position for one in same)])
            if at > self._position:
                self._rewind(self._left)
                return
            if lost := len(self._partial):
                text += f", the last {lost} of them an incomplete line, which was not passed on"
            self._partial.clear()
            place = self._marked or self._place(0, b"")
            self._done(msgspec.structs.replace(place, packed=self._size))
        if text != self._told:
            self._told = text
            self._tail.report(OpenError(text))

    def _place(
        self, position: int, behind: bytes, head: bytes | None = None, *, packed: int = 0
    ) -> FilePlace:
        known = min(COMPARED, position)
        return FilePlace(
            position=position,
            device=self._identity[0],
            inode=self._identity[1],
            modified=self._modified,
            fingerprint=text_fingerprint((self._head if head is None else head)[:known], behind)
            if behind
            else "",
            packed=packed,
        )

    def _tell_place(self, place: FilePlace) -> None:
        self._marked = place
        if not self._container or self._container.begins_at(place.position) == place.position:
            self.marks.append((self._identity, place))

    def _done(self, place: FilePlace | None) -> None:
        if place:
            self._tell_place(place)
            self._known.end(self._identity, self, place)
        self._at_end = False
        self._pause = 0.0
        self._close_file()
        self._quiet = name_state(self.filename)
        if self._quiet and self._quiet[:2] != self._identity:
            self._quiet = None

    def _close_file(self) -> None:
        self._compared = self._reader = None
        if self._file:
            self._file.close()
            self._file = None
        if self._known.unpacking is self:
            self._known.unpacking = None

    def close(self) -> None:
        """Close it."""
        self._close_file()

    def park(self) -> None:
        """It is not open for others."""

    def leave(self, *, rest: bool) -> bool:  # noqa: ARG002 - it is whole, or was
        """See `FollowedFile`."""
        self._close_file()
        if not self._marked or not self._marked.packed:
            self._known.end(self._identity, self, self._marked)
        return True

    def has_copy(self, path: str) -> bool:  # noqa: ARG002 - of what is compressed, rotation makes none
        """No."""
        return False

    def text_size(self) -> int:
        """Unknown."""
        return -1

    def progress(self) -> tuple[int, int] | None:
        """Of its compressed bytes."""
        return (self._file.tell(), self._size) if self._file else None

    def read_rest(self) -> None:
        """Nothing: lines are passed on when they are complete."""
        self._partial.clear()
