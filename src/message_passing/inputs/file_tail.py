"""Messages from the end of a growing file (Message::Passing::Input::FileTail).

The original starts `tail -F` for this; here the file is looked at in intervals.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from message_passing.errors import OpenError
from message_passing.inputs._reading import CHUNK, LineInput, how_far
from message_passing.options import option


class FileTailInput(LineInput):
    r"""Follows a file as it grows, one message a line, as `tail -F` does.

    A message is an object: `filename`, `message` (the line, without its line end), `hostname`, `epochtime`
    (seconds, when it was read) and `type`, which is `log_line`. Bytes that are not UTF-8 are spelt out in
    `message` (`\xff`); `raw` hands on exactly what the file holds.

    A file that is renamed is read to its end before the new one of that name is read from its beginning.
    A file that gets shorter is read from its beginning. A file that is not there, or may not be read, is
    reported once and waited for; one that comes and goes between two looks is not seen. A last line waits
    for its newline until the input is stopped; a line that is too long is left out (`max_line`). Where it had
    got to is not remembered from one run to the next.
    """

    name = "FileTail"
    example = MappingProxyType({"filename": "/var/log/syslog"})

    filename: str = option(description="Path of the file to follow. It need not exist yet.", min_length=1)
    raw: bool = option(default=False, description="Messages are the lines themselves, as bytes.")
    start: Literal["end", "beginning"] = option(
        default="end",
        description="Where to start in a file that is there already. One that appears later is read whole.",
    )
    interval: float = option(default=0.25, description="Seconds between two looks at a quiet file.", gt=0)

    def on_init(self) -> None:
        """No file yet."""
        super().on_init()
        self._fd: int | None = None
        self._position = 0
        self._told = ""  # the trouble that was reported last, so that it is reported once

    def on_open(self) -> None:
        """Open the file if it is there.

        Raises:
            OpenError: it is a directory, or something else that is no file.
        """
        full = socket.getfqdn()
        self._hostname = socket.gethostname() if full.startswith("localhost") else full
        try:
            self._open_file(at_end=self.start == "end")
        except ValueError as error:
            raise OpenError(f"cannot follow {self.filename!r}: {error}") from error
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EINVAL):
                raise OpenError(f"cannot follow {self.filename}: {_reason(error)}") from error
            self._trouble(error)

    def on_close(self) -> None:
        """Let go of the file."""
        self._close_file()

    async def run(self) -> None:
        """Read what there is, and look again."""
        while True:
            more = self._look()
            await self.pass_on()
            await asyncio.sleep(0 if more else self.interval)

    def progress(self) -> tuple[int, int] | None:
        """How far it has caught up; None once it has."""
        return how_far(self._fd) if self._fd is not None else None

    def as_messages(self, lines: list[bytes]) -> list[Any]:
        """Objects with the original's fields, or lines if `raw`. As there, CR LF ends a line too."""
        lines = [line.removesuffix(b"\r") for line in lines]
        if self.raw:
            return lines
        common = {"filename": self.filename, "hostname": self._hostname, "type": "log_line"}
        now = time.time()
        texts = (line.decode("utf-8", "backslashreplace") for line in lines)
        return [{**common, "message": text, "epochtime": now} for text in texts]

    def _look(self) -> bool:
        """Read a chunk, or find out why there is none; whether it is worth looking again at once."""
        try:
            if self._fd is None:
                self._open_file()
                return True
            return self._read(self._fd) or self._was_truncated(self._fd) or self._was_replaced(self._fd)
        except OSError as error:
            self._trouble(error)
            return False

    def _read(self, fd: int) -> bool:
        data = os.read(fd, CHUNK)
        self._position += len(data)
        self.take(data)
        return bool(data)

    def _was_truncated(self, fd: int) -> bool:
        if os.fstat(fd).st_size >= self._position:
            return False
        self.end_line()
        self._position = os.lseek(fd, 0, os.SEEK_SET)
        return True

    def _was_replaced(self, fd: int) -> bool:
        try:
            named = Path(self.filename).stat()
        except FileNotFoundError:
            return False  # renamed or removed: whoever writes it may do so for a while
        ours = os.fstat(fd)
        if os.path.samestat(named, ours) or (named.st_size == 0 and ours.st_nlink):
            return False  # nobody has begun to write the new file: the old one may still get more
        if not self._read(fd):  # looked at once more, now that the writer is known to have left it
            self.end_line()
            self._close_file()
        return True

    def _open_file(self, *, at_end: bool = False) -> None:
        fd = os.open(self.filename, os.O_RDONLY | os.O_NONBLOCK)  # so that a named pipe is not waited for
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            raise OSError(code, os.strerror(code), self.filename)
        self._fd = fd
        self._position = os.lseek(fd, 0, os.SEEK_END if at_end else os.SEEK_SET)
        self._told = ""

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _trouble(self, error: OSError) -> None:
        reason = _reason(error)
        if reason != self._told:
            self._told = reason
            self.report(OpenError(f"cannot read {self.filename}: {reason}; it is tried again"))


def _reason(error: OSError) -> str:
    return "it is not a regular file" if error.errno == errno.EINVAL else str(error.strerror)
