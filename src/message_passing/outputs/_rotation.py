"""Rotates a file that has become large or old: it gets a name with the time in it, and a new one takes its place."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from message_passing.clock import monotonic, wall
from message_passing.errors import OpenError
from message_passing.folders import open_folder
from message_passing.secure_files import is_root_alone

PAUSE = 60.0
"""Seconds until a rotation that failed is tried again."""

ROTATED = re.compile(r"\.(\d{8}T\d{6}\.\d{6}Z)(\.gz|\.zst)?(\.tmp)?", re.ASCII)
"""What follows the name of a file in that of a rotated one; `.tmp` while it is being compressed."""

_SUFFIXES = ("", ".gz", ".zst")


def stamp_of(moment: float) -> str:
    """A time as it stands in the name of a rotated file: such names sort by time.

    Args:
        moment: in seconds since 1970.
    """
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def open_own_folder(path: str) -> tuple[int, str]:
    """The folder of a file, opened, and the file's name in it: for renaming and removing files there.

    Raises:
        OSError: the system refuses.
        OpenError: this is root, and others may put something in the place of these files.
    """
    folder, name = open_folder(path)
    if os.geteuid() == 0 and not is_root_alone(os.fstat(folder)):
        os.close(folder)
        text = (
            f"cannot rotate {path!r}: others than root may write its folder: use a folder that root alone may"
        )
        raise OpenError(f"{text} write, or become another user with --user")
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder), name
    finally:
        os.close(folder)


class Rotation:
    """When and how files are rotated."""

    def __init__(self, size: int, seconds: float) -> None:
        """Start with nothing known of any file.

        Args:
            size: bytes that make a file large enough; 0: it never is.
            seconds: the periods of which each has files of its own, counted from 1970; 0: there are none.
        """
        self._size, self._seconds = size, seconds
        self._not_before = 0.0

    def is_due(self, fd: int) -> bool:
        """Whether a file is to be rotated before anything else is written to it; only regular files are.

        It is by what the system knows of the file, so that it also holds for one that an earlier process has left.
        """
        found = os.fstat(fd)
        if not found.st_size or not stat.S_ISREG(found.st_mode) or monotonic() < self._not_before:
            return False
        if self._size and found.st_size >= self._size:
            return True
        return bool(self._seconds) and found.st_mtime // self._seconds < wall() // self._seconds

    def failed(self) -> None:
        """Rotate nothing for a while."""
        self._not_before = monotonic() + PAUSE

    def rename(self, fd: int, path: str) -> None:
        """Give a file its name as a rotated one. Where another file has its name by now, that one is left alone.

        Args:
            fd: the file.
            path: its name.

        Raises:
            OSError: the system refuses.
            OpenError: the name is a symbolic link, or as root, others may write the folder.
        """
        if Path(path).is_symlink():
            raise OpenError(f"cannot rotate {path!r}, which is a symbolic link: name the file itself")
        folder, name = open_own_folder(path)
        try:
            found, ours = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd)
            if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                os.rename(name, _free_name(folder, name), src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            pass  # somebody else has renamed it
        finally:
            os.close(folder)


def _free_name(folder: int, name: str) -> str:
    moment = wall()
    while any(_exists(folder, f"{name}.{stamp_of(moment)}{suffix}") for suffix in _SUFFIXES):
        moment += 0.00001
    return f"{name}.{stamp_of(moment)}"


def _exists(folder: int, name: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False
