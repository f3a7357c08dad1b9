"""Syncs what was written to a file to the disk, in a thread, so that the chain does not wait unless it has to."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.delivery import Hold

UNSYNCED_BYTES = 16 << 20
"""Bytes that may wait to be synced before inputs that can wait do so, and a delayed sync begins at once."""

MOST_UNSYNCED_BYTES = 64 << 20
"""The most bytes that may wait to be synced: beyond that, messages from inputs that cannot wait are dropped."""

_NO_SUCH_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""The error of a file system that cannot sync a directory (fsync(2))."""


@dataclass(slots=True)
class Unsynced:
    """Lines of one batch that were written and are not known to be on the disk."""

    lines: Sequence[bytes]
    size: int
    hold: Hold
    path: str


@dataclass(slots=True)
class _File:
    """A file that is, or was, written.

    Attributes:
        path: its path, whose directory must be synced before anything is confirmed; empty once that is done.
        retired: nothing more will be written, and it is to be closed.
        error: why nothing in it can be confirmed any more.
        due: what was added to it is to be synced now.
    """

    fd: int
    path: str
    entries: list[Unsynced] = field(default_factory=list)
    retired: bool = False
    error: OSError | None = None
    due: bool = False


class Syncing:
    """Syncs what is added, several batches at once if they wait.

    A file that could not be synced is given up: the system may have discarded what it could not write, and report
    success at the next sync (fsync(2), on EIO). So everything added since the last successful sync fails.
    """

    def __init__(self, interval: float, on_done: Callable[[], object]) -> None:
        """Start without a file.

        Args:
            interval: the least seconds between two syncs.
            on_done: called in the thread when there is something to `take`, or there may be room.
        """
        self._interval, self._on_done = interval, on_done
        self._changed = threading.Condition()
        self._files: deque[_File] = deque()
        self._writing: dict[int, _File] = {}  # those of them that are not retired
        self._done: deque[tuple[list[Unsynced], OSError | None]] = deque()
        self._count = self._size = 0  # of what was added, and not taken yet
        self._last = -interval
        self._hurries = self._ended = False
        self._thread: threading.Thread | None = None

    def begin(self, fd: int, path: str) -> None:
        """Use this file too from now on; it is closed here when it is retired.

        If it is the same one again, it could not be synced, and could not be reopened.
        """
        with self._changed:
            if again := self._writing.get(fd):
                self._files.remove(again)
            self._writing[fd] = file = _File(fd, path)
            self._files.append(file)

    def retire(self, fd: int) -> None:
        """Nothing more will be written to the file: sync and close it."""
        with self._changed:
            self._writing.pop(fd).retired = True
            self._start()
            self._changed.notify_all()

    def wait_for_closed(self, most: int, seconds: float) -> bool:
        """Wait until fewer files than this are open, retired ones too, for at most so long; whether that is so."""
        deadline = monotonic() + seconds
        with self._changed:
            while len(self._files) >= most and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            return len(self._files) < most

    def add(self, entry: Unsynced, fd: int) -> None:
        """Record that this was written to the file."""
        with self._changed:
            self._count += len(entry.lines)
            self._size += entry.size
            file = self._writing[fd]
            if file.error:
                self._done.append(([entry], file.error))
            else:
                file.entries.append(entry)
                self._start()
                self._changed.notify_all()
        if file.error:
            self._on_done()

    def unsynced(self) -> int:
        """The number of messages that wait."""
        return self._count

    def waiting_bytes(self) -> int:
        """The number of bytes that wait."""
        return self._size

    def take(self) -> list[tuple[list[Unsynced], OSError | None]]:
        """What has reached the disk since the last call, or will not, and why."""
        taken: list[tuple[list[Unsynced], OSError | None]] = []
        with self._changed:
            while self._done:
                entries, error = self._done.popleft()
                self._count -= sum(len(entry.lines) for entry in entries)
                self._size -= sum(entry.size for entry in entries)
                taken.append((entries, error))
        return taken

    def hurry(self) -> None:
        """Sync what waits now."""
        with self._changed:
            self._hurries = True
            self._changed.notify_all()

    def failed(self) -> list[int]:
        """The files that are written and have been given up."""
        with self._changed:
            return [fd for fd, file in self._writing.items() if file.error]

    def end(self, seconds: float) -> list[Unsynced]:
        """Sync and close everything, for at most this long.

        Returns:
            What is not known to have reached the disk by then.
        """
        deadline = monotonic() + seconds
        with self._changed:
            self._ended = True
            for fd in [*self._writing]:
                self.retire(fd)
            while self._files and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            left_over = [entry for file in self._files for entry in file.entries]
            self._count -= sum(len(entry.lines) for entry in left_over)
            self._size -= sum(entry.size for entry in left_over)
            for file in self._files:
                file.entries = []
            return left_over

    def _start(self) -> None:
        if self._thread is None:  # a daemon: a disk that never answers does not keep the process
            self._thread = threading.Thread(target=self._run, name="message-passing sync", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while file := self._next():
            file.due, count = False, len(file.entries)
            error = file.error or (_synced(file) if count else None)
            with self._changed:
                self._last = monotonic()
                if error is not None:  # what was added meanwhile may be lost as well
                    file.error, count = error, len(file.entries)
                if count := min(count, len(file.entries)):
                    self._done.append((file.entries[:count], error))
                    file.entries = file.entries[count:]
                if file.retired and not file.entries:
                    self._files.remove(file)
                    _close(file.fd)
                self._changed.notify_all()
            if count:
                self._on_done()

    def _next(self) -> _File | None:
        """Wait for a file that needs syncing; None when there will be none."""
        with self._changed:
            while True:
                due = self._last + self._interval
                now = monotonic()
                soon = self._hurries or self._ended or now >= due or self._size > UNSYNCED_BYTES
                if soon and not any(file.due for file in self._files):  # all in turn, before any once more
                    for file in self._files:
                        file.due = bool(file.entries)
                for file in self._files:
                    if file.retired or file.due:
                        return file
                if self._ended and not self._files:
                    return None
                waits = any(file.entries for file in self._files)
                self._hurries = self._hurries and waits
                self._changed.wait(due - now if waits else None)


def sync_error(error: OSError, path: str) -> OSError:
    """What is said of a message in a file that could not be synced."""
    text = f"it could not be synced to the disk ({error.strerror}), and may be lost"
    return OSError(error.errno, text, path)


def _synced(file: _File) -> OSError | None:
    """Sync it, and the directory that has its name; return the system's error, if any."""
    try:
        os.fdatasync(file.fd)
        if file.path:
            _sync_directory(file.path)
            file.path = ""
    except OSError as error:
        return error
    return None


def _sync_directory(path: str) -> None:
    """Sync a file's directory entry, which syncing the file does not (fsync(2))."""
    fd = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SUCH_SYNC:
            raise
    finally:
        os.close(fd)


def _close(fd: int) -> None:
    # A stale handle's close fails, and the descriptor is gone all the same.
    with contextlib.suppress(OSError):
        os.close(fd)
