"""The file that contains a daemon's process id: never another program's file, whatever is in its place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from message_passing.errors import Fault, OpenError
from message_passing.secure_files import FOLDER, is_trusted, kind_of, user_name

if TYPE_CHECKING:
    from types import TracebackType


class PidFile:
    """A file that contains this process's id from `write` to the end of the block.

    It is opened and locked (flock(2)) first, to find out whether that is allowed, and written when the chain is
    open. The lock is held until the end: a second process cannot take the file of a living one. What another user
    has put there (a link, a pipe, a file of theirs), and what contains anything other than an id, is not touched.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._written = b""
        self._created = False
        self._fd = self._folder = -1

    def __enter__(self) -> Self:
        """Open and lock it.

        Raises:
            OpenError: it cannot be written, belongs to another user, or is locked by a running process.
        """
        path = Path(self._name)
        try:
            self._folder = os.open(path.parent, FOLDER)
            self._base = path.name or "."
            while not self._take():
                os.close(self._fd)  # whoever had it has removed it meanwhile
            self._require_free()
        except BaseException as error:
            self._close()
            if isinstance(error, (OSError, ValueError)):
                reason = error.strerror if isinstance(error, OSError) else error
                raise self._refusal(f"cannot be written: {reason}") from error
            raise
        return self

    def _take(self) -> bool:
        """Open the file and lock it; whether it is then still there."""
        found = self._state()
        if found:
            self._require_regular(found)
        self._created = not found
        # Without O_TRUNC: what it holds is another's until the lock is ours.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        self._fd = os.open(self._base, flags, 0o644, dir_fd=self._folder)
        self._require_regular(os.fstat(self._fd))
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._taken(self._writer()) from error
        return self._is_ours()

    def _require_regular(self, found: os.stat_result) -> None:
        reason = ""
        if not stat.S_ISREG(found.st_mode):
            reason = f"it is {kind_of(found.st_mode)}, and not a regular file"
        elif not is_trusted(found.st_uid):
            reason = f"it belongs to the user {user_name(found.st_uid)}"
        elif found.st_nlink > 1:
            reason = "it has another name elsewhere (a hard link)"
        if reason:
            raise self._refusal(f"{reason}: remove it, or give another file")

    def _require_free(self) -> None:
        """Check that it was not written by a running process that does not lock it, and contains nothing else."""
        text = os.pread(self._fd, _PID_LENGTH + 1, 0).strip(b" \t\r\n\0")
        if text and not (len(text) < _PID_LENGTH and text.isdigit()):
            raise self._refusal(
                "it contains something other than a process id: remove it, or give another file"
            )
        pid = self._writer()
        if pid not in (0, os.getpid()):  # our own: a container gives the same id each time
            raise self._taken(pid)

    def _writer(self) -> int:
        """The id in it, where its process is alive; else 0."""
        text = os.pread(self._fd, _PID_LENGTH, 0).strip()
        pid = int(text) if text.isdigit() else 0
        return pid if pid and _ran_at(pid, os.fstat(self._fd).st_mtime) else 0

    def _taken(self, pid: int) -> OpenError:
        who = f"the process {pid}" if pid else "another process, which is starting,"
        return self._refusal(f"{who} has it: stop that process, or give another file")

    def _refusal(self, text: str) -> OpenError:
        return OpenError(Fault(text, f"--pid_file {self._name}"))

    def write(self) -> None:
        """Write the id.

        Raises:
            OpenError: the disk is full.
        """
        self._written = f"{os.getpid()}\n".encode()
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, self._written, 0)
        except OSError as error:
            raise self._refusal(f"cannot be written: {error.strerror}") from error

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Remove it, if it is still ours. If that is not allowed after changing the user, it is left empty."""
        try:
            if not self._is_ours():
                return
            if self._written and os.pread(self._fd, 99, 0) == self._written:
                try:
                    os.unlink(self._base, dir_fd=self._folder)
                except OSError:
                    os.ftruncate(self._fd, 0)
            elif self._created and not self._written:
                os.unlink(self._base, dir_fd=self._folder)
        except OSError:
            pass
        finally:
            self._close()

    def _state(self) -> os.stat_result | None:
        """What has the name now, which may be a link; None when nothing has it."""
        try:
            return os.stat(self._base, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _is_ours(self) -> bool:
        """Whether the name still belongs to the file that we have open."""
        found = self._state()
        return found is not None and os.path.samestat(found, os.fstat(self._fd))

    def _close(self) -> None:
        for descriptor in {self._fd, self._folder} - {-1}:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._fd = self._folder = -1


_PID_LENGTH = 24
"""Bytes that the text of a process id may have."""


def _ran_at(pid: int, moment: float) -> bool:
    """Whether a process that was running at a time, in seconds since the epoch, still is.

    An id is given to another process some time after its process has ended, and after a reboot soon: such a one began
    after the file was written. Where the system does not say when a process began (proc(5)), the lock decides alone.
    """
    try:
        stat_text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        state, *fields = stat_text.rpartition(")")[2].split()
        began = time.time() - up + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return False
    return state not in "ZX" and began <= moment + 1
