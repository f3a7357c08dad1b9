"""Holding messages back, on a real event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from message_passing.errors import OptionError, OutputClosedError
from message_passing.filters.delay import DelayFilter
from message_passing.flow import Output
from support import Kept, accounted_for, until


def test_messages_come_later_unchanged_and_in_order() -> None:
    """Not before the time is up; each batch on its own."""

    async def scenario() -> None:
        end = Kept()
        delay = DelayFilter(delay_for=0.05, output_to=end)
        loop = asyncio.get_running_loop()
        began = loop.time()
        delay.consume_many(["a", "0", ""])
        delay.consume({"b": 1})
        assert end.messages == []
        assert delay.snapshot()["held"] == 4
        assert accounted_for(delay)
        await until(lambda: len(end.messages) == 4)
        assert loop.time() - began >= 0.05
        assert end.batches == [["a", "0", ""], [{"b": 1}]]
        assert delay.held() == 0
        assert accounted_for(delay)

    asyncio.run(scenario())


def test_many_batches_at_once_keep_their_order() -> None:
    """Also where the clock cannot tell them apart."""

    async def scenario() -> None:
        end = Kept()
        delay = DelayFilter(delay_for=0, output_to=end)
        for number in range(1000):
            delay.consume(number)
        await until(lambda: len(end.messages) == 1000)
        assert end.messages == list(range(1000))

    asyncio.run(scenario())


def test_what_is_held_is_bounded() -> None:
    """What does not fit is counted as dropped, unless whoever brings it waits: then it waits for room."""

    async def scenario() -> None:
        end = Kept()
        delay = DelayFilter(delay_for=0.05, buffer_messages=3, output_to=end)
        delay.consume_many([1, 2])
        delay.consume_many([3, 4])
        assert delay.held() == 3
        assert delay.snapshot()["dropped"] == {"buffer full": 1}
        assert accounted_for(delay)
        await delay.drain()
        assert end.messages == [1, 2, 3]
        delay.waited_for = True
        for number in range(0, 20, 2):
            delay.consume_many([number, number + 1])
            assert delay.held() <= 4
            await delay.drain()
        await until(lambda: len(end.messages) == 23)
        assert end.messages[3:] == list(range(20))
        assert delay.snapshot()["dropped"] == {"buffer full": 1}

    asyncio.run(scenario())


def test_what_is_held_is_bounded_in_bytes() -> None:
    """Whatever the messages are: one alone may be larger; inputs wait until there is room."""

    async def scenario() -> None:
        end = Kept()
        delay = DelayFilter(delay_for=0.05, buffer_bytes=20, output_to=end)
        delay.consume_many([{"a": "x" * 1000}, b"1"])
        assert (delay.held(), delay.snapshot()["dropped"]) == (1, {"buffer full": 1})
        await delay.drain()
        delay.consume_many([{"a": 1}, b"2" * 12, "3"])
        assert (delay.held(), delay.snapshot()["dropped"]) == (2, {"buffer full": 2})
        assert accounted_for(delay)
        await delay.drain()
        assert end.messages == [{"a": "x" * 1000}, {"a": 1}, b"2" * 12]
        assert delay.kept.size == 0

    asyncio.run(scenario())


def test_closing_passes_on_what_is_held() -> None:
    """At once, in order, to outputs that are still open; no timer is left behind."""

    async def scenario() -> None:
        end = Kept()
        delay = DelayFilter(delay_for=3600, output_to=end)
        delay.consume("a")
        delay.consume("b")
        delay.close()
        assert end.messages == ["a", "b"]
        assert accounted_for(delay)
        delay.consume("late")
        assert delay.snapshot()["dropped"] == {"closed": 1}

    asyncio.run(scenario())


def test_closing_after_the_loop_has_ended_loses_nothing() -> None:
    """A runner may close when its loop is gone."""
    end = Kept()
    delay = DelayFilter(delay_for=3600, output_to=end)

    async def scenario() -> None:
        delay.consume("a")

    asyncio.run(scenario())
    delay.close()
    assert end.messages == ["a"]


def test_without_an_event_loop_the_error_chain_says_what_is_missing() -> None:
    """The batch fails, and is not kept for ever."""
    end, errors = Kept(), Kept()
    delay = DelayFilter(delay_for=0, output_to=end, error=errors)
    delay.consume_many(["a", "b"])
    assert "no running asyncio event loop" in errors.messages[0]["exception"]
    assert errors.messages[0]["count"] == 2
    assert delay.held() == 0
    assert accounted_for(delay)


def test_a_reader_that_has_gone_is_told_to_whoever_feeds_it() -> None:
    """The loop that ended the delay has no use for it, so the next batch and `drain` raise it."""

    class Gone(Output):
        def write_many(self, messages: list[Any]) -> None:
            raise OutputClosedError("nobody reads")

    async def scenario() -> None:
        gone = Gone()
        delay = DelayFilter(delay_for=0, output_to=gone)
        delay.consume("a")
        await until(lambda: gone.metrics.received)
        with pytest.raises(OutputClosedError):
            await delay.drain()
        with pytest.raises(OutputClosedError):
            delay.consume("b")
        assert delay.snapshot()["dropped"] == {"closed": 1}
        assert accounted_for(delay)

    asyncio.run(scenario())


def test_draining_does_not_wait_for_the_delay() -> None:
    """Else no second message could come while the first is held."""

    async def scenario() -> None:
        delay = DelayFilter(delay_for=3600, output_to=Kept())
        delay.consume("a")
        async with asyncio.timeout(5):
            await delay.drain()
        delay.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [-1, "soon", None, float("nan")])
def test_the_delay_is_checked(seconds: Any) -> None:
    """A number of seconds, which is not negative."""
    with pytest.raises(OptionError, match="'delay_for' must be float >= 0"):
        DelayFilter(delay_for=seconds)
