"""What becomes of rotated files, in a thread: the oldest are removed, and the others compressed."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import wall
from message_passing.errors import OpenError
from message_passing.outputs._rotation import ROTATED, open_own_folder, stamp_of
from message_passing.paths import load_own

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WAITING = 1000
"""Files whose rotated ones may wait for the thread; those of another one wait until it is rotated once more."""

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}

_TROUBLES = 10
"""Errors that are kept for `take_troubles`; others are only counted."""

_PART = 1 << 20
_LEVEL = 6
"""Of gzip: the program's own default, at a third of the time of 9 (gzip(1))."""


def packer_of(compress: str) -> Callable[[Any], Any] | None:
    """What makes a file that compresses into another one; None for `none`.

    Raises:
        ComponentError: there is no zstd, which is in the extra `zstd`.
    """
    if compress == "gzip":
        return lambda file: gzip.GzipFile("", "wb", _LEVEL, file)
    if compress == "zstd":
        zstd = load_own("message_passing.zstandard:zstd")
        return lambda file: zstd.ZstdFile(file, "wb")
    return None


class Finisher:
    """Takes care of rotated files. One that was left by an earlier process is found too.

    Attributes:
        counts: files that were `compressed` and `removed`, those that could not be (`failed`), and how often there
            was no room to wait (`postponed`).
    """

    def __init__(self, keep: int, seconds: float, compress: str) -> None:
        """Start with nothing to do.

        Args:
            keep: how many rotated files of each name are kept; 0: all.
            seconds: how long they are kept; 0: for ever.
            compress: a key of `SUFFIXES`.

        Raises:
            ComponentError: see `packer_of`.
        """
        self._keep, self._seconds = keep, seconds
        self._packer, self._suffix = packer_of(compress), SUFFIXES[compress]
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}
        self._troubles: deque[Exception] = deque(maxlen=_TROUBLES)
        self._ended = False
        self._thread: threading.Thread | None = None
        self.counts = {"compressed": 0, "removed": 0, "failed": 0, "postponed": 0}

    def add(self, path: str) -> None:
        """Take care of the rotated files of this one."""
        if not (self._keep or self._seconds or self._packer):
            return
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self.counts["postponed"] += 1
                return
            self._waiting[path] = None
            # None is alive in a forked child. A daemon: a disk that never answers does not keep the process.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="message-passing files", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def take_troubles(self) -> list[Exception]:
        """What went wrong since the last call."""
        with self._changed:
            found = [*self._troubles]
            self._troubles.clear()
        return found

    def end(self, seconds: float) -> None:
        """Finish what waits, for at most so long; the rest is found when the file is rotated or opened again."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(seconds)

    def _run(self) -> None:
        if (
            sys.platform == "linux"
        ):  # where a thread has a priority of its own (sched(7)): messages come first
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while path := self._next():
            try:
                self._finish(path)
            except (OSError, OpenError) as error:
                self._note(path, error)

    def _next(self) -> str:
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            path = next(iter(self._waiting), "")
            self._waiting.pop(path, None)
            return path

    def _note(self, path: str, error: Exception) -> None:
        with self._changed:
            self.counts["failed"] += 1
            reason = error.strerror if isinstance(error, OSError) else error
            self._troubles.append(OpenError(f"cannot compress or remove rotated files of {path!r}: {reason}"))

    def _finish(self, path: str) -> None:
        folder, name = open_own_folder(path)
        try:
            for stamp, found in self._kept(folder, _rotated(folder, name)):
                if self._packer and found == f"{name}.{stamp}":
                    _compress(folder, found, found + self._suffix, self._packer)
                    self.counts["compressed"] += 1
        finally:
            os.close(folder)

    def _kept(self, folder: int, rotated: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Remove those that are too old or too many; return the others."""
        oldest = stamp_of(wall() - self._seconds) if self._seconds else ""
        stamps = sorted({stamp for stamp, _ in rotated})
        if self._keep:
            stamps = stamps[-self._keep :]
        kept = {stamp for stamp in stamps if stamp >= oldest}
        for stamp, found in rotated:
            if stamp not in kept:
                with contextlib.suppress(FileNotFoundError):  # somebody else removes old ones, too
                    os.unlink(found, dir_fd=folder)
                    self.counts["removed"] += 1
        return [one for one in rotated if one[0] in kept]


def _rotated(folder: int, name: str) -> list[tuple[str, str]]:
    """The rotated files of a name, with their times, the oldest first; what a killed process left half is removed."""
    found: list[tuple[str, str]] = []
    for one in os.listdir(folder):
        if one.startswith(name) and (match := ROTATED.fullmatch(one, len(name))):
            if match[3]:
                os.unlink(one, dir_fd=folder)
            else:
                found.append((match[1], one))
    return sorted(found)


def _compress(folder: int, name: str, packed: str, packer: Callable[[Any], Any]) -> None:
    """Replace a file by its compressed form, once that is on the disk.

    Raises:
        OSError: the system refuses; the file is left as it is.
        OpenError: somebody still writes to it.
    """
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    part = packed + ".tmp"
    with os.fdopen(source, "rb", _PART) as reader:
        state = os.fstat(source)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(part, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(target, "wb") as writer:
                with packer(writer) as packing:
                    shutil.copyfileobj(reader, packing, _PART)
                writer.flush()
                with contextlib.suppress(PermissionError):
                    os.fchown(target, state.st_uid, state.st_gid)
                os.fchmod(target, state.st_mode & 0o7777)
                os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
                os.fsync(target)
            _require_size(source, name, reader.tell())
            os.rename(part, packed, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
    with contextlib.suppress(OSError):  # not every file system can sync a directory (fsync(2))
        os.fsync(folder)
    os.unlink(name, dir_fd=folder)


def _require_size(fd: int, name: str, size: int) -> None:
    if os.fstat(fd).st_size != size:
        raise OpenError(f"another program still writes to {name!r}")
