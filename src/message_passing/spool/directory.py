"""The directory of a spool: its permissions, and its present owner."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.errors import OpenError
from message_passing.file_identity import file_identity
from message_passing.secure_files import give_to_future_user, in_shell, require_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "spool.sqlite"
"""The database's file name; SQLite adds files with the suffixes `-wal` and `-shm` beside it."""

LOCK = "lock"
"""The lock's file name. It contains the process id of the spool's owner."""

LOG_BYTES = 64 << 20
"""Bytes from which on SQLite's log is moved to the database."""

WHAT = "spool directory"

_MOST_DIGITS = 20

_SQLITE_FULL = 13
"""The code of SQLite (sqlite.org/rescode.html)."""


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
                "stop what uses it"
            ) from error
        self._descriptor, self._identity = descriptor, file_identity(lock)
        give_to_future_user(lock)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)

    def renew(self) -> None:
        """Lock the directory again if it was removed.

        Raises:
            OpenError: see `acquire`.
        """
        if self._identity != file_identity(self.directory / LOCK):
            self.release()
            self.acquire()

    def release(self) -> None:
        """Release it. In a forked child it stays the parent's."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextlib.contextmanager
def kept_from_nodes(directory: Path) -> Iterator[None]:
    """Nobody uses a spool in this block. Its files are not changed.

    Raises:
        OpenError: a process is using it, or the system refuses.
    """
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # a copy without it, which nobody has used
        yield
        return
    except OSError as error:
        raise OpenError(cannot_use(directory, error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OpenError(
                f"the spool {str(directory)!r} is in use by {_owner_of(directory)}, which sends what is in it: stop "
                "that process first"
            ) from error
        except OSError as error:
            raise OpenError(cannot_use(directory, error)) from error
        yield
    finally:
        os.close(descriptor)


def make_private(path: Path) -> None:
    """Create a directory for this user alone, if it does not exist.

    Raises:
        OpenError: it cannot be created, or others can write to it.
    """
    try:
        if not path.exists():
            if path.is_symlink():
                raise OpenError(
                    f"the {WHAT} {str(path)!r} is a link to {str(path.readlink())!r}, where nothing is: make that, "
                    "or remove the link"
                )
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            give_to_future_user(path)
        found = path.stat()
    except OSError as error:
        raise OpenError(cannot_use(path, error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise OpenError(f"the {WHAT} {str(path)!r} is not a directory")
    require_safe(str(path), found, WHAT)


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


def cannot_use(directory: Path, error: Exception) -> str:
    """The sentence for a person about an error of the system or of SQLite."""
    why = strange_file(directory) or getattr(error, "strerror", None) or str(error)
    if has_no_room(error):
        why = "its disk is full: make room there, or name another directory"
    return f"cannot use the {WHAT} {str(directory)!r}: {why}"


def has_no_room(error: Exception) -> bool:
    """Whether an error says that the disk, or a user's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) == _SQLITE_FULL


def strange_file(directory: Path) -> str:
    """That a link, a directory or a device is where a spool has a file; empty if there is none."""
    for name in (LOCK, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        path = directory / name
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(path.lstat().st_mode):
                return f"{str(path)!r} is a link, or no regular file: remove it"
    return ""


def obstacle(directory: Path) -> str:
    """Why a spool could not be kept there, checked without changing anything; empty if no reason was found."""
    existing = _existing(directory)
    if not existing.is_dir():
        return f"the {WHAT} {str(directory)!r}: {str(existing)!r} is not a directory"
    with contextlib.suppress(OSError):
        if os.statvfs(existing).f_flag & os.ST_RDONLY:
            return f"the {WHAT} {str(directory)!r} is on a file system that is mounted read-only"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"the {WHAT} {str(directory)!r} cannot be written by this user: see ls -ld {in_shell(str(existing))}"
    return ""


def exposure(directory: Path) -> str:
    """That others can write to a directory that exists, so that no spool is opened there; empty if they cannot."""
    try:
        if directory.exists():
            require_safe(str(directory), directory.stat(), WHAT)
    except (OSError, OpenError) as error:
        return str(error)
    return ""


def shortage(directory: Path, max_bytes: int) -> str:
    """That the disk has less room than a spool may need; empty if it has enough, or that is not known."""
    try:
        found = os.statvfs(_existing(directory))
        used = sum(one.stat().st_size for one in directory.glob(f"{DATABASE}*")) if directory.is_dir() else 0
    except OSError:
        return ""
    room = found.f_bavail * found.f_frsize + used
    if max_bytes + LOG_BYTES <= room:
        return ""
    return (
        f"the spool {str(directory)!r} may take spool_bytes ({max_bytes:,}) and {LOG_BYTES:,} bytes besides, and its "
        f"disk has room for {room:,}: when the disk is full, it is as if the spool were"
    )


def _existing(directory: Path) -> Path:
    return next((one for one in (directory, *directory.absolute().parents) if one.exists()), Path("/"))


def _owner_of(directory: Path) -> str:
    try:
        text = (directory / LOCK).read_bytes()[:_MOST_DIGITS].strip().decode("ascii")
    except (OSError, ValueError):
        return "another process"
    if (
        not text.isdigit() or not Path(f"/proc/{text}").exists()
    ):  # that one has ended: somebody else reads it now
        return "another process"
    return f"this process ({text})" if int(text) == os.getpid() else f"the process {text}"
