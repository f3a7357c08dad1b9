"""`Retry` and `Fallback`: what an output loses is handed on again, or to the next one."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing import Output
from message_passing.delivery import Hold, Outcome
from message_passing.errors import MessageError, OutputClosedError
from message_passing.filters.fallback import FallbackFilter
from message_passing.filters.retry import RetryFilter
from message_passing.flow import Input
from nodes import lines
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

DELIVERED, REJECTED, LOST = Outcome


class Source(Input):
    """Delivers what a test says."""


class Fails(Output):
    """Fails so often, and then takes what comes."""

    def on_init(self) -> None:
        """Never, unless a test says so."""
        self.times, self.seen = 0, 0
        self.reason: Exception = OSError(28, "No space left")
        self.taken: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Fail, or take them."""
        self.seen += 1
        if self.seen <= self.times:
            for message in messages:
                if isinstance(message, dict):
                    message.clear()
            raise self.reason
        self.taken += messages


class Stands(Output):
    """Keeps what it is given."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.holds: list[Hold] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep it."""
        self.holds.append(self.hold())


def failing(times: int, reason: Exception | None = None) -> Fails:
    """One that fails so often."""
    made = Fails(error=Kept())
    made.times, made.reason = times, reason or made.reason
    return made


async def until(condition: Callable[[], object]) -> None:
    """Wait in the event loop."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is anything that a test asks for
            await asyncio.sleep(0.005)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Within an event loop."""
    asyncio.run(work())


def deliver(head: Output, messages: list[Any]) -> list[Outcome]:
    """The outcome, once there is one."""
    found: list[Outcome] = []
    Source(output_to=head).deliver(messages, found.append)
    return found


def test_what_was_lost_is_tried_again_as_it_was() -> None:
    """Until it is taken, whatever the output did to it; it has passed once, and is held till then."""

    async def work() -> None:
        output = failing(3)
        retry = RetryFilter(output_to=output, first=0.01)
        found = deliver(retry, [{"n": 1}, {"n": 2}])
        assert (found, retry.held(), retry.metrics.passed) == ([], 2, 0)
        await until(lambda: found)
        assert (found, output.taken) == ([DELIVERED], [{"n": 1}, {"n": 2}])
        assert (retry.held(), retry.metrics.passed, retry.metrics.lost()) == (0, 2, 0)

    run(work)


@pytest.mark.parametrize("limit", [{"attempts": 3}, {"give_up_after": 0.1}])
def test_it_gives_up(limit: dict[str, Any]) -> None:
    """After so many attempts, or seconds: the loss is that of the output."""

    async def work() -> None:
        output = failing(10**6)
        retry = RetryFilter(output_to=output, first=0.01, longest=0.02, **limit)
        found = deliver(retry, [b"x"])
        await until(lambda: found)
        assert found == [LOST]
        assert output.seen == 3 or "attempts" not in limit
        assert (retry.held(), retry.metrics.lost()) == (0, 0)

    run(work)


def test_what_is_rejected_is_not_tried_again() -> None:
    """Neither by the same one, nor by the next."""

    async def work() -> None:
        first, second = failing(9, MessageError("never")), failing(0)
        assert deliver(RetryFilter(output_to=first), [b"x"]) == [REJECTED]
        assert deliver(FallbackFilter(output_to=[first, second]), [b"x"]) == [REJECTED]
        assert second.seen == 0

    run(work)


def test_what_is_kept_is_bounded() -> None:
    """What does not fit is dropped, and counted; nothing else is lost when it is closed."""

    async def work() -> None:
        for kind in (RetryFilter, FallbackFilter):
            for name in ("buffer_messages", "buffer_bytes"):
                bound: dict[str, Any] = {name: 3}
                retry = kind(output_to=Stands(), **bound)
                found = deliver(retry, [b"%d" % n for n in range(5)])
                assert (retry.held(), retry.snapshot()["dropped"]) == (3, {"buffer full": 2})
                retry.close()
                assert (found, retry.held(), retry.metrics.passed) == ([LOST], 0, 3)

    run(work)


@pytest.mark.parametrize("bound", [{"buffer_messages": 4}, {"buffer_bytes": 8}])
def test_inputs_wait_until_half_of_the_room_is_free(bound: dict[str, Any]) -> None:
    """Whichever bound is reached: what is brought meanwhile is kept as long as there is any room, not dropped."""

    async def work() -> None:
        output = Stands()
        retry = RetryFilter(output_to=output, **bound)
        retry.waited_for = True
        for message in (b"11", b"22", b"33"):
            deliver(retry, [message])
        waits = asyncio.create_task(retry.drain())
        output.holds[0].release()
        await asyncio.sleep(0)
        assert not waits.done()
        output.holds[1].release()
        async with asyncio.timeout(5):
            await waits
        deliver(retry, [b"4" * 100, b"5"])
        deliver(retry, [b"6"])
        assert (retry.held(), retry.metrics.lost()) == ((3, 1) if "buffer_bytes" in bound else (4, 0))
        output.holds[2].release()
        output.holds[3].release()
        assert retry.kept.size == (0 if "buffer_bytes" in bound else 1)

    run(work)


def test_what_has_passed_of_a_batch_is_not_kept() -> None:
    """Neither is what cannot be copied: the room is that of what was lost, in messages and in bytes."""

    class LosesSome(Fails):
        def write_many(self, messages: list[Any]) -> None:
            self.drop(messages[1:], "no room")

    async def work() -> None:
        endless: dict[str, Any] = {}
        endless["self"] = endless
        retry = RetryFilter(output_to=LosesSome(), first=1000, longest=1000, error=Kept())
        deliver(retry, [b"a" * 1000, b"b" * 10, b"cc", endless])
        assert (retry.kept.count, retry.kept.size) == (2, 12)
        retry.close()
        assert (retry.kept.count, retry.kept.size) == (0, 0)

    run(work)


def test_the_end_tries_at_once_what_waits() -> None:
    """It does not wait for the pause, nor for ever."""

    async def work() -> None:
        retry = RetryFilter(output_to=failing(1), first=1000, longest=1000)
        found = deliver(retry, [b"x"])
        await retry.flush()
        assert found == [DELIVERED]
        stuck = RetryFilter(output_to=Stands(), flush_timeout=0.1)
        deliver(stuck, [b"x"])
        await stuck.flush()
        assert stuck.held() == 1

    run(work)


def test_a_reader_that_has_gone_is_no_loss_to_retry() -> None:
    """The chain ends, as it does without the filter; with another output to go to, it goes on."""

    async def work() -> None:
        gone, other = failing(9, OutputClosedError("gone")), failing(0)
        with pytest.raises(OutputClosedError):
            RetryFilter(output_to=gone).consume(b"x")
        fallback = FallbackFilter(output_to=[gone, other])
        fallback.consume(b"x")
        await until(lambda: other.taken)
        fallback.close()

    run(work)


@pytest.mark.parametrize("pause", [0, 1000])
def test_the_next_output_has_what_the_first_loses(pause: float) -> None:
    """The first is not asked again for a while, and then it is."""

    async def work() -> None:
        first, second = failing(1), failing(0)
        fallback = FallbackFilter(output_to=[first, second], pause=pause)
        for number in (b"1", b"2"):
            found = deliver(fallback, [number])
            await until(partial(list, found))
            assert found == [DELIVERED]
        found_in = (first.taken, second.taken)
        assert found_in == (([], [b"1", b"2"]) if pause else ([b"2"], [b"1"]))

    run(work)


def test_what_cannot_be_copied_fails_alone() -> None:
    """Its neighbours go on."""

    async def work() -> None:
        loop: list[Any] = []
        loop.append(loop)
        output = failing(1)
        retry = RetryFilter(output_to=output, first=0.01, error=Kept())
        found = deliver(retry, [{"n": 1}, loop, {"n": 2}])
        await until(partial(list, found))
        assert (found, output.taken) == ([REJECTED], [{"n": 1}, {"n": 2}])
        assert deliver(retry, [loop]) == [REJECTED]
        assert (retry.held(), retry.metrics.failed, retry.metrics.passed) == (0, 2, 2)

    run(work)


def test_what_all_lose_is_lost() -> None:
    """Each was asked once."""

    async def work() -> None:
        outputs = [failing(9), failing(9), failing(9)]
        fallback = FallbackFilter(output_to=outputs)
        found = deliver(fallback, [b"x"])
        await until(lambda: found)
        assert (found, [one.seen for one in outputs]) == ([LOST], [1, 1, 1])
        assert (fallback.held(), fallback.metrics.passed) == (0, 1)

    run(work)


def test_one_that_stands_is_waited_for_no_longer_than_patience() -> None:
    """What becomes of it there later changes nothing any more."""

    async def work() -> None:
        first, second = Stands(), failing(0)
        fallback = FallbackFilter(output_to=[first, second], patience=0.05)
        found = deliver(fallback, [b"x"])
        await until(lambda: found)
        assert (found, second.taken) == ([DELIVERED], [b"x"])
        first.holds[0].release()
        assert (found, fallback.metrics.passed) == ([DELIVERED], 1)

    run(work)


def test_a_chain_writes_to_another_file_where_the_disk_is_full(tmp_path: Path) -> None:
    """From a config file, with a list of outputs; all of it is there."""
    config = {
        "inputs": {"in": {"class": "STDIN", "output_to": "either"}},
        "filters": {"either": {"class": "Fallback", "output_to": ["full", "other"]}},
        "outputs": {
            "full": {"class": "File", "options": {"filename": "/dev/full"}},
            "other": {"class": "File", "options": {"filename": "other"}},
        },
    }
    (tmp_path / "chain.json").write_text(json.dumps(config))
    given = b"".join(b"%d\n" % n for n in range(5000))
    finished("chain.json", given=given, cwd=tmp_path)
    assert {*lines(tmp_path / "other")} == {*given.split()}
