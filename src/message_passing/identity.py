"""Who sends: a name that no other process, on any machine at any time, has; or a name and the process's run."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN = re.compile(r"[0-9a-f]{16}", re.ASCII)
_OWN_RUN = re.compile(r":[0-9]+:[0-9a-f]{16}\Z", re.ASCII)


def sender_name() -> str:
    """Host, process id and the moment of this call: `web-1:4711:18a2b3c4d5e6f708`."""
    return f"{socket.gethostname()}:{os.getpid()}:{run_id()}"


def program_name() -> str:
    """The name of this program: of its script, or of the package that `python -m` runs."""
    path = sys.argv[0] if sys.argv else ""
    if path == "-m":  # its package is being imported still
        words = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
        return words[0].partition(".")[0] if words else "python"
    if path in ("", "-c", "-"):
        return "python"
    path = os.path.abspath(path)  # noqa: PTH100 - pathlib is slow to import
    if os.path.basename(path) == "__main__.py":  # noqa: PTH119 - the same
        path = os.path.dirname(path)  # noqa: PTH120 - the same
    return os.path.basename(path) or "python"  # noqa: PTH119 - the same


_LOOPBACK = frozenset(
    {"", "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback", "127", "::1"}
)

_ELSEWHERE = ("192.0.2.1", 9)
"""An address for documentation (RFC 5737): nothing is sent there, the system only says from where it would be."""


def telling(name: str) -> str:
    """A name of this machine's; another one, or its address, where that says nothing, as `localhost`.

    Args:
        name: what the system takes for the full name, or the short one.
    """
    asked: tuple[Callable[[], str], ...] = (lambda: name, socket.gethostname, _own_address)
    for ask in asked:
        try:
            found = ask()
        except OSError:
            continue
        if found.lower().partition(".")[0] not in _LOOPBACK:
            return found
    return "unknown"


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(_ELSEWHERE)
        return str(asked.getsockname()[0])


def run_id() -> str:
    """What tells one run of a process from the next: this moment, nanoseconds since 1970 in 16 hexadecimal digits."""
    return f"{time.time_ns():016x}"


def is_run_id(value: object) -> bool:
    """Whether it is text of the form that `run_id` gives."""
    return isinstance(value, str) and len(value) == 16 and _RUN.fullmatch(value) is not None


def begun(run: str) -> float:
    """When the run with this id began, by its own clock: seconds since 1970."""
    return int(run, 16) / 1e9


def names_one_run(sender: str) -> bool:
    """Whether a sender's name is of the form that `sender_name` gives: no second run of it has the same."""
    return _OWN_RUN.search(sender, max(0, len(sender) - 50)) is not None


def sender_label(sender: str) -> str:
    """A sender's name as a person reads it: `web-1:4711`, without the run's id of `sender_name`."""
    return sender.rpartition(":")[0] if names_one_run(sender) else sender
