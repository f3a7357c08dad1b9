"""A component's life in the event loop: `background` and `flush`, at start, reload and end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.chain import message_chain
from message_passing.delivery import Outcome
from message_passing.errors import OutputClosedError
from message_passing.filters.delay import DelayFilter
from message_passing.filters.null import NullFilter
from message_passing.flow import Filter, Input, Output
from message_passing.graph import close_all, open_all
from message_passing.living import Backgrounds
from message_passing.options import option
from message_passing.runner import LAST_DRAIN, Server, run_message_server
from message_passing.testing import ListInput, run_input, running, wait_for
from support import Kept, accounted_for

if TYPE_CHECKING:
    from pathlib import Path


class Batching(Output):
    """An output as a connector is: it queues, sends beside the chain, and flushes."""

    log: list[Any] = option(default_factory=list, description="What it did.")
    fails: Any = option(default=None, description="What its background raises after the first message.")
    stuck: bool = option(default=False, description="Whether flushing never ends.")

    def on_init(self) -> None:
        """Nothing waits."""
        self._queue: list[Any] = []
        self._sent: list[Any] = []
        self._news = asyncio.Event()

    def on_open(self) -> None:
        """Note it."""
        self.log.append("open")

    def on_close(self) -> None:
        """Note it."""
        self.log.append("close")

    def held(self) -> int:
        """What waits."""
        return len(self._queue)

    def write(self, message: Any) -> None:
        """Queue it."""
        self._queue.append((message, self.hold()))
        self._news.set()

    async def background(self) -> None:
        """Send, one message in each turn of the loop."""
        self.log.append("background")
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self.fails:
                    raise self.fails
        finally:
            self.log.append("ended")

    async def flush(self) -> None:
        """Send all that waits."""
        self.log.append("flush")
        while self._queue:
            await asyncio.sleep(0)
            message, hold = self._queue.pop(0)
            self._sent.append(message)
            hold.release()
        if self.stuck:
            self._queue.append((0, self.hold()))
            await asyncio.Event().wait()

    @property
    def sent(self) -> list[Any]:
        """What it has sent."""
        return self._sent


def test_a_background_runs_while_the_chain_does_and_all_is_flushed() -> None:
    """In this order, and before it is closed."""
    output = Batching()
    head = ListInput(messages=[*range(10)], output_to=NullFilter(output_to=output))
    run_message_server(head)
    assert output.log == ["open", "background", "flush", "ended", "close"]
    assert output.sent == [*range(10)]
    assert output.snapshot()["passed"] == 10
    assert accounted_for(output)


def test_components_are_flushed_in_the_order_that_messages_flow() -> None:
    """What a filter passes on at the end still finds the output's flush before it; an error chain comes last."""
    errors = Batching()
    output = Batching(error=errors)
    head = ListInput(messages=[1, 2], output_to=DelayFilter(delay_for=60, output_to=output), error=errors)
    run_message_server(head)
    assert output.sent == [1, 2]
    assert errors.log == ["open", "background", "flush", "ended", "close"]


def test_a_background_that_fails_ends_the_chain() -> None:
    """With its failure, which the error chain has been told."""
    errors = Kept()
    output = Batching(fails=ValueError("broken"), error=errors)

    class Endless(Input):
        async def run(self) -> None:
            self.emit([1])
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="broken"):
        run_message_server(Endless(output_to=output))
    assert [one["exception"] for one in errors.messages] == ["broken"]
    assert output.sent == [1], "what it had is flushed all the same"


def test_a_reader_that_has_gone_ends_the_chain_without_a_failure() -> None:
    """As it does where `consume` says so."""
    errors = Kept()
    output = Batching(fails=OutputClosedError(), error=errors)

    class Endless(Input):
        async def run(self) -> None:
            self.emit([1])
            await asyncio.Event().wait()

    run_message_server(Endless(output_to=output))
    assert not errors.messages


def test_a_flush_that_hangs_is_bounded_after_a_stop_and_its_rest_is_counted() -> None:
    """It is given up, and nothing vanishes."""
    output, outcomes = Batching(stuck=True), list[Any]()

    class Delivers(Input):
        async def run(self) -> None:
            self.deliver([1, 2], outcomes.append)
            await asyncio.Event().wait()

    head = Delivers(output_to=output)
    server = Server([head])
    open_all([head])
    timer = threading.Timer(0.05, server.stop)
    timer.start()
    server.run()
    close_all([head])
    timer.join()
    assert LAST_DRAIN <= 2
    assert output.snapshot()["dropped"] == {"unsent at close": 1}
    assert outcomes == [0]
    assert accounted_for(output)


def test_run_input_and_running_see_to_both() -> None:
    """What a test tries lives as it does in a chain."""
    output = Batching()
    run_input(ListInput(messages=[1], output_to=output))
    assert (output.sent, output.log[1:4]) == ([1], ["background", "flush", "ended"])
    output = Batching()
    with running(ListInput(messages=[1], output_to=output)):
        wait_for(lambda: output.metrics.received)
    assert output.sent == [1]
    output = Batching(fails=ValueError("broken"), error=Kept())

    class Endless(Input):
        async def run(self) -> None:
            self.emit([1])
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="broken"):
        run_input(Endless(output_to=output))


def test_those_that_leave_flush_in_order_and_are_closed() -> None:
    """One that passes on what it kept finds the next one open, though that leaves too."""
    output = Batching()
    middle = NullFilter(output_to=output)

    class Keeps(Filter):
        def on_init(self) -> None:
            super().on_init()
            self.kept: list[Any] = []

        def write_many(self, messages: list[Any]) -> None:
            self.kept += messages

        def held(self) -> int:
            return len(self.kept)

        async def flush(self) -> None:
            await asyncio.sleep(0)
            kept, self.kept = self.kept, []
            self.emit(kept)

    keeps = Keeps(output_to=middle)
    open_all([keeps])
    failures: list[Any] = []

    async def run() -> None:
        backgrounds = Backgrounds(lambda *what: failures.append(what))
        backgrounds.begin([keeps, middle, output])
        keeps.consume_many([1, 2])
        for one in (keeps, middle, output):
            backgrounds.retire(one)
        assert backgrounds.are_leaving
        await backgrounds.left()
        await backgrounds.end()

    asyncio.run(run())
    assert output.sent == [1, 2]
    assert output.log == ["open", "background", "flush", "ended", "close"]
    assert not failures
    assert not any(one.is_open for one in (keeps, middle, output))


def test_what_one_that_leaves_had_kept_is_settled_when_it_has_passed_it_on() -> None:
    """A delay that a reload takes out of the chain hands on, and its delivery learns what became of that."""
    found: list[Any] = []
    output = Batching()
    delay = DelayFilter(delay_for=60, output_to=output)

    class Source(Input):
        pass

    async def run() -> None:
        backgrounds = Backgrounds(lambda *_: None)
        Source(output_to=delay).deliver([1, 2], found.append)
        backgrounds.retire(delay)
        backgrounds.retire(output)
        assert not found
        await backgrounds.left()

    open_all([delay])
    asyncio.run(run())
    assert (found, output.sent) == ([Outcome.DELIVERED], [1, 2])


def test_one_that_leaves_and_hangs_is_closed_at_the_end() -> None:
    """The end of the chain does not wait for it, and what it has left is counted."""
    output = Batching(stuck=True)
    open_all([output])

    async def run() -> None:
        backgrounds = Backgrounds(lambda *_: None)
        backgrounds.begin([output])
        backgrounds.retire(output)
        await asyncio.sleep(0)
        await backgrounds.end()

    asyncio.run(run())
    assert not output.is_open
    assert output.log[-1] == "close"


def test_two_thousand_messages_do_not_vanish(tmp_path: Path) -> None:
    """An output of somebody's own that queues and never sends: the command says what it lost."""
    (tmp_path / "mine.py").write_text(
        "from message_passing import Output\n"
        "class Queues(Output):\n"
        "    def on_open(self):\n"
        "        self.queue = []\n"
        "    def held(self):\n"
        "        return len(self.queue)\n"
        "    def write_many(self, messages):\n"
        "        self.queue += messages\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "message_passing", "--input", "STDIN", "--output", "+mine:Queues"],
        input=b"{}\n" * 2000,
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"output (Queues) lost 2000 messages: 2000 unsent at close" in done.stderr


def test_a_declared_chain_sees_to_both() -> None:
    """However the chain was made."""
    output = Batching()
    with message_chain() as chain:
        chain.output("out", output)
        chain.input("in", ListInput(messages=[1, 2]), output_to="out")
    run_message_server(chain)
    assert output.sent == [1, 2]
