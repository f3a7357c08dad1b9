"""Losses are reported while they happen: at once, then every ten seconds with the sum, and never into a full pipe."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import run_message_server
from message_passing.component import Component
from message_passing.delivery import Outcome
from message_passing.filters.follow import FollowFilter
from message_passing.flow import Output
from message_passing.loss_monitor import FULL_FOR, LOSS_INTERVAL, Loss, LossMonitor
from message_passing.summaries import losses
from message_passing.testing import ListInput
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Leaky(Output):
    """Drops what it is given, for the reason that it is given."""

    def write(self, message: Any) -> None:
        """Lose it."""
        self.drop([message], message)


def monitored(clock: Clock) -> tuple[LossMonitor, list[dict[Loss, int]]]:
    """A monitor, and what it has handed on to be kept."""
    kept: list[dict[Loss, int]] = []
    monitor = LossMonitor(clock)

    def keep(losses: Mapping[Loss, int]) -> None:
        kept.append(dict(losses))

    monitor.keep = keep
    return monitor, kept


def test_at_once_and_then_rarely_with_the_sum() -> None:
    """The first loss at the next look; what follows within ten seconds in one more report."""
    clock, reports = Clock(), Kept()
    monitor, kept = monitored(clock)
    leaky = Leaky(error=reports)
    for second in range(int(LOSS_INTERVAL) + 1):
        leaky.consume_many(["queue full"] * 3 + ["too big"])
        monitor.look([leaky])
        assert len(reports.messages) == (2 if second == LOSS_INTERVAL else 1)
        clock.now += 1
    first, second = reports.messages
    assert (first["component"], first["count"], first["total"]) == ("Leaky output", 4, 4)
    assert first["exception"] == "4 messages lost: 3 queue full, 1 too big"
    assert (second["count"], second["total"]) == (40, 44)
    assert second["exception"] == "40 messages lost: 30 queue full, 10 too big; 44 since the start"
    assert sum(sum(one.values()) for one in kept) == 44


def test_what_comes_after_all_is_taken_back() -> None:
    """It is not reported if nothing is left of it, and what is kept of it is taken back."""
    clock, reports = Clock(), Kept()
    monitor, kept = monitored(clock)
    leaky = Leaky(error=reports)
    leaky.consume("closed")
    monitor.look([leaky])
    leaky.consume_many(["closed"] * 5)
    monitor.look([leaky])
    leaky.take_back(5, "closed")
    clock.now += LOSS_INTERVAL
    monitor.look([leaky])
    assert len(reports.messages) == 1
    assert [one[Loss("Leaky output", "closed")] for one in kept] == [1, 5, -5]


@pytest.mark.parametrize("comes_again", [True, False])
def test_what_its_input_delivers_once_more_is_not_lost(comes_again: bool) -> None:
    """Messages that were dropped or failed are not reported as lost then; the counters have each attempt."""
    clock, reports = Clock(), Kept()
    monitor, kept = monitored(clock)
    leaky = Leaky(error=reports)
    source = ListInput(output_to=leaky, error=reports, messages=[])
    outcomes: list[Outcome] = []
    for _ in range(3):
        source.deliver(["queue full", ["not", "hashable"]], outcomes.append, comes_again=comes_again)
        clock.now += LOSS_INTERVAL
        monitor.look([leaky])
    assert outcomes == [Outcome.LOST] * 3
    assert (leaky.metrics.dropped["queue full"], leaky.metrics.failed) == (3, 3)
    assert monitor.is_full(leaky)
    assert sum(sum(one.values()) for one in kept) == (0 if comes_again else 6)
    assert len([one for one in reports.messages if "lost" in one["exception"]]) == (0 if comes_again else 3)
    assert losses([leaky]) == (
        [] if comes_again else ["Leaky output lost 6 messages: 3 queue full, 3 failed"]
    )


class Keeps(Output):
    """Sends nothing of what it is given."""

    def write_many(self, messages: list[Any]) -> None:
        """Keep it."""
        self.kept = (messages, self.hold())

    def held(self) -> int:
        """All of it."""
        return len(self.kept[0])


@pytest.mark.parametrize("comes_again", [True, False])
def test_what_is_left_at_close_and_comes_again_is_not_lost(comes_again: bool) -> None:
    """A relay that ends with messages that it has not acknowledged has not lost them."""
    keeps, outcomes = Keeps(error=Kept()), list[Outcome]()
    source = ListInput(output_to=keeps, error=Kept(), messages=[])
    source.open()
    keeps.open()
    source.deliver([1, 2, 3], outcomes.append, comes_again=comes_again)
    source.close()
    assert outcomes == [Outcome.LOST]
    assert losses([keeps]) == ([] if comes_again else ["Keeps output lost 3 messages: 3 unsent at close"])


def test_a_queue_that_drops_is_full() -> None:
    """For want of room, whatever share of it can be counted; any other loss is none of a queue's."""
    clock = Clock()
    monitor, _ = monitored(clock)
    leaky, other = Leaky(error=Kept()), Leaky(error=Kept())
    leaky.consume("queue full")
    other.consume("closed")
    monitor.look([leaky, other])
    assert (monitor.is_full(leaky), monitor.is_full(other)) == (True, False)
    clock.now += FULL_FOR
    assert not monitor.is_full(leaky)


def test_a_component_that_has_left_is_looked_at_until_it_is_closed() -> None:
    """What it loses at its close is kept; nothing is counted twice."""
    monitor, kept = monitored(Clock())
    leaky = Leaky(error=Kept())
    leaky.consume("closed")
    monitor.look([leaky])
    monitor.look([])
    leaky.consume("closed")
    leaky.close()
    for _ in range(4):
        monitor.look([])
    assert sum(sum(one.values()) for one in kept) == 2


def test_what_senders_lost_is_theirs() -> None:
    """By service and host; what is only late is nobody's loss, and what comes late later is taken back."""
    clock, reports = Clock(), Kept()
    monitor, kept = monitored(clock)
    follow = FollowFilter(output_to=Kept(), error=reports)

    def came(number: int) -> None:
        follow.consume(
            {"sender": "web-1:12:00000000000000ff", "sequence": number, "service": "shop", "host": "web-1"}
        )

    came(1)
    came(5)  # 2 to 4 are missing
    follow.consume({"sender": "old", "sequence": 1})
    follow.consume({"sender": "old", "sequence": 3})
    monitor.look([follow])
    assert not reports.messages
    came(3)  # it was only late
    monitor.look([follow])
    (report,) = reports.messages
    assert report["exception"] == "3 messages lost: 3 did not arrive (2 of shop@web-1, 1 of old)"
    came(4)  # so late that it has been reported
    monitor.look([follow])
    lost: Counter[str] = Counter()
    for one in kept:
        lost.update({loss.sender: count for loss, count in one.items()})
    assert lost == {"shop@web-1": 1, "old": 1}
    assert {loss.component for one in kept for loss in one} == {"Follow filter"}


@pytest.mark.parametrize("full", [False, True])
def test_a_chain_is_not_kept_waiting_by_a_full_pipe(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reads standard error, the report waits for a reader, and the chain does not."""
    hear, say = os.pipe()
    os.set_blocking(say, False)
    if full:
        with contextlib.suppress(BlockingIOError):
            while os.write(say, bytes(65536)):
                pass
    os.set_blocking(say, True)
    with os.fdopen(say, "w") as stream, os.fdopen(hear, "rb") as reader:
        monkeypatch.setattr(sys, "stderr", stream)
        monitor, kept = monitored(Clock())
        leaky = Leaky()
        leaky.consume("queue full")
        monitor.look([leaky])
        assert len(kept) == 1
        if full:
            os.read(reader.fileno(), 1 << 20)
            monitor.look([leaky])
        told = json.loads(reader.readline().rpartition(b"\0")[2])
        assert (told["component"], told["count"]) == ("Leaky output", 1)
        monkeypatch.undo()


def test_a_chain_in_python_says_what_it_dropped_at_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Also what only its close has lost."""

    class Keeps(Output):
        """Keeps all."""

        def on_init(self) -> None:
            """Nothing yet."""
            self.count = 0

        def write(self, _message: Any) -> None:
            """Keep it."""
            self.count += 1

        def held(self) -> int:
            """All."""
            return self.count

    run_message_server(ListInput(messages=[1, 2, 3], output_to=Keeps()))
    told = json.loads(capfd.readouterr().err)
    assert (told["component"], told["count"]) == ("Keeps output", 3)
    assert told["exception"] == "3 messages lost: 3 unsent at close"


def test_nobody_has_senders_by_default() -> None:
    """A component that follows nobody knows of none."""
    assert Component().take_sender_losses() == {}
