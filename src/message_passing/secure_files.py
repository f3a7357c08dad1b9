"""Files that decide who is let in, and files that a process of root writes: opened without falling into a trap.

Anyone who may write to a folder may at any moment put a link, a pipe or a device where a file is expected. So what a
path names is checked before it is opened, since opening a device may have effects, and checked again once it is open.
See open(2), and "Protected symlinks" in proc_sys_fs(5).
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shlex
import stat
from pathlib import Path

from message_passing.errors import OpenError

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_PART = 65536

FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""Flags for opening a folder, to reach its contents even if its path changes."""

_trusted = {0}
"""Users, besides the current one, whose files are trusted."""

_FILE_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def trust(uid: int) -> None:
    """Trust files of a user that this process will become."""
    _trusted.add(uid)


def future_user() -> int | None:
    """The user that this process will become; None if it stays what it is."""
    return next(iter(_trusted - {0}), None)


def give_to_future_user(path: Path) -> None:
    """Give what root creates to the user that this process will become."""
    if os.geteuid() == 0 and (uid := future_user()) is not None:
        os.chown(path, uid, -1, follow_symlinks=False)


def is_trusted(uid: int) -> bool:
    """Whether files of this user are trusted: root, the current user, or the one this process will become."""
    return uid in _trusted or uid == os.geteuid()


def kind_of(mode: int) -> str:
    """What something is according to its mode, if it is no regular file: `a named pipe`."""
    return next((text for test, text in _FILE_KINDS if test(mode)), "no regular file")


def user_name(uid: int) -> str:
    """A user's name in quotes, or the number if there is no name."""
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return f"number {uid}"


def in_shell(path: str) -> str:
    """A path as a command to run shows it; with what could not be typed escaped."""
    return shlex.quote(path) if path.isprintable() else repr(path)


def require_safe(path: str, found: os.stat_result, what: str, *, secret: bool = False) -> None:
    """Require that nobody else can change a file or folder, or read its secret.

    Args:
        path: what it is called.
        found: its state.
        what: what it is for: `key file`.
        secret: nobody else may be able to read it either.

    Raises:
        OpenError: somebody else can; it names the command that changes that.
    """
    if not is_trusted(found.st_uid):
        owners = " or ".join(dict.fromkeys(map(user_name, (0, os.geteuid()))))
        raise OpenError(
            f"the {what} {path!r} belongs to the user {user_name(found.st_uid)}, who could change it, and not to "
            f"{owners}: run `chown {user_name(os.geteuid())[1:-1]} {in_shell(path)}`"
        )
    mode = stat.S_IMODE(found.st_mode)
    if secret and mode & 0o077:
        raise OpenError(
            f"the secret in {path!r} can be read by others (its mode is {mode:04o}): run `chmod 600 {in_shell(path)}`"
        )
    if mode & 0o022:
        raise OpenError(
            f"the {what} {path!r} can be written by others (its mode is {mode:04o}): "
            f"run `chmod go-w {in_shell(path)}`"
        )


def read_file(path: str, what: str, *, limit: int, follow: bool = True) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file, and its state when it was open.

    Args:
        path: its path.
        what: what it is for: `key file`.
        limit: the most bytes that it may contain.
        follow: its path may be a symbolic link.

    Raises:
        OSError: the system refuses.
        OpenError: it is no regular file, it is too large, or the path is not valid.
    """
    if "\0" in path:
        raise OpenError(f"the {what} {path!r} has a null character in its path, which no file has")
    _require_regular(path, Path(path).stat(follow_symlinks=follow), what)
    descriptor = os.open(path, _READ | (0 if follow else os.O_NOFOLLOW))
    try:
        found = os.fstat(descriptor)
        _require_regular(path, found, what)
        parts = []
        left = limit + 1
        while left > 0 and (part := os.read(descriptor, min(left, _PART))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise OpenError(f"the {what} {path!r} is too large: it may have {limit:,} bytes")
    return b"".join(parts), found


def _require_regular(path: str, found: os.stat_result, what: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OpenError(f"the {what} {path!r} is {kind_of(found.st_mode)}: put a regular file in its place")


_MOST_LINKS = 40
"""Symbolic links within one path, as the kernel has it."""


def open_to_append(path: str, flags: int, mode: int) -> int:
    """Open a file for writing; as root, so that no other user can redirect it to another file.

    Root follows only symbolic links owned by root, anywhere in the path. In a folder that somebody else may write to,
    it opens only regular files without further hard links. Other users open whatever the system lets them open.

    Args:
        path: its path.
        flags: of open(2).
        mode: its permissions if it is created.

    Returns:
        The descriptor.

    Raises:
        OSError: the system refuses.
        OpenError: another user has put something there.
        ValueError: the path has a null byte in it.
    """
    if os.geteuid() != 0:
        return os.open(path, flags, mode)
    if "\0" in path:
        raise ValueError("embedded null byte")
    folder, name = folder_of(path)
    try:
        return _open_in(folder, name, path, flags, mode)
    finally:
        os.close(folder)


def _open_in(folder: int, name: str, path: str, flags: int, mode: int) -> int:
    state = os.fstat(folder)
    if state.st_dev == _processes():  # its links, like that of /dev/stdout, lead where no path does
        return os.open(name, flags, mode, dir_fd=folder)
    flags |= os.O_NOFOLLOW
    if is_root_alone(state):
        return os.open(name, flags, mode, dir_fd=folder)
    with contextlib.suppress(FileNotFoundError):
        _require_plain(path, os.stat(name, dir_fd=folder, follow_symlinks=False), state)
    descriptor = os.open(name, flags & ~os.O_TRUNC | os.O_NONBLOCK, mode, dir_fd=folder)
    try:
        _require_plain(path, os.fstat(descriptor), state)
        os.set_blocking(descriptor, True)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_plain(path: str, found: os.stat_result, folder: os.stat_result) -> None:
    reason = ""
    if not stat.S_ISREG(found.st_mode):
        reason = f"is {kind_of(found.st_mode)}"
    elif found.st_nlink > 1:
        reason = "has another name elsewhere (a hard link)"
    if reason:
        raise OpenError(
            f"cannot write to the file {path!r}: it {reason}, and others than root may write its folder (of the user "
            f"{user_name(folder.st_uid)}, mode {stat.S_IMODE(folder.st_mode):04o}): use a folder that root alone "
            "may write, or become another user with --user"
        )


def _processes() -> int:
    """The device number of /proc; -1 if there is none."""
    try:
        return Path("/proc/self").stat().st_dev
    except OSError:
        return -1


def is_root_alone(folder: os.stat_result) -> bool:
    """Whether only root may put anything into a folder."""
    return folder.st_uid == 0 and not folder.st_mode & 0o022


def folder_of(path: str) -> tuple[int, str]:
    """The folder that a path leads to, opened, and the name within it, with links owned by root followed.

    Raises:
        OSError: there is none.
        OpenError: a link on the way is another user's.
    """
    left = list(reversed(path.split("/")))
    here = os.open("/" if path.startswith("/") else ".", FOLDER)
    links = 0
    try:
        while links <= _MOST_LINKS:
            name = left.pop() or "."
            if not left and os.fstat(here).st_dev == _processes():
                return here, name
            if target := _link_of_root(name, here, path):
                links += 1
                left += reversed(target.split("/"))
                following = "/" if target.startswith("/") else "."
            elif not left:
                return here, name
            else:
                following = name
            opened = os.open(following, FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = opened
    except BaseException:
        os.close(here)
        raise
    os.close(here)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _link_of_root(name: str, folder: int, path: str) -> str:
    """Where a symbolic link leads; empty if it is no link, or does not exist."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    if not stat.S_ISLNK(found.st_mode):
        return ""
    if found.st_uid != 0:
        raise OpenError(
            f"cannot write to the file {path!r}: {name!r} in it is a symbolic link of the user "
            f"{user_name(found.st_uid)}, which root does not follow: name the file itself, give the link to root "
            "(`chown -h root`), or become another user with --user"
        )
    return os.readlink(name, dir_fd=folder)


def signature(found: os.stat_result) -> tuple[int, ...]:
    """A value that changes when the file is changed or replaced, or when its permissions change."""
    times = found.st_mtime_ns, found.st_ctime_ns
    return found.st_dev, found.st_ino, found.st_size, *times, found.st_mode, found.st_uid


_TIME_RESOLUTION = 2.0
"""Seconds within which two changes of a file may have the same timestamp, on any file system."""


def is_settled(found: os.stat_result, now: float) -> bool:
    """Whether any change from now on will change the signature: a file changed just now must be read again.

    Args:
        found: the file's state when it was read.
        now: the time, in seconds since the epoch. A file changed after that (a clock was set back, or is another
            machine's) is not settled.
    """
    return now - found.st_ctime > _TIME_RESOLUTION


SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)
"""Errors that say nothing about the file, only that the process or system is out of something at the moment."""
