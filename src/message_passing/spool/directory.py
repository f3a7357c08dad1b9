"""The directory of a spool: its permissions, and its present owner."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from message_passing.errors import OpenError
from message_passing.secure_files import future_user, in_shell, require_safe

DATABASE = "spool.sqlite"
"""The database's file name; SQLite adds files with the suffixes `-wal` and `-shm` beside it."""

LOCK = "lock"
"""The lock's file name. It contains the process id of the spool's owner."""

WHAT = "spool directory"

_MOST_DIGITS = 20


class SpoolInUseError(OpenError):
    """A spool has an owner already."""


class SpoolLock:
    """A spool's directory, taken by one owner: see flock(2)."""

    def __init__(self, directory: Path) -> None:
        """Start without the lock."""
        self.directory = directory
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Create the directory if it does not exist, and lock it.

        Raises:
            SpoolInUseError: another owner has it.
            OpenError: it cannot be created, or others can write to it.
        """
        path = self.directory
        make_private(path)
        lock = path / LOCK
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OpenError(cannot_use(path, error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise OpenError(cannot_use(path, error)) from error
            raise SpoolInUseError(
                f"the spool {str(path)!r} is in use by {_owner_of(path)}: give each output a spool of its own, or "
                "stop that process"
            ) from error
        self._descriptor, self._identity = descriptor, identity(lock)
        give_to_future_user(lock)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)

    def renew(self) -> None:
        """Lock the directory again if it was removed.

        Raises:
            OpenError: see `acquire`.
        """
        if self._identity != identity(self.directory / LOCK):
            self.release()
            self.acquire()

    def release(self) -> None:
        """Release it. In a forked child it stays the parent's."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def make_private(path: Path) -> None:
    """Create a directory for this user alone, if it does not exist.

    Raises:
        OpenError: it cannot be created, or others can write to it.
    """
    try:
        if not path.exists():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            give_to_future_user(path)
        found = path.stat()
    except OSError as error:
        raise OpenError(cannot_use(path, error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise OpenError(f"the {WHAT} {str(path)!r} is not a directory")
    require_safe(str(path), found, WHAT)


def identity(path: Path) -> tuple[int, int] | None:
    """The identity of the file at present; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def database_in(directory: Path) -> Path:
    """Create the database of a spool, for its owner alone, if it does not exist.

    Raises:
        OSError: a system error, or it is a link.
    """
    path = directory / DATABASE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    else:
        give_to_future_user(path)
        sync_directory(directory)
    os.close(descriptor)
    return path


def sync_directory(directory: Path) -> None:
    """Sync a directory, so that names of new files are on disk: see fsync(2)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_future_user(path: Path) -> None:
    """Give what root creates to the user that this process will become; SQLite's files follow the database's."""
    if os.geteuid() == 0 and (uid := future_user()) is not None:
        os.chown(path, uid, -1, follow_symlinks=False)


def cannot_use(directory: Path, error: OSError) -> str:
    """The sentence for a person about a system error."""
    why = error.strerror or str(error)
    return f"cannot use the {WHAT} {str(directory)!r}: {why}"


def obstacle(directory: Path) -> str:
    """Why a spool could not be kept there, checked without changing anything; empty if no reason was found."""
    existing = next((one for one in (directory, *directory.absolute().parents) if one.exists()), Path("/"))
    if not existing.is_dir():
        return f"the {WHAT} {str(directory)!r}: {str(existing)!r} is not a directory"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"the {WHAT} {str(directory)!r} cannot be written by this user: see ls -ld {in_shell(str(existing))}"
    return ""


def _owner_of(directory: Path) -> str:
    try:
        text = (directory / LOCK).read_bytes()[:_MOST_DIGITS].strip().decode("ascii")
    except (OSError, ValueError):
        return "another process"
    if not text.isdigit():
        return "another process"
    return f"this process ({text})" if int(text) == os.getpid() else f"the process {text}"
