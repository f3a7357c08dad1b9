"""Saving from time to time what an input keeps for its next run."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from time import thread_time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_State = TypeVar("_State")

POSITION_INTERVAL = 0.2
"""Seconds between two saves of a position."""

_SHARE = 20
"""Saving takes one part of so many of a processor at most: what is large is saved less often."""

_AGAIN = "; it is tried again, and until then a new run"


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
        version: Callable[[], object] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            state: what is to be saved now; None for nothing.
            save: does it, or raises an `OSError`; from any thread.
            interval: seconds between two saves, at least.
            what: for people, what is saved where; and
            otherwise: what a new run does without it.
            tell: called with `trouble` when saving begins to fail.
            version: another value whenever the state is another one; None for nothing to save. By default the state,
                which is compared.
        """
        self.trouble = ""
        self._state, self._save, self._interval = state, save, interval
        self._what, self._otherwise, self._tell = what, otherwise, tell
        self._version: Callable[[], object] = version or state
        self._saved: object = None
        self._last = threading.Lock()
        self._number = self._written = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Save it within the block, in which an event loop runs."""
        saving = asyncio.create_task(self._run())
        try:
            yield
        finally:
            saving.cancel()

    async def _run(self) -> None:
        pause = self._interval
        while True:
            await asyncio.sleep(pause)
            version, began = self._version(), thread_time()
            if version in (None, self._saved) or (state := self._state()) is None:
                continue
            self._number += 1
            took = thread_time() - began
            try:
                took += await asyncio.to_thread(self._write, self._number, state)
            except OSError as error:
                self._fails(error, _AGAIN)
            else:
                self._saved, self.trouble = version, ""
            pause = max(self._interval, _SHARE * took)

    def save_now(self, *, last: bool = False) -> None:
        """Save it, if it has changed; perhaps for the last time. What another thread is about to save is older."""
        version = self._version()
        if version in (None, self._saved) or (state := self._state()) is None:
            return
        self._number += 1
        try:
            self._write(self._number, state)
        except OSError as error:
            self._fails(error, ", so a new run" if last else _AGAIN)
        else:
            self._saved, self.trouble = version, ""

    def _write(self, number: int, state: _State) -> float:
        """Save it unless a later one has been; return the seconds of the processor's time."""
        began = thread_time()
        with self._last:
            if number > self._written:
                self._save(state)
                self._written = number
        return thread_time() - began

    def _fails(self, error: OSError, then: str) -> None:
        text = f"cannot save {self._what}: {error.strerror}{then} {self._otherwise}"
        if text != self.trouble:
            self.trouble = text
            self._tell(text)
