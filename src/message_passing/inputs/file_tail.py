"""Messages from the end of a growing file (Message::Passing::Input::FileTail).

The original starts `tail -F` for this; here the file is polled.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import errno
import glob
import os
import socket
import time
from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.errors import Fault, MessageError, OpenError, OptionError
from message_passing.inputs._followed import CutLine, line_end, reason_of, require_file
from message_passing.inputs._ordered import OrderedDeliveries
from message_passing.inputs._position import PositionFile, place_in
from message_passing.inputs._reading import CHUNK, READ_BATCH, LineInput, how_far, next_byte
from message_passing.inputs._rotation import being_rotated, find_place, next_file
from message_passing.options import option
from message_passing.resolving import full_host_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.inputs._position import FilePlace

_BEHIND = 256
"""How many bytes before the current position are compared at each poll."""

SAVE_INTERVAL = 0.2
"""Seconds between two saves of the position."""

_TRIES = 10
"""How often opening a file is tried while it is being renamed."""

_MOST_SEEN = 1000
"""The most files that are remembered as read."""


class FileTailInput(LineInput):
    r"""Follows a file as it grows, one message a line, as `tail -F` does.

    A message is an object: `filename`, `message` (the line, without its line end), `hostname`, `epochtime`
    (seconds, when it was read) and `type`, which is `log_line`. Bytes that are invalid in the file's encoding are
    escaped in `message` (`\xff`); `raw` passes on the bytes of a line, in UTF-8 if `encoding` names another one. A
    byte-order mark is not part of the first line.

    A file that is renamed is read to its end before the new one of that name is read from its beginning.
    A file that gets shorter is read from its beginning, and so is one that was truncated and has grown beyond the
    current position: the last 256 bytes before it differ then. What was written between the last poll and a
    truncation, as by logrotate's `copytruncate`, is lost without a trace: rename the file instead.

    A file that does not exist, or may not be read, is reported once and waited for; one that comes and goes between
    two polls is not seen. One that cannot be read any further (a stale file handle of NFS) is opened again by its
    name: if that is still the same file, reading continues where it was, and otherwise from the beginning, with a
    report. The position is remembered from one run to the next only with `position_file`.

    With `position_file`, nothing is left out: the position moves when the chain has settled what was read (`File` has
    written it, a `ZeroMQ` output of type DEALER has had it acknowledged), and a new run begins there, also after a
    crash, when what was not settled comes again. What the chain loses is delivered again. If the file was renamed, or
    copied and emptied, meanwhile, it is found in its folder by its contents; it and what else rotation put there
    since (`log.1`, `log-20261126`; not what is compressed) is read before the new file. A last line without newline
    waits for the next run. If the file is found nowhere, that is reported.

    Without it, a last line waits for its newline until the input is stopped.

    A line that is too long (`max_line`) is cut, and the message has the field `truncated`, which is true; with `raw`,
    which has no room for such a mark, it is skipped and counted as failed. Either is reported. Patterns (`*.log`) are
    not expanded.
    """

    name = "FileTail"
    exclusive_paths = ("position_file",)
    example = MappingProxyType({"filename": "/var/log/syslog"})

    filename: str = option(
        description="Path of the file to follow: one file, not a pattern. It need not exist yet.",
        min_length=1,
    )
    raw: bool = option(default=False, description="Messages are the lines themselves, as bytes.")
    start: Literal["end", "beginning"] = option(
        default="end",
        description="Where to start in a file that already exists. One that appears later is read from "
        "the beginning.",
    )
    position_file: str = option(
        default="",
        min_length=1,
        description="Path of a file that keeps the position, moved when what was read is settled. `start` counts "
        "when there is none yet. Only one input can use it; beside it, there is a `.lock`.",
    )
    interval: float = option(default=0.25, description="Polling interval for new data, in seconds.", gt=0)

    def on_init(self) -> None:
        """Prepare; the file is not opened yet.

        Raises:
            OptionError: its name is a pattern, and that of no file; or it is its own position file.
        """
        super().on_init()
        if glob.has_magic(self.filename) and not os.path.lexists(self.filename):
            raise OptionError(
                Fault(
                    f"{self.label}: option 'filename': {self.filename!r} is a pattern, and patterns are not "
                    "expanded: name one file, with a FileTail input for each. (A file that has this very name "
                    "must be there before it is followed.)",
                    "filename",
                )
            )
        if self.position_file and os.path.realpath(self.position_file) == os.path.realpath(self.filename):
            text = f"{self.label}: option 'position_file' is the file that is followed: name another"
            raise OptionError(Fault(text, "position_file"))
        self._fd: int | None = None
        self._position = 0
        self._behind = b""  # the bytes before the position
        self._lost: tuple[int, int] | None = (
            None  # device and inode of a file that could not be read any further
        )
        self._told = ""  # the last reported problem, so that it is reported once
        self._has_cut = False  # some of the lines that were read are truncated
        self._line_end = 0  # the position after the last complete line
        self._marked: FilePlace | None = None  # that position at the last poll
        self._resume: FilePlace | None = None  # where to resume, in whatever file has it
        self._seen: deque[tuple[int, int, int]] = deque(maxlen=_MOST_SEEN)
        self._deliveries: OrderedDeliveries | None = None
        self._position_file: PositionFile | None = None
        self._unsaved = ""  # why the position could not be saved
        self._to_mark: FilePlace | None = None  # marked, but not all of its lines are delivered
        self._since = 0  # when the previous file was last written, in nanoseconds since the epoch
        if self.position_file:
            self.acknowledges = True
            self._position_file = PositionFile(self.position_file, self.filename)
            self._deliveries = OrderedDeliveries(self, self._messages_again)

    def on_open(self) -> None:
        """Open the file if it exists.

        Raises:
            OpenError: it is a directory, or something else that is no file; or the position file cannot be used.
        """
        if self._position_file:
            self._resume = self._position_file.open()
        full, found = full_host_name()
        self._hostname = socket.gethostname() if full.startswith("localhost") else full
        if not found:
            self.report(
                OpenError(f"the full name of this machine was not found in time: `hostname` is {full!r}")
            )
        try:
            self._open_file(at_end=self.start == "end" and not self._resume)
        except ValueError as error:
            self._unlock()
            raise OpenError(f"cannot follow {self.filename!r}: {error}") from error
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EINVAL):
                self._unlock()
                raise OpenError(f"cannot follow {self.filename}: {reason_of(error)}") from error
            self._trouble(error)

    def _unlock(self) -> None:
        if self._position_file:
            self._position_file.close()

    def on_close(self) -> None:
        """Close the file, and save the position up to which everything is settled."""
        self._close_file()
        if self._position_file and self._deliveries:
            if reached := self._deliveries.reached:
                self._save_now(self._position_file, reached)
            self._position_file.close()

    async def run(self) -> None:
        """Read what there is, and poll for more."""
        saving = asyncio.create_task(self._keep_saving()) if self._position_file else None
        try:
            while True:
                more = self._look()
                await self.pass_on()
                await asyncio.sleep(0 if more else self.interval)
        finally:
            if saving:
                saving.cancel()

    async def pass_on(self) -> None:
        """See `LineInput`; with a position file, deliver, and mark the position."""
        if self._deliveries is None:
            await super().pass_on()
            return
        self._to_mark = self._mark() or self._to_mark
        while self._lines:
            await self._deliveries.deliver(self._take_batch())
            await asyncio.sleep(0)
        self._tell_mark(self._deliveries)
        await self._deliveries.catch_up()

    def stopped(self) -> None:
        """See `LineInput`. With a position file, an incomplete line is left for the next run."""
        if self._deliveries is None:
            super().stopped()
            return
        while self._lines:
            self._deliveries.deliver_last(self._take_batch())
        self._tell_mark(self._deliveries)

    def _take_batch(self) -> list[bytes]:
        batch = self._lines[:READ_BATCH]
        del self._lines[:READ_BATCH]
        return batch

    def _tell_mark(self, deliveries: OrderedDeliveries) -> None:
        if self._to_mark:
            deliveries.mark(self._to_mark)
            self._to_mark = None

    def info(self) -> Mapping[str, Any]:
        """With a position file: the position, and the number of unsettled messages."""
        found = dict(super().info())
        if self._deliveries:
            reached = self._deliveries.reached
            found["position"] = reached.position if reached else 0
            found["unsettled"] = self._deliveries.unsettled()
            found["redelivered"] = self._deliveries.redelivered
        return found

    def problems(self) -> list[str]:
        """The chain loses messages, or the position cannot be saved."""
        stalls = "the chain lost messages, which are delivered again; until then, nothing more is read"
        return [
            *([self._unsaved] if self._unsaved else []),
            *([stalls] if self._deliveries and self._deliveries.stalls() else []),
        ]

    def _mark(self) -> FilePlace | None:
        """Where the last complete line ends, if that has changed since the last poll."""
        if self._fd is None:
            return None
        known = self._marked
        if known and (known.position, known.device, known.inode) == (self._line_end, *self._identity):
            return None
        try:
            self._marked = place_in(self._fd, self._line_end)
        except OSError:  # reading will tell
            return None
        return self._marked

    def _messages_again(self, lines: list[bytes]) -> list[Any]:
        self._has_cut = self._has_cut or any(isinstance(line, CutLine) for line in lines)
        return self.as_messages(lines)

    async def _keep_saving(self) -> None:
        """Save the position periodically; a thread waits for the disk."""
        while self._position_file and self._deliveries:
            await asyncio.sleep(SAVE_INTERVAL)
            if reached := self._deliveries.reached:
                try:
                    await asyncio.to_thread(self._position_file.save, reached)
                except OSError as error:
                    self._not_saved(error)
                else:
                    self._unsaved = ""

    def _save_now(self, file: PositionFile, place: FilePlace) -> None:
        try:
            file.save(place)
        except OSError as error:
            self._not_saved(error)

    def _not_saved(self, error: OSError) -> None:
        text = f"cannot save the position of {self.filename} in {self.position_file!r}: {error.strerror}"
        text += "; it is tried again, and until then a new run would read what is read now once more"
        if text != self._unsaved:
            self._unsaved = text
            self.report(OpenError(text))

    def progress(self) -> tuple[int, int] | None:
        """How far it has caught up with the file; None once it has."""
        return how_far(self._fd) if self._fd is not None else None

    def as_messages(self, lines: list[bytes]) -> list[Any]:
        """Objects with the original's fields, or lines if `raw`. As there, CR LF ends a line too."""
        texts = [line.removesuffix(b"\r") for line in lines]
        if self.raw:
            return texts
        common = {"filename": self.filename, "hostname": self._hostname, "type": "log_line"}
        now = time.time()
        decoded = (text.decode("utf-8", "backslashreplace") for text in texts)
        messages: list[dict[str, Any]] = [{**common, "message": text, "epochtime": now} for text in decoded]
        if self._has_cut:
            for message, line in zip(messages, lines, strict=True):
                if isinstance(line, CutLine):
                    message["truncated"] = True
            self._has_cut = any(isinstance(line, CutLine) for line in self._lines)
        return messages

    def too_long(self, line: bytes) -> None:
        """Truncate the line if the message has a field to mark that."""
        if self.raw:
            super().too_long(line)
            return
        cut = line[: self.max_line]
        _, whole = codecs.utf_8_decode(cut, "backslashreplace", False)
        self._lines.append(CutLine(cut[:whole] or cut))
        self._has_cut = True
        text = f"a line of more than {self.max_line} bytes (max_line) is cut there, and marked `truncated`"
        self.report(MessageError(f"{self.source()}: {text}"))

    def read_byte(self) -> bytes | None:
        """One byte of the line that was truncated."""
        if self._fd is None:
            return b""
        data = next_byte(self._fd)
        self._position += len(data or b"")
        return data

    def source(self) -> str:
        """The file."""
        return self.filename

    def _look(self) -> bool:
        """Read a chunk, or find out why there is none; whether to poll again at once."""
        if self._fd is None:
            try:
                self._open_file()
            except OSError as error:
                self._trouble(error)
            return self._fd is not None
        try:
            return self._read(self._fd) or self._was_truncated(self._fd) or self._was_replaced(self._fd)
        except OSError as error:
            if self._marked:
                self._go_on_at(self._marked)
            else:
                self._lost = self._identity
                self._close_file()
            self._trouble(error)
            return False

    def _read(self, fd: int) -> bool:
        known = len(self._behind)
        os.lseek(fd, self._position - known, os.SEEK_SET)
        found = os.read(fd, known + CHUNK)
        self._told = ""
        if not found.startswith(self._behind) and (len(found) < known or found[:known].strip(b"\0")):
            self._begin_again(fd)
            return True
        # The same, or zeros: a program that writes a truncated file without O_APPEND leaves a hole up to its offset.
        data = found[known:]
        began = self._position
        self._position += len(data)
        self._behind = found[-_BEHIND:]
        self.take(data)
        if self._deliveries:
            self._line_end = max(self._line_end, line_end(data, began, self._text.newline()))
        return bool(data)

    def _was_truncated(self, fd: int) -> bool:
        if os.fstat(fd).st_size >= self._position:
            return False
        self._begin_again(fd)
        return True

    def _begin_again(self, fd: int) -> None:
        """The file has been written anew."""
        if self._marked and find_place(self.filename, self._marked):  # copied, and then truncated
            self._go_on_at(self._marked)
            return
        self.end_line()
        self._line_end = 0
        self._text.begin()
        self._position = os.lseek(fd, 0, os.SEEK_SET)
        self._behind = b""

    def _was_replaced(self, fd: int) -> bool:
        try:
            named = Path(self.filename).stat()
        except FileNotFoundError:
            return False  # renamed or removed: its writer may continue for a while
        except OSError as error:
            self._trouble(error)  # from stat(2) of the name: the open file may still grow
            return False
        ours = os.fstat(fd)
        if os.path.samestat(named, ours) or (
            named.st_size == 0 and ours.st_nlink and not self._rotated(ours)
        ):
            return False  # the new file is still empty: the old one may still grow
        if not self._read(fd):  # read once more, now that the writer is known to have left it
            self.end_line()
            self._line_end = self._position
            if self._deliveries:
                self._seen.append((*self._identity, ours.st_mtime_ns))
                self._since = ours.st_mtime_ns
            self._close_file()
        return True

    def _rotated(self, ours: os.stat_result) -> str:
        """The path of a rotated file that was written after this one; empty if there is none."""
        if self._deliveries is None:
            return ""
        path = next_file(
            self.filename, ours.st_mtime_ns, {*self._seen, (ours.st_dev, ours.st_ino, ours.st_mtime_ns)}
        )
        return path if path != self.filename else ""

    def _go_on_at(self, place: FilePlace | None) -> None:
        """Close the file, to resume at this position, in whatever file has it then."""
        self._resume = place
        self._close_file()
        self._partial.clear()
        self._leaving_out = False
        self._text.begin()

    def _next_path(self) -> str:
        """The path of the file to read: the one with the position, or the one after the previous file.

        Raises:
            OSError: there is none.
        """
        if self._deliveries is None:
            return self.filename
        if self._resume and (path := find_place(self.filename, self._resume)):
            return path
        if self._resume:
            Path(self.filename).stat()  # if nothing exists yet, it may appear later
            text = f"the file that was read up to byte {self._resume.position} is not there any more"
            self.report(OpenError(f"{self.filename}: {text}: what it had beyond that was not read"))
            self._since, self._resume = self._resume.modified, None
        return next_file(self.filename, self._since, self._seen) if self._since else self.filename

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
            if self._deliveries is None or self._is_still(path, fd):
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
            if self._resume:
                self._begin_at(fd, self._resume.position)
            else:
                self._begin(fd, found, at_end=at_end)
        except BaseException:
            os.close(fd)
            raise
        self._identity = found.st_dev, found.st_ino
        self._fd = fd
        self._resume = None
        if self._position_file and self._position_file.is_empty() and (place := self._mark()):
            # So that a run that is killed soon has recorded which file it was.
            self._save_now(self._position_file, place)

    def _begin_at(self, fd: int, position: int) -> None:
        """Continue after the lines that were read before."""
        self._text.begin()
        if position:
            self._text.begin_within(os.pread(fd, 4, 0))
        self._position = self._line_end = os.lseek(fd, position, os.SEEK_SET)
        known = min(_BEHIND, position)
        self._behind = os.pread(fd, known, position - known)

    def _begin(self, fd: int, found: os.stat_result, *, at_end: bool) -> None:
        """Seek to where reading starts."""
        if self._lost == (found.st_dev, found.st_ino) and self._position <= found.st_size:
            os.lseek(fd, self._position, os.SEEK_SET)
            self._lost = None
            return
        self.end_line()
        if self._lost:
            behind = f"what the former one had beyond its first {self._position} bytes was not read"
            self.report(OpenError(f"{self.filename} is another file now: {behind}"))
            self._lost = None
        self._position = self._line_end = 0
        self._behind = b""
        self._text.begin()
        if at_end and found.st_size:
            unit = self._text.begin_within(os.pread(fd, 4, 0))
            self._position = os.lseek(fd, found.st_size // unit * unit, os.SEEK_SET)
            self._line_end = self._position
            known = min(_BEHIND, self._position)
            self._behind = os.pread(fd, known, self._position - known)

    def _close_file(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):  # the descriptor is gone all the same
                os.close(fd)

    def _trouble(self, error: OSError) -> None:
        reason = reason_of(error)
        if reason != self._told:
            self._told = reason
            self.report(OpenError(f"cannot read {self.filename}: {reason}; it is tried again"))
