"""Hooks of the process: closing handlers at its end, reopening what logging forgot, and forks."""

from __future__ import annotations

import atexit
import logging
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

    def prepare_for_exit(self) -> None:
        """See to it that logging closes it, if it is open."""


_all: weakref.WeakSet[Closing] = weakref.WeakSet()

_ending: list[bool] = []
"""Not empty once the interpreter calls its exit functions."""

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


def reference_to(handler: logging.Handler) -> weakref.ref[logging.Handler]:
    """What logging keeps of a handler, to close it at the end of the interpreter."""
    return weakref.ref(handler, getattr(logging, "_removeHandlerRef", None))


def have_logging_close(reference: weakref.ref[logging.Handler]) -> None:
    """Have `logging.shutdown` close a handler at the end, which `dictConfig` and the like made it forget.

    Without logging's own function for it, which takes a lock: somebody may hold it who waits for the handler.
    """
    known = logging._handlerList  # type: ignore[attr-defined] # noqa: SLF001 - `logging.shutdown` goes through it
    if reference() is not None and reference not in list(known):
        known.append(reference)


def is_ending() -> bool:
    """Whether the interpreter has begun to call its exit functions."""
    return bool(_ending)


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


def _on_exit() -> None:
    """Called before logging's own exit function, which was registered earlier."""
    _ending.append(True)
    for shipper in list(_orphans):
        shipper.close()
    for shipper in list(_all):
        shipper.prepare_for_exit()


atexit.register(_on_exit)
os.register_at_fork(after_in_child=_start_again_in_child)
