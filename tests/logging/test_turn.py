"""The lock that is not lost when a signal handler raises."""

from __future__ import annotations

import time

from message_passing.logging.turn import FORGOTTEN, Turn


class SetBackMeanwhile(Turn):
    """A lock whose holder begins its work between two looks of somebody else at `idle_since`."""

    _looks = 0

    @property
    def idle_since(self) -> float:
        """Long ago at the first look, and set back at the next."""
        self._looks += 1
        return time.monotonic() - 2 * FORGOTTEN if self._looks == 1 else 0.0

    @idle_since.setter
    def idle_since(self, value: float) -> None:
        pass


def test_a_holder_that_begins_while_somebody_looks_keeps_the_lock() -> None:
    """Two would send at once otherwise, and records would arrive twice."""
    turn = SetBackMeanwhile()
    assert turn.lock.acquire(blocking=False)
    turn.look()
    assert turn.lock.locked()


def test_a_lock_that_was_long_forgotten_is_released_by_who_looks() -> None:
    """A signal handler raised between the lock's taking and the holder's first step."""
    turn = Turn()
    assert turn.lock.acquire(blocking=False)
    turn.look()
    assert turn.lock.locked()
    turn.idle_since -= 2 * FORGOTTEN
    turn.look()
    assert not turn.lock.locked()
