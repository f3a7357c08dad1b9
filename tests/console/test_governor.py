"""How much of the processor's time watching may take."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from message_passing.console.governor import BURST, Bucket, Governor, Lane, thread_cost
from message_passing.console.process_stats import ThreadMeter
from message_passing.console.senders import SenderRanking
from message_passing.console.topology import Topology
from message_passing.filters.follow import FollowFilter
from message_passing.inputs.null import NullInput
from message_passing.outputs.null import NullOutput


def test_a_bucket_fills_up_to_its_bound_and_remembers_a_debt() -> None:
    """Seconds come at a share of the time."""
    now = [100.0]
    bucket = Bucket(0.1, 0.5, lambda: now[0])
    assert bucket.level() == 0.5
    bucket.spend(0.7)
    assert bucket.level() == pytest.approx(-0.2)
    assert bucket.wait() == pytest.approx(2.0)
    assert bucket.wait(0.1) == pytest.approx(3.0)
    now[0] += 3
    assert bucket.level() == pytest.approx(0.1)
    now[0] += 1000
    assert bucket.level() == 0.5
    bucket.spend(1000)
    assert bucket.wait() < 11


def work(seconds: float) -> None:
    """Take so much of the processor's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("lane", [Lane.CONTROL, Lane.REQUEST])
def test_much_that_is_asked_takes_its_share_and_no_more(lane: Lane) -> None:
    """Of the thread's time, however many ask at once."""

    async def ask(governor: Governor) -> None:
        while True:
            await governor.admit(lane)
            work(0.001)
            await asyncio.sleep(0)

    async def flood() -> tuple[float, float]:
        governor = Governor(0.05)
        governor.begin()
        began, before = time.monotonic(), thread_cost()
        tasks = [asyncio.create_task(ask(governor)) for _ in range(20)]
        await asyncio.sleep(1.5)
        spent, took = thread_cost() - before, time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return spent, took

    spent, took = asyncio.run(flood())
    assert spent < BURST + 0.05 * took + 0.05


def test_who_goes_first() -> None:
    """The control socket, then new connections, then other requests; each in the order of asking."""
    cost, called = [0.0], list[str]()

    async def ask() -> None:
        ended = asyncio.Event()
        governor = Governor(0.025, lambda: cost[0])
        cost[0] = BURST * 0.6
        assert not governor.has_room(Lane.REQUEST)
        assert governor.has_room(Lane.ACCEPT)
        cost[0] = BURST * 0.9
        assert not governor.has_room(Lane.ACCEPT)
        assert governor.has_room(Lane.CONTROL)
        governor.call(Lane.REQUEST, lambda: called.append("request 1"))
        governor.call(Lane.REQUEST, lambda: called.append("request 2"))
        governor.call(Lane.ACCEPT, lambda: called.append("accept"))
        governor.call(Lane.CONTROL, lambda: called.append("control"))
        governor.call(Lane.REQUEST, ended.set)
        governor.spare(0.0)
        await ended.wait()

    asyncio.run(asyncio.wait_for(ask(), 10))
    assert called == ["control", "accept", "request 1", "request 2"]


def test_one_who_waits_may_leave() -> None:
    """What is cancelled meanwhile holds up nobody."""

    async def ask() -> None:
        cost = [0.0]
        governor = Governor(1.0, lambda: cost[0])
        cost[0] = 0.2
        first = asyncio.create_task(governor.admit(Lane.REQUEST))
        second = asyncio.create_task(governor.admit(Lane.REQUEST))
        await asyncio.sleep(0)
        first.cancel()
        await second

    asyncio.run(asyncio.wait_for(ask(), 10))


def test_how_busy_a_thread_is() -> None:
    """One that works takes all of its core, one that waits nothing; one that is not there is taken to be busy."""
    ended = threading.Event()

    def busy() -> None:
        while not ended.is_set():
            work(0.01)

    threads = [threading.Thread(target=busy), threading.Thread(target=ended.wait)]
    for thread in threads:
        thread.start()
    meters = [ThreadMeter() for _ in threads]
    try:
        found = [meter.busy(thread.native_id or 0) for meter, thread in zip(meters, threads, strict=True)]
        assert found == [1.0, 1.0]
        end = time.monotonic() + 1
        while time.monotonic() < end:
            ended.wait(0.1)
        found = [meter.busy(thread.native_id or 0) for meter, thread in zip(meters, threads, strict=True)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert found[0] > 0.3
    assert found[1] < 0.1
    meter = ThreadMeter()
    assert [meter.busy(2**30), meter.busy(2**30)] == [1.0, 1.0]


def test_the_books_of_many_senders_are_added_up_and_sorted_now_and_then() -> None:
    """However often they are asked for, they take a small share of the time; and pages are those of one order."""
    follow = FollowFilter(output_to=NullOutput())
    many: list[Any] = [{"sender": f"web-{n:05}", "sequence": 1} for n in range(20_000)]
    follow.filter_many(many)
    follow.filter_many([{"sender": "web-00007", "sequence": 5}])
    spent: list[float] = []
    books = SenderRanking(Topology([NullInput(output_to=follow)]), spent.append)
    began = time.monotonic()
    while time.monotonic() - began < 1:
        for order in ("lost", "idle", "received", "name"):
            found = books.page(order, "", 2)
            assert (found["matching"], len(found["senders"])) == (20_000, 2)
    assert len(spent) < 30
    assert found["totals"] is not None
    assert found["totals"]["lost"] == 3
    assert [one["name"] for one in books.page("lost", "", 1)["senders"]] == ["web-00007"]
    pages = [books.page("name", "", 1000, start)["senders"] for start in range(0, 20_000, 1000)]
    names = [one["name"] for page in pages for one in page]
    assert names == sorted(names)
    assert len(set(names)) == 20_000
    assert [one["name"] for one in books.page("name", "WEB-1999", 3, 8)["senders"]] == [
        "web-19998",
        "web-19999",
    ]
    assert books.page("name", "", 5, 20_000)["senders"] == []
