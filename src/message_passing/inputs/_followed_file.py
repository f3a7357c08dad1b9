"""One followed file: how it is read, and what becomes of it when it is renamed, truncated, removed or replaced."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import MessageError, OpenError
from message_passing.failures import DATA_LIMIT
from message_passing.file_identity import birth_time
from message_passing.inputs._containers import ContainerLine, ContainerLines
from message_passing.inputs._followed import (
    CutLine,
    TailingInput,
    is_no_copy,
    line_end,
    name_state,
    reason_of,
    require_file,
)
from message_passing.inputs._position import FilePlace, is_at, is_reborn, place_in
from message_passing.inputs._reading import CHUNK
from message_passing.inputs._rotation import being_rotated, find_place, next_file
from message_passing.inputs._splitting import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.inputs._known_files import KnownFiles

_BEHIND = 256
"""How many bytes before the current position are compared whenever there may be more."""

_TRIES = 10
"""How often opening a file is tried while it is being renamed."""

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a file shows in its time of modification, whatever the file system's unit."""

_FIRST_RETRY, _LONGEST_RETRY = 0.1, 5.0
"""Seconds until a file that could not be opened is looked for in its folder again: at first, and at most."""


class FollowedFile(LineSplitter):
    """What a name leads to, and after it whatever has the name then.

    Attributes:
        filename: the name.
        marks: what is reached with the lines that have not been taken yet: a file's device and number, and the place
            in it, or None if it does not exist any longer.
        gone_since: since when the name has led to nothing, or to a file that somebody else reads, and nothing has
            been read; None if it leads to this file.
        last_read: when something was read.
        fields: what all messages made of its lines have, for the input to set.
        has_cut: some of the lines that have not been taken are cut.
        is_copy: whether another followed file is being copied to this name, to be truncated.
    """

    def __init__(self, filename: str, tail: TailingInput, known: KnownFiles, *, waits: bool = True) -> None:
        """It is not opened yet.

        Args:
            filename: the name.
            tail: is told of problems.
            known: files that are read, or have been.
            waits: whether it is an error that the file is not there.
        """
        self.filename = filename
        self.max_line = tail.max_line
        self.marks: list[tuple[tuple[int, int], FilePlace | None]] = []
        self.gone_since: float | None = None
        self.last_read = 0.0
        self.fields: dict[str, Any] = {}
        self.has_cut = False
        self.is_copy: Callable[[str], bool] = is_no_copy
        self._tail, self._known, self._waits = tail, known, waits
        self.begin_lines(tail.encoding)
        self._container: ContainerLines | None = None  # what joins lines, if they are of containers
        if tail.format != "lines":
            self._container = ContainerLines(tail.format, tail.max_line, tail.join_timeout)
        self._container_lines: list[ContainerLine] = []
        # As `marks`, but to be reached when a line is complete that began there:
        self._ended: list[tuple[tuple[int, int], FilePlace | None]] = []
        self._has_told_foreign = False
        self._fd: int | None = None
        self._identity = (0, 0)
        self._born = 0
        self._position = 0
        self._behind = b""  # the bytes before the position
        self._line_end = 0  # the position after the last complete line
        self._marked: FilePlace | None = None  # that position, in this file
        self._resume: FilePlace | None = None  # where to resume, in whatever file has it
        self._quiet: tuple[int, ...] | None = (
            None  # what stat(2) of the name said when there was nothing to read
        )
        self._told = ""  # the last reported problem, so that it is reported once
        self._since = 0  # when the previous file was last written, in nanoseconds since the epoch
        self._retry_at = self._retry_pause = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it has a file descriptor."""
        return self._fd is not None

    def take_lines(self) -> list[bytes]:
        """The lines that have been read and not taken yet."""
        lines, self._lines = self._lines, []
        return lines

    def take_container_lines(self) -> list[ContainerLine]:
        """Likewise, if they are of containers."""
        lines, self._container_lines = self._container_lines, []
        return lines

    def open(self, *, at_end: bool, resume: FilePlace | None = None) -> None:
        """Open it for the first time, if it is there.

        Args:
            at_end: begin at its end.
            resume: begin there instead, in the file that has this place, whatever its name is now.

        Raises:
            OSError: it is a directory (EISDIR), or something else that is no file (EINVAL).
            ValueError: no file can have this name.
        """
        self._resume = resume
        try:
            self._open_file(at_end=at_end and not resume)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EINVAL):
                raise
            self._trouble(error)

    def look(self) -> bool:
        """Read a chunk, or find out why there is none; whether to look again at once."""
        if self._container:
            self._pass_overdue(self._container)
        state = name_state(self.filename)
        if state and state == self._quiet:
            return False
        self._quiet = None
        if state and state[:2] == self._identity:
            self.gone_since = None
        elif self.gone_since is None:
            self.gone_since = monotonic()
        if state is None and self._fd is None and monotonic() < self._retry_at:
            return False
        more = self._look()
        if state and not more and state[:2] == self._identity and time.time_ns() - max(state[3:]) > _SETTLED:
            self._quiet = state
        return more

    def _look(self) -> bool:
        if self._fd is None:
            try:
                self._open_file()
            except OSError as error:
                self._trouble(error)
            if self._fd is None:
                return False
        try:
            return self._read(self._fd) or self._was_truncated(self._fd) or self._was_replaced(self._fd)
        except OSError as error:
            self._go_on_at(self._marked)
            self._trouble(error)
            return False

    def park(self) -> None:
        """Close it, to be opened again when it has changed."""
        if self._fd is not None:
            self._go_on_at(self._marked)

    def leave(self, *, rest: bool) -> bool:
        """Stop reading a file that is there no more; whether it does not exist any longer.

        Args:
            rest: a last line without newline is a message.
        """
        removed = self._fd is None
        if self._resume:
            text = f"{self.filename} is not there any more, which was read up to byte {self._resume.position}"
            self._miss(self._resume, text)
            self.marks.append((self._resume.identity, None))
        if self._fd is not None:
            removed = self.is_removed()
            if rest:
                self._end_text()
                self._line_end = self._position
                if self._container:
                    self._container_lines += self._container.end_all()
            self._finish(self._fd, removed=removed)
        else:
            self._known.end(self._identity, self, self._marked)
        self._resume = self._marked = None
        return removed

    def _miss(self, place: FilePlace, text: str) -> None:
        for told in self._known.miss(self.filename, place, f"{text}: what it had beyond that was not read"):
            self._tail.report(OpenError(told))

    def has_copy(self, path: str) -> bool:
        """Whether another file is a copy of this one, or becomes one now: as `copytruncate` makes it.

        Raises:
            OSError: it cannot be read.
        """
        place = self._marked or self._resume
        if place is None or not place.position:
            return False
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if is_at(fd, place):
                return True
            size = os.fstat(fd).st_size
            if self._fd is None or size >= place.position:
                return False
            ends = {0, max(0, size - _BEHIND)}
            return all(
                os.pread(fd, _BEHIND, at) == os.pread(self._fd, min(_BEHIND, size - at), at) for at in ends
            )
        finally:
            os.close(fd)

    def is_other(self, file: str | int) -> bool:
        """Whether a file is known not to be the one that was read, and closed, although it has its number."""
        if self._fd is not None or not self._resume:
            return False
        if isinstance(file, int):
            return is_reborn(file, self._resume)
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return is_reborn(fd, self._resume)
        finally:
            os.close(fd)

    def is_removed(self) -> bool:
        """Whether no name leads to the open file any more."""
        try:
            return self._fd is not None and not os.fstat(self._fd).st_nlink
        except OSError:
            return False

    def text_place(self) -> FilePlace | None:
        """How far it has been read."""
        return self._marked or self._resume

    def text_size(self) -> int:
        """How many bytes it has, as far as that is known."""
        place, progress = self.text_place(), self.progress()
        return progress[1] if progress else place.position if place else 0

    def close(self) -> None:
        """Close it."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):  # the descriptor is gone all the same
                os.close(fd)

    def progress(self) -> tuple[int, int] | None:
        """How many bytes have been read, and how many there are; None if it is not open."""
        try:
            return (self._position, os.fstat(self._fd).st_size) if self._fd is not None else None
        except OSError:
            return None

    def source(self) -> str:
        """The file."""
        return self.filename

    def notice(self, error: MessageError) -> None:
        """Report it."""
        self._tail.report(error)

    def too_long(self, line: bytes) -> None:
        """Truncate the line if the message has a field to mark that, or else skip it: it fails."""
        if self._tail.raw or self._container:
            text = f"{self.filename}: a line of more than {self.max_line} bytes (max_line) was skipped"
            self._tail.fail(MessageError(f"{text}; this is its beginning"), [line[:DATA_LIMIT]], 1)
            return
        cut = line[: self.max_line]
        _, whole = codecs.utf_8_decode(cut, "backslashreplace", False)
        self._lines.append(CutLine(cut[:whole] or cut))
        self.has_cut = True
        text = f"a line of more than {self.max_line} bytes (max_line) is cut there, and marked `truncated`"
        self._tail.report(MessageError(f"{self.filename}: {text}"))

    def read_rest(self) -> None:
        """Read the rest of a line that a chunk has split, and end it: half a line would be one that nobody wrote."""
        newline = self._text.newline()
        step = CHUNK if len(newline) == 1 else len(newline)
        with contextlib.suppress(OSError):
            while self._fd is not None and (self._partial or self._text.waits):
                data = os.pread(self._fd, step, self._position)
                if not data:
                    break
                if len(newline) == 1:
                    data = data[: data.find(newline) + 1] or data
                self._position += len(data)
                self._take_at(data, self._position - len(data))
        self._end_text()
        if self._container:
            self._container_lines += self._container.end_all()

    def _read(self, fd: int) -> bool:
        known = len(self._behind)
        found = os.pread(fd, known + CHUNK, self._position - known)
        self._told = ""
        if not found.startswith(self._behind) and (len(found) < known or found[:known].strip(b"\0")):
            self._begin_again(fd)
            return True
        # The same, or zeros: a program that writes a truncated file without O_APPEND leaves a hole up to its offset.
        data = found[known:]
        if not data:
            return False
        began = self._position
        self._position += len(data)
        self._behind = found[-_BEHIND:]
        self._take_at(data, began)
        self._mark(fd)
        self.last_read = monotonic()
        self.gone_since = self.gone_since and self.last_read
        return True

    def _take_at(self, data: bytes, began: int) -> None:
        """Split what was read at this position into lines."""
        if self._container:
            self._take_container(self._container, data, began)
        else:
            self.take(data)
            self._line_end = max(self._line_end, line_end(data, began, self._text.newline()))

    def _take_container(self, container: ContainerLines, data: bytes, began: int) -> None:
        *lines, last = data.split(b"\n")
        now = monotonic()
        for line in lines:
            began += len(line) + 1
            self._add(line)
            self._end_container_line(container, now)
            self._line_end = began
        if last:
            self._add(last)

    def _end_container_line(self, container: ContainerLines, now: float) -> None:
        line, self._partial, self._leaving_out = bytes(self._partial), bytearray(), False
        if line and (found := container.add(line, self._line_end, now)):
            self._container_lines.append(found)
            if not found.fields and not self._has_told_foreign:
                self._has_told_foreign = True
                text = f"{self.filename} has lines that are not of the format {self._tail.format}"
                self._tail.report(MessageError(f"{text}: they are passed on whole"))

    def _pass_overdue(self, container: ContainerLines) -> None:
        """Do not wait any longer for parts of lines that do not come."""
        if overdue := container.overdue(monotonic()):
            self._container_lines += overdue
            if self._marked and (self._fd is not None or not container.waits):
                self._tell_mark(-1 if self._fd is None else self._fd, self._identity, self._marked)

    def _end_text(self) -> None:
        """End the last line, which has no newline."""
        if self._container:
            self._end_container_line(self._container, monotonic())
        else:
            self.end_line()

    def _mark(self, fd: int) -> None:
        """Note where the last complete line ends, if that has changed."""
        if self._marked is None or self._marked.position != self._line_end:
            with contextlib.suppress(OSError):  # reading will tell
                self._marked = place_in(fd, self._line_end, self._born)
                self._tell_mark(fd, self._identity, self._marked)

    def _tell_mark(self, fd: int, identity: tuple[int, int], place: FilePlace) -> None:
        """This place is reached with all lines so far, unless one is not complete: then, where that one began."""
        if self._container:
            begins = self._container.begins_at(place.position)
            if begins is None:
                return
            self.marks += self._ended
            self._ended = []
            if begins != place.position:
                place = place_in(fd, begins, self._born)
        self.marks.append((identity, place))

    def _was_truncated(self, fd: int) -> bool:
        if os.fstat(fd).st_size >= self._position:
            return False
        self._begin_again(fd)
        return True

    def _begin_again(self, fd: int) -> None:
        """The file has been written anew."""
        if self._marked and self._marked.position and find_place(self.filename, self._marked):
            self._go_on_at(self._marked)  # copied, and then truncated
            return
        self._end_text()
        if self._container:
            self._container_lines += self._container.end_all()
        self._position = self._line_end = 0
        self._text.begin()
        self._behind = b""
        self._mark(fd)

    def _was_replaced(self, fd: int) -> bool:
        try:
            named = Path(self.filename).stat()
        except FileNotFoundError:
            return False  # renamed or removed: its writer may continue for a while
        except OSError as error:
            self._trouble(error)  # from stat(2) of the name: the open file may still grow
            return False
        ours = os.fstat(fd)
        if (
            os.path.samestat(named, ours)
            or not self._known.is_free((named.st_dev, named.st_ino), self, self.filename)
            or (named.st_size == 0 and ours.st_nlink and not self._rotated(ours))
        ):
            return False  # a new file that is still empty: the old one may still grow
        if not self._read(fd):  # read once more, now that the writer is known to have left it
            self._end_text()
            self._line_end = self._position
            self._finish(fd, removed=not ours.st_nlink)
        return True

    def _finish(self, fd: int, *, removed: bool) -> None:
        """All of it has been read."""
        place = self._marked
        with contextlib.suppress(OSError):
            place = place_in(fd, self._line_end, self._born)
        if place:
            self._since = place.modified
            self._ended.append((self._identity, place))
            if removed:
                self._ended.append((self._identity, None))
            if self._container:
                self._container.next_file()
            if not (self._container and self._container.waits):
                self.marks += self._ended
                self._ended = []
        self._known.end(self._identity, self, place, removed=removed)
        self._marked = None
        self.close()

    def _rotated(self, ours: os.stat_result) -> str:
        """The path of a rotated file that was written after this one; empty if there is none."""
        if not self._tail.position_file:
            return ""
        path = next_file(
            self.filename,
            ours.st_mtime_ns,
            lambda path, found: os.path.samestat(found, ours) or self._known.is_read(path, found, self),
        )
        return path if path != self.filename else ""

    def _go_on_at(self, place: FilePlace | None) -> None:
        """Close the file, to resume at this position, in whatever file has it then."""
        self._resume = place
        self.close()
        self._partial.clear()
        self._leaving_out = False
        self._text.begin()

    def _next_path(self) -> str:
        """The path of the file to read: the one with the position, or the one after the previous file.

        Raises:
            OSError: there is none.
        """
        if self._resume and (path := find_place(self.filename, self._resume)):
            return path
        if self._resume:
            Path(self.filename).stat()  # if nothing exists yet, it may appear later
            text = f"the file that was read up to byte {self._resume.position} is not there any more"
            self._miss(self._resume, f"{self.filename}: {text}")
            self._since = self._resume.modified
            self._known.end(self._identity, self, None)
            self._resume = self._marked = None
        if not self._since or not self._tail.position_file:
            return self.filename
        return next_file(
            self.filename, self._since, lambda path, found: self._known.is_read(path, found, self)
        )

    def _open_next(self) -> int:
        """Open it, and check that it was not rotated meanwhile.

        Raises:
            OSError: there is none, or the system refuses.
        """
        for _ in range(_TRIES):
            path = self._next_path()
            # Without waiting for a named pipe; and rotation makes no symbolic links.
            flags = os.O_RDONLY | os.O_NONBLOCK | (0 if path == self.filename else os.O_NOFOLLOW)
            try:
                fd = os.open(path, flags)
            except FileNotFoundError:
                if path == self.filename:
                    raise
                continue
            if self._is_still(path, fd):
                return fd
            os.close(fd)
        raise being_rotated()

    def _is_still(self, path: str, fd: int) -> bool:
        try:
            return path == self._next_path() and os.path.samestat(Path(path).stat(), os.fstat(fd))
        except OSError:
            return False

    def _open_file(self, *, at_end: bool = False) -> None:
        fd = self._open_next()
        try:
            found = os.fstat(fd)
            require_file(found)
            identity = found.st_dev, found.st_ino
            self._require_free(fd, identity)
            place = self._resume or self._known.place_of(fd, identity)
            if place:
                self._begin_at(fd, place.position)
            else:
                self._require_original()
                self._begin(fd, found, at_end=at_end)
            self._born = birth_time(fd)
            marked = place_in(fd, self._line_end, self._born)
        except BaseException:
            os.close(fd)
            raise
        self._identity, self._fd = identity, fd
        self._known.begin(identity, self)
        self._resume = None
        self._retry_at = self._retry_pause = 0.0
        if marked != self._marked:
            self._marked = marked
            self._tell_mark(fd, identity, marked)

    def _require_free(self, fd: int, identity: tuple[int, int]) -> None:
        if not self._known.is_free(identity, self, fd):
            raise OSError(errno.EBUSY, "it is followed by another name already")

    def _require_original(self) -> None:
        if self._since and self.is_copy(self.filename):
            raise OSError(errno.EBUSY, "another file is being copied to it")

    def _begin_at(self, fd: int, position: int) -> None:
        """Continue after the lines that were read before."""
        self._text.begin()
        if position:
            self._text.begin_within(os.pread(fd, 4, 0))
        self._position = self._line_end = position
        known = min(_BEHIND, position)
        self._behind = os.pread(fd, known, position - known)

    def _begin(self, fd: int, found: os.stat_result, *, at_end: bool) -> None:
        """Begin at the file's beginning, or its end."""
        self._end_text()
        position = 0
        self._text.begin()
        if at_end and found.st_size:
            unit = self._text.begin_within(os.pread(fd, 4, 0))
            position = found.st_size // unit * unit
        self._position = self._line_end = position
        known = min(_BEHIND, position)
        self._behind = os.pread(fd, known, position - known)

    def _trouble(self, error: OSError) -> None:
        if self._fd is None and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EBUSY, errno.EAGAIN):
            self._retry_pause = min(_LONGEST_RETRY, 2 * self._retry_pause or _FIRST_RETRY)
            self._retry_at = monotonic() + (self._retry_pause if self._resume else 0)
            if not self._waits:
                return
        reason = reason_of(error)
        if reason != self._told:
            self._told = reason
            self._tail.report(OpenError(f"cannot read {self.filename}: {reason}; it is tried again"))
