"""The directory for what must survive a restart and a reboot.

It differs from that of the control socket: `XDG_RUNTIME_DIR` and `/run` are emptied when the user logs out or the
machine starts (XDG Base Directory Specification). State that "should persist between (application) restarts" belongs
in `XDG_STATE_HOME`; systemd passes its services a directory for it in `STATE_DIRECTORY` (systemd.exec(5),
`StateDirectory=`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.environment import expand_home
from message_passing.errors import Fault, OpenError

if TYPE_CHECKING:
    from collections.abc import Collection

LEDGER = "losses.sqlite"
"""The ledger's file name."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def default_state_dir() -> Path:
    """The directory given by the system or the user's environment; it need not exist.

    Raises:
        OpenError: nobody knows the user's home directory.
    """
    if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME", "")
    if Path(home).is_absolute():
        return Path(home) / "message-passing"
    if os.geteuid() == 0:
        return Path("/var/lib/message-passing")
    return Path(expand_home("~/.local/state/message-passing"))


def ensure_state_dir(path: Path, *, owner: tuple[int, int] | None = None, place: str = "") -> Path:
    """Create the directory, for its owner alone, if it does not exist.

    Args:
        path: the directory.
        owner: user and group that it belongs to, where that is not this process's user.
        place: the option that names it, for messages.

    Returns:
        Where in it the ledger is.

    Raises:
        OpenError: it cannot be created, or another user could put files into it.
    """
    uid, gid = owner or (os.geteuid(), -1)
    try:
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            if owner:
                os.chown(path, uid, gid)
        folder, link = path.stat(), path.lstat()
    except OSError as error:
        text = f"cannot make the state directory {path}: {error.strerror}; name another: --state_dir DIR"
        raise OpenError(Fault(text, place)) from error
    if not stat.S_ISDIR(folder.st_mode):
        raise OpenError(Fault(f"the state directory {path} is not a directory", place))
    if not _all_in((folder.st_uid, link.st_uid), (0, uid)) or folder.st_mode & _OTHERS_WRITE:
        text = (
            f"users other than this node's can write to the state directory {path}: give it to that user "
            f"alone (chmod 700), or name another: --state_dir DIR"
        )
        raise OpenError(Fault(text, place))
    return path / LEDGER


def _all_in(found: Collection[int], allowed: Collection[int]) -> bool:
    return all(one in allowed for one in found)
