"""Turning a process into a daemon: background, user, I/O priority; its PID file is in `pid_file`.

As in Message::Passing::Role::Script, with these differences: the command that daemonizes waits until the
chain runs, and ends with its exit status when it does not; supplementary groups are set; the umask and the
working directory stay, so that a relative path means the same throughout; the pid file is locked while the
process lives, and removed at the end.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass
from typing import NoReturn

from message_passing.cli.terminal import tell
from message_passing.errors import ComponentError, Fault, OpenError, needs_extra


class Daemon:
    """The background half of a process that has daemonized, and its line to the half that waits."""

    def __init__(self, report_to: int) -> None:
        self._report_to = report_to

    @classmethod
    def start(cls) -> Daemon:
        """Fork twice, in a new session; the first process waits for `report` and ends with that status."""
        hear, tell = os.pipe()
        if os.fork():
            os.close(tell)
            _end_as_told(hear)
        os.close(hear)
        os.setsid()
        if os.fork():
            os._exit(0)
        return cls(tell)

    def report(self, status: int, text: str = "") -> bool:
        """Report the status to the waiting process, and detach from the terminal; False if it was reported before."""
        if self._report_to < 0:
            return False
        with contextlib.suppress(BrokenPipeError):
            os.write(self._report_to, bytes([status]) + text.encode("utf-8", "backslashreplace"))
        os.close(self._report_to)
        self._report_to = -1
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            if os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
        os.close(nowhere)
        return True


def _end_as_told(hear: int) -> NoReturn:
    told = b""
    with contextlib.suppress(KeyboardInterrupt):  # the other half has left this terminal and goes on
        while part := os.read(hear, 4096):
            told += part
    tell(told[1:].decode("utf-8", "replace") if told else "the process in the background has ended\n")
    os._exit(told[0] if told else 1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to become."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, name: str) -> Identity:
        """Look the user up.

        Raises:
            OpenError: there is no such user, or only root could become it.
        """
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise OpenError(Fault(f"there is no user {name!r}", "--user")) from error
        if os.geteuid() != 0 and os.geteuid() != entry.pw_uid:
            raise OpenError(Fault(f"only root can become user {name!r}", "--user"))
        return cls(name, entry.pw_uid, entry.pw_gid)

    def assume(self) -> None:
        """Become it: supplementary groups first, since only root may set them."""
        if os.geteuid() == self.uid:
            return
        os.initgroups(self.name, self.gid)
        os.setgid(self.gid)
        os.setuid(self.uid)


def set_io_priority(name: str) -> None:
    """Set this process's I/O scheduling class (ionice(1)), before it starts any thread.

    Args:
        name: `none`, `be`, `rt` or `idle`.

    Raises:
        OpenError: the system refused.
        ComponentError: psutil is not installed.
    """
    try:
        with needs_extra("io-priority"):
            import psutil  # noqa: PLC0415 - an extra: only for whoever asks for a priority
    except ComponentError as error:
        raise error.under("--io_priority") from error
    if not hasattr(psutil, "IOPRIO_CLASS_BE"):
        raise OpenError(Fault("this system has no I/O priority classes", "--io_priority"))
    classes = {
        "none": psutil.IOPRIO_CLASS_NONE,
        "be": psutil.IOPRIO_CLASS_BE,
        "rt": psutil.IOPRIO_CLASS_RT,
        "idle": psutil.IOPRIO_CLASS_IDLE,
    }
    try:
        psutil.Process().ionice(classes[name])
    except psutil.AccessDenied as error:
        raise OpenError(Fault(f"only root can set the class {name!r}", "--io_priority")) from error
