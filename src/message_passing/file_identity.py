"""The identity of a file, which stays the same when it is renamed: device and inode (inode(7))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file_identity(file: Path | str | int) -> tuple[int, int] | None:
    """The identity of what a path or a descriptor leads to at present; None if that is nothing."""
    try:
        found = os.stat(file)  # noqa: PTH116 - also of a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino
