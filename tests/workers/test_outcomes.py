"""What became of a batch that went through workers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.declaration import Declaration
from message_passing.delivery import NO_HOLD, Hold, Outcome
from message_passing.flow import Input, Output
from message_passing.graph import close_all, open_all
from message_passing.registry import find
from message_passing.runner import Server
from message_passing.shares import Shares
from message_passing.workers.pool import Pool
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DELIVERED, REJECTED, LOST = Outcome

MINE = '''
import os, signal
from message_passing import Filter

class Odd(Filter):
    """Kills its process, or raises, or makes what cannot go back, when it is told to."""
    def filter(self, message):
        if message == {"die": True}:
            os.kill(os.getpid(), signal.SIGKILL)
        if message == {"raise": True}:
            raise OSError("no room")
        if message == {"lambda": True}:
            return lambda: None
        return message if message != {"filter": True} else None
'''


class Source(Input):
    """Delivers batches, one after the other, and ends when all are settled."""

    async def run(self) -> None:
        """Deliver."""
        self.outcomes: dict[int, Outcome] = {}
        for number, batch in enumerate(self.batches):
            self.deliver(batch, partial(self.outcomes.__setitem__, number))
            if self.singly:
                await self._until(number + 1)
        await self._until(len(self.batches))

    async def _until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.outcomes) < count:  # noqa: ASYNC110 - that is what is tested
                await asyncio.sleep(0.005)

    batches: Any = ()
    singly = True


class Refuses(Output):
    """Loses what it is given, if that is 13."""

    def write(self, message: Any) -> None:
        """Lose it."""
        if message == {"n": 13}:
            self.drop(1, "unlucky")


def pool_of(*parts: tuple[str, str, dict[str, Any]], output: Any, count: int = 1) -> Pool:
    """A pool of workers that run these."""
    declared = [
        Declaration(
            kind,
            f"part{number}",
            name,
            given,
            output_to=(f"part{number + 1}" if number + 1 < len(parts) else "output",),
        )
        for number, (kind, name, given) in enumerate(parts)
    ]
    members = {
        one.name: find(kind, name)(**given) for one, (kind, name, given) in zip(declared, parts, strict=True)
    }
    return Pool(count=count, parts=declared, members=members, output_to=output, error=Kept())


def outcomes_of(pool: Pool, *batches: list[Any], singly: bool = True) -> list[Outcome]:
    """What each batch settles with, in their order."""
    source = Source(output_to=pool, error=Kept())
    source.batches, source.singly = batches, singly
    open_all([source])
    try:
        Server([source]).run()
    finally:
        close_all([source])
    assert accounted_for(pool)
    return [source.outcomes[number] for number in range(len(batches))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers find components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_each_batch_has_what_became_of_it_in_its_worker() -> None:
    """Delivered, filtered, lost in the worker, unable to go there or back, and lost behind the workers."""
    own: Any = lambda: None  # noqa: E731 - what cannot go to another process
    found = outcomes_of(
        pool_of(("filter", "+mine:Odd", {}), output=Refuses()),
        [{"n": 1}, {"n": 2}],
        [{"filter": True}],
        [{"n": 1}, {"raise": True}],
        [{"n": 1}, own],
        [{"lambda": True}],
        [{"n": 13}],
        [{"n": 3}],
    )
    assert found == [DELIVERED, DELIVERED, LOST, REJECTED, REJECTED, LOST, DELIVERED]


@pytest.mark.usefixtures("folder")
def test_what_a_worker_had_when_it_died_is_lost() -> None:
    """And what comes after is not."""
    found = outcomes_of(
        pool_of(("filter", "+mine:Odd", {}), output=Kept()), [{"n": 1}], [{"die": True}], [{"n": 2}]
    )
    assert found == [DELIVERED, LOST, DELIVERED]


def test_what_a_worker_keeps_is_settled_when_it_has_passed_it_on() -> None:
    """A delay in a worker holds the batch, and those behind it."""
    kept = Kept()
    found = outcomes_of(
        pool_of(("filter", "Delay", {"delay_for": 0.05}), ("filter", "Null", {}), output=kept),
        *([{"n": number}] for number in range(5)),
        singly=False,
    )
    assert found == [DELIVERED] * 5
    assert kept.messages == [{"n": number} for number in range(5)]


def test_many_batches_at_once_through_several_workers() -> None:
    """All are settled, and a malformed line is somebody's."""
    batches = [[b'{"n":%d}' % number] * 50 for number in range(100)]
    batches[40] = [b"{"]
    found = outcomes_of(pool_of(("decoder", "JSON", {}), output=Kept(), count=2), *batches, singly=False)
    assert found[40] is REJECTED
    assert LOST not in found


def held(shares: Shares, count: int, settled: Callable[[str], object], name: str) -> None:
    """So many messages of a delivery of its own."""

    class Fate:
        noted: Outcome = DELIVERED
        comes_again = False
        tried = 0

        def note(self, outcome: Outcome, messages: object = None) -> None:
            self.noted = max(self.noted, outcome)

        def take(self, token: object) -> None:
            pass

        def give(self, token: object) -> None:
            settled(f"{name} {self.noted.name}")

    shares.add(count, Hold(Fate()))


def test_shares_settle_in_order_wherever_they_are_moved() -> None:
    """A batch that was dealt to two is settled when both are done; nobody's messages settle nobody."""
    found: list[str] = []
    waiting, first, second = Shares(), Shares(), Shares()
    held(waiting, 3, found.append, "a")
    waiting.add(2, NO_HOLD)
    waiting.add(2, NO_HOLD)
    held(waiting, 2, found.append, "b")
    waiting.move(2, first)
    waiting.move(6, second)
    first.settle(2, DELIVERED)
    assert not found
    second.settle(2, REJECTED)
    assert found == ["a REJECTED"]
    second.settle_all(LOST)
    assert found == ["a REJECTED"]
    waiting.settle(5, DELIVERED)
    assert found == ["a REJECTED", "b LOST"]
    waiting.settle(5, LOST)
