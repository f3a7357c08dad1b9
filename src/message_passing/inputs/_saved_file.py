"""A small state file that survives restarts, and that no other process may use at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path
from typing import TypeVar

import msgspec

from message_passing.errors import OpenError
from message_passing.secure_files import give_to_future_user, read_file, require_safe

_FLAGS = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Versioned(msgspec.Struct, kw_only=True):
    """The contents of such a file; derived classes add to them."""

    version: int


_Kind = TypeVar("_Kind", bound=Versioned)


class SavedFile:
    """The file. Beside it are its `.lock`, which stays, and, while it is being saved, its new contents (`.new`).

    Only its user can read it, and a file that others could have written is refused: whoever writes it decides what is
    read again, or not at all.
    """

    def __init__(self, path: str, what: str) -> None:
        """Prepare it: nothing is opened yet.

        Args:
            path: its path.
            what: its name in messages: `position file`.
        """
        self._path, self._what = path, what
        self._lock = -1
        self._saving = threading.Lock()

    def open(self, kind: type[_Kind], *, most_bytes: int, remedy: str) -> _Kind | None:
        """Lock it against other processes, and read it.

        Args:
            kind: the type of its contents.
            most_bytes: its maximum size in bytes.
            remedy: what to do if it is damaged.

        Returns:
            Its contents; None if there is no such file yet.

        Raises:
            OpenError: another process uses it, others can write it, it is not of this kind, or the system refuses.
        """
        try:
            found = self._read(kind, most_bytes, remedy)
        except OpenError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            reason = error.strerror if isinstance(error, OSError) else error
            if isinstance(error, BlockingIOError):
                reason = "another input or process uses it: give each its own"
            raise OpenError(f"cannot use the {self._what} {self._path!r}: {reason}") from error
        return found

    def _read(self, kind: type[_Kind], most_bytes: int, remedy: str) -> _Kind | None:
        lock = f"{self._path}.lock"
        self._lock = os.open(lock, os.O_RDWR | _FLAGS, 0o600)
        give_to_future_user(Path(lock))
        require_safe(lock, os.fstat(self._lock), f"{self._what}'s lock")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            data, state = read_file(self._path, self._what, limit=most_bytes)
        except FileNotFoundError:
            return None
        require_safe(self._path, state, self._what)
        try:
            found = msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError as error:
            text = f"{error}. If it is one, and damaged, {remedy}"
            raise OpenError(f"{self._path!r} is not a {self._what}: {text}") from error
        if found.version != 1:
            text = f"has version {found.version}, and only version 1 is known"
            raise OpenError(f"the {self._what} {self._path!r} {text}")
        return found

    def save(self, content: Versioned) -> None:
        """Write it to the disk; whoever reads it finds this or what was there before, whole. From any thread.

        Raises:
            OSError: the system refuses.
        """
        with self._saving:
            if self._lock < 0:
                return
            new = Path(f"{self._path}.new")
            new.unlink(missing_ok=True)  # of a run that was killed; or a trap of somebody who may write there
            fd = os.open(new, os.O_WRONLY | os.O_EXCL | _FLAGS, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(content) + b"\n")
                file.flush()
                os.fsync(fd)
            give_to_future_user(new)
            new.replace(self._path)

    def close(self) -> None:
        """Let others use it; nothing is saved from now on."""
        with self._saving:
            lock, self._lock = self._lock, -1
            if lock >= 0:
                with contextlib.suppress(OSError):
                    os.close(lock)
