"""What outlives a call: closing at the end of a process, and starting anew in a forked child."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Closing(Protocol):
    """As much of a shipper as this needs."""

    def close(self) -> None:
        """Send what is left, and end."""

    def start_again_in_child(self) -> None:
        """Forget what is the parent's."""


_all: weakref.WeakSet[Closing] = weakref.WeakSet()

_orphans: set[Closing] = set()
"""Those whose handler is gone, until their thread has closed them."""


def register(shipper: Closing) -> None:
    """Tell it of forks."""
    _all.add(shipper)


def keep_orphan(shipper: Closing) -> None:
    """Keep it until it is closed, at the latest at the end of the interpreter."""
    _orphans.add(shipper)


def forget_orphan(shipper: Closing) -> None:
    """It is closed."""
    _orphans.discard(shipper)


def close_at_process_end(shipper: Closing) -> Callable[[], object] | None:
    """Close at the end of this process; what takes that back.

    A child of multiprocessing or billiard ends by os._exit, past logging's own shutdown: register with it.
    """
    for library in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{library}.process"), sys.modules.get(f"{library}.util")
        if process is not None and util is not None and process.current_process()._parent_pid is not None:  # noqa: SLF001
            finalizer: Any = util.Finalize(None, shipper.close, exitpriority=-100)
            cancel: Callable[[], object] = finalizer.cancel
            return cancel
    return None


def _start_again_in_child() -> None:
    for shipper in list(_all):
        shipper.start_again_in_child()


def _close_orphans() -> None:
    for shipper in list(_orphans):
        shipper.close()


atexit.register(_close_orphans)
os.register_at_fork(after_in_child=_start_again_in_child)
