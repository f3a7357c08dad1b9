"""A sender's identity: a name unique to one process, on any machine at any time; or a name and a run id."""

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
    """Host name, process id and the time of this call: `web-1:4711:18a2b3c4d5e6f708`."""
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
"""An address for documentation (RFC 5737): nothing is sent, the system only says which source it would use."""


def telling(name: str) -> str:
    """A name of this machine; if it means nothing elsewhere, as `localhost` does, another one or the address.

    Args:
        name: the full name as the system knows it, or the short one.
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
    """Distinguishes one run of a process from the next: the time, nanoseconds since 1970 as 16 hexadecimal digits."""
    return f"{time.time_ns():016x}"


def is_run_id(value: object) -> bool:
    """Whether it is a string as `run_id` returns."""
    return isinstance(value, str) and len(value) == 16 and _RUN.fullmatch(value) is not None


def begun(run: str) -> float:
    """When the run with this id began, by its own clock: seconds since 1970."""
    return int(run, 16) / 1e9


def names_one_run(sender: str) -> bool:
    """Whether a sender's name has the form that `sender_name` gives, so that no other run has the same."""
    return _OWN_RUN.search(sender, max(0, len(sender) - 50)) is not None


def sender_label(sender: str) -> str:
    """A sender's name as a person reads it: `web-1:4711`, without the run's id of `sender_name`."""
    return sender.rpartition(":")[0] if names_one_run(sender) else sender
