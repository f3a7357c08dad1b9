"""Whom a file belongs to, and who may use it, as options say."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass

from message_passing.errors import Fault, OptionError, did_you_mean


@dataclass(frozen=True, slots=True)
class Ownership:
    """What a file's mode, owner and group are to be; -1: as it is created."""

    mode: int = -1
    user: int = -1
    group: int = -1

    def apply(self, fd: int) -> None:
        """Give a file these, as far as it has not got them.

        Raises:
            OSError: the system refuses: only root gives files away (chown(2)).
        """
        found = os.fstat(fd)
        user = self.user if self.user != found.st_uid else -1
        group = self.group if self.group != found.st_gid else -1
        if user >= 0 or group >= 0:
            os.fchown(fd, user, group)  # before the mode, of which it may remove bits
        if self.mode >= 0 and (user >= 0 or group >= 0 or stat.S_IMODE(found.st_mode) != self.mode):
            os.fchmod(fd, self.mode)


def ownership_of(label: str, mode: str, owner: str) -> Ownership | None:
    """What the options `mode` and `owner` say; None if they say nothing.

    Args:
        label: the component's, for messages.
        mode: octal digits, as of chmod(1); or empty.
        owner: `user`, `user:group` or `:group`, by name or number; or empty.

    Raises:
        OptionError: there is no such user or group.
    """
    if not mode and not owner:
        return None
    user, _, group = owner.partition(":")
    return Ownership(
        int(mode, 8) if mode else -1,
        _number(label, "user", user, {one.pw_name: one.pw_uid for one in pwd.getpwall()}),
        _number(label, "group", group, {one.gr_name: one.gr_gid for one in grp.getgrall()}),
    )


def _number(label: str, what: str, name: str, known: dict[str, int]) -> int:
    if not name:
        return -1
    if name in known:
        return known[name]
    if name.isascii() and name.isdigit() and len(name) < 10:
        return int(name)
    text = (
        f"{label}: there is no {what} {name!r}{did_you_mean(name, known)}: write user, user:group or :group"
    )
    raise OptionError(Fault(text, "owner"))
