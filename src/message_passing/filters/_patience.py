"""The base of filters whose outputs do not hold up one another for long."""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import MessagePassingError, OutputClosedError
from message_passing.filters._branching import Branching
from message_passing.graph import topological_order
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.flow import Output

_PROGRESS_INTERVAL = 0.1
"""Seconds between two checks of whether a branch that was left behind makes progress again."""


class PatientBranching(Branching):
    """Several outputs at the pace of the slowest that makes progress; one that makes none is left behind."""

    patience: float = option(
        default=5.0,
        ge=0,
        description="How many seconds a branch without progress may hold up the others; 0 for not at all.",
    )

    def on_branches(self) -> None:
        """None of them holds up the others yet."""
        self._stopped: dict[Output, tuple[int, float]] = {}  # what waited there, and when that was checked
        self._longest: dict[Output, float] = {}

    def on_rewire(self) -> None:
        """Forget what was known of the branches, which have changed."""
        self._longest.clear()

    @property
    def longest_wait(self) -> float:
        """Seconds that `drain` may take without progress."""
        return self.patience * len(self._branches)

    async def drain(self) -> None:
        """Wait until every branch has room, except those that make no progress."""
        if len(self._branches) == 1:
            await self._branches[0].drain()
            return
        for branch in self._branches:
            if branch not in self._stopped or await self._moves_again(branch):
                await self._drain_branch(branch)

    async def _drain_branch(self, branch: Output) -> None:
        # Another such filter in it may wait for each of its own branches first.
        limit = self._longest.get(branch)
        if limit is None:
            inner = [one for one in topological_order([branch]) if isinstance(one, PatientBranching)]
            limit = self._longest[branch] = self.patience + sum(one.longest_wait for one in inner)
        before: dict[Output, int] = {}
        seconds = limit / 2  # twice: progress before the first check does not count
        while not await _has_room(branch, seconds):
            held = {one: _held(one) for one in self._branches}
            if (held[branch] == before.get(branch) or not limit) and await self._goes_on(
                branch, held, before
            ):
                self._leave(branch, held[branch])
                return
            before, seconds = held, limit / 2 or _PROGRESS_INTERVAL

    async def _goes_on(self, branch: Output, held: dict[Output, int], before: dict[Output, int]) -> bool:
        """Whether a branch without progress holds up another: one that accepts messages, or has begun to."""
        for one in self._branches:
            if one in self._stopped:
                goes_on = await self._moves_again(one)
            elif one is branch or _stands(one):
                goes_on = False
            else:
                goes_on = held[one] < before.get(one, 0) or await _has_room(one, 0)
            if goes_on:
                return True
        return False

    def _leave(self, branch: Output, held: int) -> None:
        self._stopped[branch] = (held, monotonic())
        _wait_for(branch, wanted=False)
        waited = self._longest[branch]
        text = f"nothing moves in the branch {branch.label}: the others have waited {waited:g} s for it"
        self.report(MessagePassingError(f"{text}; until it moves again, what does not fit in it is dropped"))

    async def _moves_again(self, branch: Output) -> bool:
        before, looked = self._stopped[branch]
        if (now := monotonic()) - looked < _PROGRESS_INTERVAL:
            return False
        held = _held(branch)
        if held >= before and not await _has_room(branch, 0):
            self._stopped[branch] = (held, now)
            return False
        del self._stopped[branch]
        _wait_for(branch, wanted=True)
        return True

    @contextmanager
    def handing(self) -> Iterator[Callable[[Output, list[Any]], None]]:
        """What passes a batch to a branch, counted; that the reader of one has gone does not keep it from others.

        Raises:
            OutputClosedError: at the end, if the reader of one has gone.
        """
        gone: list[OutputClosedError] = []

        def hand(branch: Output, batch: list[Any]) -> None:
            if batch:
                try:
                    self.hand_to(branch, batch)
                except OutputClosedError as error:
                    gone.append(error)

        yield hand
        if gone:
            raise gone[-1]


def _held(branch: Output) -> int:
    """How many messages are queued in a branch."""
    return sum(one.held() for one in topological_order([branch]))


def _stands(branch: Output) -> bool:
    """Whether a branch only drops messages."""
    ends = [one for one in topological_order([branch]) if not one.outputs()]
    return all(one.standing and one.held() for one in ends)


async def _has_room(branch: Output, seconds: float) -> bool:
    """Whether a branch can be drained within so many seconds; with 0, whether it need not be waited for."""
    limit = asyncio.timeout(seconds if seconds < math.inf else None)
    try:
        async with limit:
            await branch.drain()
    except TimeoutError:
        if not limit.expired():
            raise
        return False
    return True


def _wait_for(branch: Output, *, wanted: bool) -> None:
    for one in topological_order([branch]):
        one.waited_for = wanted
