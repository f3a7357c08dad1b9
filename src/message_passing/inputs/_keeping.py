"""Saving from time to time what an input keeps for its next run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_State = TypeVar("_State")


class Keeping(Generic[_State]):
    """Saves a state whenever it has changed; a thread waits for the disk.

    Attributes:
        trouble: why it could not be saved; empty if it was.
    """

    def __init__(
        self,
        state: Callable[[], _State | None],
        save: Callable[[_State], object],
        *,
        interval: float,
        what: str,
        otherwise: str,
        tell: Callable[[str], object],
    ) -> None:
        """Prepare it.

        Args:
            state: what is to be saved now; None for nothing.
            save: does it, or raises an `OSError`; from any thread.
            interval: seconds between two saves.
            what: for people, what is saved where; and
            otherwise: what a new run does without it.
            tell: called with `trouble` when saving begins to fail.
        """
        self.trouble = ""
        self._state, self._save, self._interval = state, save, interval
        self._what, self._otherwise, self._tell = what, otherwise, tell
        self._saved: _State | None = None

    async def run(self) -> None:
        """Save it until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            if (state := self._changed()) is not None:
                try:
                    await asyncio.to_thread(self._save, state)
                except OSError as error:
                    self._fails(error)
                else:
                    self._saved, self.trouble = state, ""

    def save_now(self) -> None:
        """Save it, if it has changed."""
        if (state := self._changed()) is not None:
            try:
                self._save(state)
            except OSError as error:
                self._fails(error)
            else:
                self._saved, self.trouble = state, ""

    def _changed(self) -> _State | None:
        state = self._state()
        return state if state != self._saved else None

    def _fails(self, error: OSError) -> None:
        text = f"cannot save {self._what}: {error.strerror}; it is tried again, and until then a new run"
        text = f"{text} {self._otherwise}"
        if text != self.trouble:
            self.trouble = text
            self._tell(text)
