"""A lock that is not leaked when a signal handler raises; the sending thread holds it.

Python runs signal handlers between any two steps of the main thread. One that raises right after `acquire` has
returned would leave a plain lock that no thread knows it holds, and that none will release. A reentrant lock knows
its owner: releasing it fails where it is not ours, so that one may always try. It is taken within the `try` whose
`finally` releases it, and there is no step between the two at which a signal handler could raise and the lock stay
taken.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")


class SignalSafeLock:
    """Runs functions one at a time; neither a running one nor a signal handler within it can run another."""

    def __init__(self) -> None:
        """Make it, released."""
        self._lock: Any = threading.RLock()

    def mine(self) -> bool:
        """Whether this very thread runs a function, in the middle of which this is."""
        return bool(self._lock._is_owned())  # noqa: SLF001 - `threading.Condition` asks it, too

    def run(self, work: Callable[[], _Value], wait: float = 0.0) -> _Value | None:
        """Run a function while no other thread runs one.

        Args:
            work: the function; it does not return None.
            wait: seconds that this may wait for its turn; -1 for as long as it takes.

        Returns:
            Its result; None if another thread held the lock for that long, or this thread holds it.
        """
        lock = self._lock
        if lock._is_owned():  # noqa: SLF001 - as above
            return None
        try:
            return work() if lock.acquire(timeout=wait) else None
        finally:
            # No call before this one, not even to ask whose lock it is: a signal handler could raise there.
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:  # it is somebody else's
                pass
