"""The directory of the control sockets: one for each user, with one socket for each process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from message_passing.errors import OpenError

SUFFIX = ".sock"


def folder() -> Path:
    """The directory of this user's nodes; it may not exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime) / "message-passing"
    user = os.geteuid()
    # Anybody may have made this folder in /tmp: `ensure_folder` and `is_ours` see whose it is.
    return Path(f"/tmp/message-passing-{user}" if user else "/run/message-passing")  # noqa: S108


def control_path(pid: int) -> Path:
    """The default path of a process's control socket."""
    return folder() / f"{pid}{SUFFIX}"


def is_ours(path: Path) -> bool:
    """Whether this is a directory that only this user can write to."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def ensure_folder() -> Path:
    """Create the directory, accessible to its owner only, if it does not exist.

    Returns:
        The folder.

    Raises:
        OpenError: it cannot be created, or others could write to it.
    """
    path = folder()
    elsewhere = "choose another path: --control PATH"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours(path):
            path.chmod(0o700)
    except OSError as error:
        raise OpenError(f"cannot create the directory {path}: {error.strerror}; {elsewhere}") from error
    if not is_ours(path):
        raise OpenError(f"{path} is not a directory that only this user can write to; {elsewhere}")
    return path
