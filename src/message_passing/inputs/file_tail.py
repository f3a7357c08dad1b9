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
import stat
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from message_passing.errors import Fault, MessageError, OpenError, OptionError
from message_passing.inputs._reading import CHUNK, LineInput, how_far, next_byte
from message_passing.options import option
from message_passing.resolving import full_host_name

_BEHIND = 256
"""How many bytes before the current position are compared at each poll."""


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
    report. The position is not remembered from one run to the next.

    A last line waits for its newline until the input is stopped. A line that is too long (`max_line`) is cut, and
    the message has the field `truncated`, which is true; with `raw`, which has no room for such a mark, it is
    skipped and counted as failed. Either is reported. Patterns (`*.log`) are not expanded.
    """

    name = "FileTail"
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
    interval: float = option(default=0.25, description="Polling interval for new data, in seconds.", gt=0)

    def on_init(self) -> None:
        """Prepare; the file is not opened yet.

        Raises:
            OptionError: its name is a pattern, and no such file exists.
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
        self._fd: int | None = None
        self._position = 0
        self._behind = b""  # the bytes before the position
        self._lost: tuple[int, int] | None = (
            None  # device and inode of a file that could not be read any further
        )
        self._told = ""  # the last reported problem, so that it is reported once
        self._has_cut = False  # some of the lines that were read are cut

    def on_open(self) -> None:
        """Open the file if it exists.

        Raises:
            OpenError: it is a directory, or otherwise not a regular file.
        """
        full, found = full_host_name()
        self._hostname = socket.gethostname() if full.startswith("localhost") else full
        if not found:
            self.report(
                OpenError(f"the full name of this machine was not found in time: `hostname` is {full!r}")
            )
        try:
            self._open_file(at_end=self.start == "end")
        except ValueError as error:
            raise OpenError(f"cannot follow {self.filename!r}: {error}") from error
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EINVAL):
                raise OpenError(f"cannot follow {self.filename}: {_reason(error)}") from error
            self._trouble(error)

    def on_close(self) -> None:
        """Close the file."""
        self._close_file()

    async def run(self) -> None:
        """Read what there is, and poll again."""
        while True:
            more = self._look()
            await self.pass_on()
            await asyncio.sleep(0 if more else self.interval)

    def progress(self) -> tuple[int, int] | None:
        """How far it has caught up; None once it has."""
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
                if isinstance(line, _Cut):
                    message["truncated"] = True
            self._has_cut = any(isinstance(line, _Cut) for line in self._lines)
        return messages

    def too_long(self, line: bytes) -> None:
        """Cut the line if the message has room to mark that."""
        if self.raw:
            super().too_long(line)
            return
        cut = line[: self.max_line]
        _, whole = codecs.utf_8_decode(cut, "backslashreplace", False)
        self._lines.append(_Cut(cut[:whole] or cut))
        self._has_cut = True
        text = f"a line of more than {self.max_line} bytes (max_line) is cut there, and marked `truncated`"
        self.report(MessageError(f"{self.source()}: {text}"))

    def read_byte(self) -> bytes | None:
        """One byte of the line that was cut."""
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
        self._position += len(data)
        self._behind = found[-_BEHIND:]
        self.take(data)
        return bool(data)

    def _was_truncated(self, fd: int) -> bool:
        if os.fstat(fd).st_size >= self._position:
            return False
        self._begin_again(fd)
        return True

    def _begin_again(self, fd: int) -> None:
        """Start again: the file has been rewritten."""
        self.end_line()
        self._text.begin()
        self._position = os.lseek(fd, 0, os.SEEK_SET)
        self._behind = b""

    def _was_replaced(self, fd: int) -> bool:
        try:
            named = Path(self.filename).stat()
        except FileNotFoundError:
            return False  # renamed or removed: its writer may continue for a while
        except OSError as error:
            self._trouble(error)  # of the name: what is open may still get more
            return False
        ours = os.fstat(fd)
        if os.path.samestat(named, ours) or (named.st_size == 0 and ours.st_nlink):
            return False  # the new file is still empty: the old one may still get more
        if not self._read(fd):  # polled once more, now that the writer is known to have left it
            self.end_line()
            self._close_file()
        return True

    def _open_file(self, *, at_end: bool = False) -> None:
        fd = os.open(self.filename, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe must not block
        try:
            found = os.fstat(fd)
            _require_file(found)
            self._begin(fd, found, at_end=at_end)
        except BaseException:
            os.close(fd)
            raise
        self._identity = found.st_dev, found.st_ino
        self._fd = fd

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
        self._position = 0
        self._behind = b""
        self._text.begin()
        if at_end and found.st_size:
            unit = self._text.begin_within(os.pread(fd, 4, 0))
            self._position = os.lseek(fd, found.st_size // unit * unit, os.SEEK_SET)
            known = min(_BEHIND, self._position)
            self._behind = os.pread(fd, known, self._position - known)

    def _close_file(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):  # the descriptor is gone all the same
                os.close(fd)

    def _trouble(self, error: OSError) -> None:
        reason = _reason(error)
        if reason != self._told:
            self._told = reason
            self.report(OpenError(f"cannot read {self.filename}: {reason}; it is tried again"))


class _Cut(bytes):
    """The beginning of a line that was too long."""

    __slots__ = ()


def _require_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(code, os.strerror(code))


def _reason(error: OSError) -> str:
    return "it is not a regular file" if error.errno == errno.EINVAL else str(error.strerror)
