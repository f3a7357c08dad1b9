"""Send a stream of messages to several outputs (Message::Passing::Filter::T)."""

from __future__ import annotations

import asyncio
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import MessageError, MessagePassingError, OutputClosedError
from message_passing.filters._branching import Branching
from message_passing.graph import topological_order
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.flow import Output


_PROGRESS_INTERVAL = 0.1
"""Seconds between two checks of whether a branch that was left behind makes progress again."""


class TFilter(Branching):
    """Passes every message to each of several outputs, like `tee`: the letter has the shape of the stream.

    Changes that a branch makes to a message (a filter that removes a field) do not affect the others, since each
    has its own copy. A branch whose reader has gone does not keep messages from the others.

    The chain runs at the pace of the slowest branch that makes progress. A branch without progress for `patience`
    seconds, for instance because its workers are unreachable, is no longer waited for until it makes progress again:
    the others continue, and what does not fit there is dropped, counted and reported to the error chain. If no
    branch makes progress, none holds up another, and the chain waits.

    To send different messages to different outputs, put a `Key` filter at the head of a branch.
    """

    name = "T"
    transparent = True
    example = MappingProxyType({"copy": False})

    output_to: Any = option(
        default=None,
        description="Where messages go: a component or a list of them, or anything with `consume`.",
        python_only=True,
    )
    copy: bool = option(
        default=True,
        description="Give each branch its own copy of every dict and list. False shares them, which is "
        "faster, and safe if no branch modifies a message.",
    )
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
        # Another T in it may wait for each of its own branches first.
        limit = self._longest.get(branch)
        if limit is None:
            inner = [one for one in topological_order([branch]) if isinstance(one, TFilter)]
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

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return all of them."""
        return messages

    def emit(self, messages: list[Any]) -> None:
        """Pass a batch to every branch: the last one gets the messages themselves, the others copies.

        Raises:
            OutputClosedError: a branch's reader has gone; all the others have their messages.
        """
        *branches, last = self._branches
        gone: OutputClosedError | None = None
        for branch in branches:
            if self.copy:
                messages, batch = self._with_copies(messages)
            else:
                batch = list(messages)  # its own list at least: a branch may keep the one that it is given
            gone = self._hand_to(branch, batch) or gone
        gone = self._hand_to(last, messages) or gone
        if gone:
            raise gone

    def _hand_to(self, branch: Output, batch: list[Any]) -> OutputClosedError | None:
        if not batch:
            return None
        try:
            self.hand_to(branch, batch)
        except OutputClosedError as error:
            return error
        return None

    def _with_copies(self, messages: list[Any]) -> tuple[list[Any], list[Any]]:
        """The messages that can be copied, and their copies; one that cannot fails, for all branches."""
        try:
            return messages, [copied(message) for message in messages]
        except RecursionError:
            whole, copies = [], []
        for message in messages:
            try:
                copies.append(copied(message))
            except RecursionError:
                reason = "nested too deeply to be copied, or contains itself (with copy = false it is shared)"
                self.fail(MessageError(reason), [message])
            else:
                whole.append(message)
        return whole, copies


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


_CONTAINERS = frozenset({dict, list})


def copied(value: Any) -> Any:
    """The value with new dicts and lists all the way down; everything else is shared."""
    if type(value) is dict:
        return {key: copied(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if type(value) is list:
        return [copied(item) if type(item) in _CONTAINERS else item for item in value]
    return value
