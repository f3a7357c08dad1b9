"""Folders that are made, and reached so that nobody else can redirect a process of root."""

from __future__ import annotations

import os
from pathlib import Path

from message_passing.secure_files import FOLDER, folder_of


def open_folder(path: str) -> tuple[int, str]:
    """The folder that has a file, opened, and the file's name in it; root follows only links owned by root.

    Args:
        path: the file's.

    Raises:
        OSError: there is no such folder.
        OpenError: a link on the way is another user's.
    """
    if os.geteuid() == 0:
        return folder_of(path)
    folder, name = os.path.split(path)
    return os.open(folder or ".", FOLDER), name


def make_folder(path: str) -> None:
    """Make a folder, and those that it lies in, as far as they are missing. An empty path is the working directory.

    Raises:
        OSError: the system refuses, or something else has that name.
        OpenError: as root, a link on the way is another user's.
    """
    path = path.rstrip("/")
    if not path or Path(path).is_dir():
        return
    make_folder(os.path.dirname(path))  # noqa: PTH120 - a Path would take `.` out of it
    folder, name = open_folder(path)
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        if not Path(path).is_dir():  # otherwise another has just made it
            raise
    finally:
        os.close(folder)
