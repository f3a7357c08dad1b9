"""Limiter of the CPU time that the console may take, so that the chain hardly notices, whatever clients do.

The chain and the console share one interpreter, so the time that the console's thread takes is lost to the chain.
Requests wait until there is time for them: a client that asks too much is answered later, and a live tail misses
messages, which are counted and reported to it.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE = 0.025
"""The share of one core that the console's thread may take in any case."""

SPARE = 0.5
"""And the share of what the chain leaves unused below `IDLE` of its core, where it costs nothing."""

IDLE = 0.6

BURST = 0.06
"""Seconds of the processor's time that may be taken at once after a while without requests."""

_DEBT = 1.0
"""The most seconds that are remembered as taken too much."""

_QUANTUM = 0.002
"""Seconds that there must be more before those who wait are looked at again: looking costs something too."""

_SWITCH = 40e-6
"""Seconds that the chain loses, besides, each time the console's thread wakes up and asks for the interpreter."""


class Lane(IntEnum):
    """Who goes first while there is little room: the control socket, then new connections, then other requests."""

    CONTROL = 0
    ACCEPT = 1
    REQUEST = 2


_KEPT = {Lane.CONTROL: 0.0, Lane.ACCEPT: 0.25, Lane.REQUEST: 0.5}
"""The part of `BURST` that each leaves to those before it."""


class Bucket:
    """A token bucket of seconds: they come at a steady share of the time, and are kept up to a bound."""

    def __init__(self, share: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """It is full.

        Args:
            share: seconds that come each second.
            burst: the most that are kept.
            clock: seconds, monotonic.
        """
        self._share, self._burst, self._clock = share, burst, clock
        self._level, self._at = burst, clock()

    def level(self) -> float:
        """Seconds that are there now; negative where too many were spent."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._share)
        self._at = now
        return self._level

    def refill(self, share: float) -> None:
        """From now on so many come each second."""
        self.level()
        self._share = share

    def spend(self, seconds: float) -> None:
        """So many are gone."""
        self._level = max(self._level - seconds, -_DEBT)

    def time_for(self, seconds: float) -> float:
        """Seconds in which so many come."""
        return seconds / self._share

    def wait(self, least: float = 0.0) -> float:
        """Seconds until there are `least`; 0 when there are."""
        return max(0.0, (least - self.level()) / self._share)


def thread_cost() -> float:
    """Seconds that this thread has cost the others so far: its processor time, and what its waking up costs them."""
    if not hasattr(resource, "RUSAGE_THREAD"):
        return time.thread_time()
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_utime + used.ru_stime + used.ru_nvcsw * _SWITCH


class Governor:
    """Lets work in the console's thread begin when there is room for it. To be used within its event loop."""

    def __init__(self, share: float = SHARE, cost: Callable[[], float] = thread_cost) -> None:
        """Nothing was spent yet.

        Args:
            share: the share of one core.
            cost: seconds that the thread has cost so far.
        """
        self._share = share
        self._bucket = Bucket(share, BURST)
        self._cost = cost
        self._before = cost()
        self._waiting: dict[Lane, deque[Callable[[], object]]] = {lane: deque() for lane in Lane}
        self._pumping = False

    def begin(self) -> None:
        """Count what this thread costs from now on."""
        self._before = self._cost()

    def spare(self, busy: float) -> None:
        """Take more where it is not missed.

        Args:
            busy: the share of a core that the chain takes, or would if it had it.
        """
        self._bucket.refill(self._share + SPARE * max(0.0, IDLE - busy))

    def forgive(self, seconds: float) -> None:
        """So much was spent on what bounds itself."""
        self._before += seconds

    def has_room(self, lane: Lane) -> bool:
        """Whether work may begin now: nothing waits before it, and there is time left."""
        return not any(self._waiting[one] for one in Lane if one <= lane) and self._wait(lane) == 0

    def call(self, lane: Lane, function: Callable[[], object]) -> None:
        """Call something once there is room, in the order of asking."""
        self._waiting[lane].append(function)
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    async def admit(self, lane: Lane) -> None:
        """Wait until there is room."""
        if self.has_room(lane):
            return
        admitted = asyncio.get_running_loop().create_future()
        self.call(lane, lambda: None if admitted.done() else admitted.set_result(None))
        await admitted

    def _wait(self, lane: Lane) -> float:
        cost = self._cost()
        if cost > self._before:
            self._bucket.level()
            self._bucket.spend(cost - self._before)
            self._before = cost
        return self._bucket.wait(BURST * _KEPT[lane])

    def _pump(self) -> None:
        """Let the first one begin; what it costs is known when this is called again."""
        loop = asyncio.get_running_loop()
        lane = next((one for one in Lane if self._waiting[one]), None)
        if lane is None:
            self._pumping = False
        elif wait := self._wait(lane):
            loop.call_later(wait + self._bucket.time_for(_QUANTUM), self._pump)
        else:
            self._waiting[lane].popleft()()
            loop.call_soon(self._pump)
