"""Where the control sockets of running nodes are: one folder for each user, one socket for each process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from message_passing.errors import OpenError

SUFFIX = ".sock"


def folder() -> Path:
    """The folder of this user's nodes; it need not be there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime) / "message-passing"
    user = os.geteuid()
    # Anybody may have made this folder in /tmp: `ensure_folder` and `is_ours` see whose it is.
    return Path(f"/tmp/message-passing-{user}" if user else "/run/message-passing")  # noqa: S108


def control_path(pid: int) -> Path:
    """Where the control socket of a process is, unless it was given another place."""
    return folder() / f"{pid}{SUFFIX}"


def is_ours(path: Path) -> bool:
    """Whether this is a folder that only this user can have put something into."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def ensure_folder() -> Path:
    """Make the folder, for its owner alone, if it is not there.

    Returns:
        The folder.

    Raises:
        OpenError: it cannot be made, or somebody else could put sockets into it.
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
