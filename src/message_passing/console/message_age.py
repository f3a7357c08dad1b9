"""How old messages are when they arrive, by their own time, sampled from one message per input and second.

The chain only pays for sampling one message a second of each input, by an observer that leaves as soon as it has seen
a batch. What has to be decoded for it is decoded in the console's thread.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.message_fields import message_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from message_passing.component import Component

LATENCIES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3600.0)
"""Upper bounds of the classes in which delivery latencies are counted, in seconds."""

_LONGEST = 256 * 1024
"""The most bytes of a message that is decoded for its time; that of a longer one is unknown."""

_WAITING = 100
"""Samples that may wait to be evaluated."""

BEHIND = 5.0
"""Seconds that messages are old when they come, from which a node may be falling behind."""

_GROWN = 1.0
"""And by how many seconds they came older lately than before."""

_TREND, _ENOUGH = 30, 6
"""Samples of an input that are compared, one a second: the later half with the earlier one; and how many it takes."""

_STALE = 10.0
"""Seconds without a message after which an input is not behind: nothing comes."""

_decode = msgspec.json.Decoder().decode


class MessageAge:
    """Latencies and times from the samples.

    Attributes:
        counts: samples of each class of `LATENCIES`, and those above them all.
        total: the sum of all latencies, in seconds.
    """

    def __init__(self) -> None:
        """Nothing came yet."""
        self.counts = [0] * (len(LATENCIES) + 1)
        self.total = 0.0
        self._newest: dict[int, float | None] = {}  # by where it came, the time of the latest
        self._trends: dict[int, _Trend] = {}
        self._armed: dict[int, _Sample] = {}
        self._samples: deque[tuple[int, float, Any]] = deque(maxlen=_WAITING)

    def arm(self, components: Iterable[Component]) -> None:
        """Sample the next batch that each of these receives. In the chain's thread, once a second."""
        armed: dict[int, _Sample] = {}
        for one in components:
            sample = self._armed.get(id(one))
            if sample is None or sample.component is not one:
                sample = _Sample(one, self._samples)
            sample.stand()
            armed[id(one)] = sample
        for key in self._armed.keys() - armed.keys():
            self._armed[key].leave()
        self._armed = armed

    def look(self) -> None:
        """Evaluate what was sampled. In the console's thread."""
        while self._samples:
            key, came, message = self._samples.popleft()
            said = message if isinstance(message, float) else message_time(_decoded(message))
            self._newest[key] = said
            if said is not None:
                self._trends.setdefault(key, _Trend()).add(came, said)
                latency = max(0.0, came - said)
                self.total += latency
                self.counts[sum(latency > bound for bound in LATENCIES)] += 1
        for key in self._newest.keys() - self._armed.keys():
            del self._newest[key]
            self._trends.pop(key, None)

    def newest(self) -> float | None:
        """The newest message's own time; None if no message came, or it has none."""
        return max((said for said in self._newest.values() if said is not None), default=None)

    def behind(self, now: float) -> float | None:
        """How old messages are when they come, where that has been growing while newer ones came.

        Old messages that are replayed are no sign of it: all are of one time, or come faster than they were made.

        Args:
            now: seconds since 1970.

        Returns:
            Seconds; of several inputs the most; None where none of them falls behind.
        """
        found = (trend.behind(now) for trend in [*self._trends.values()])
        return max((age for age in found if age is not None), default=None)

    def cumulative(self) -> list[tuple[str, float]]:
        """The classes as a histogram of Prometheus' has them: upper bound, and how many are not above it."""
        bounds = [*map(str, LATENCIES), "+Inf"]
        return [(bound, float(sum(self.counts[: index + 1]))) for index, bound in enumerate(bounds)]

    def leave(self) -> None:
        """Look at nothing more."""
        for one in self._armed.values():
            one.leave()
        self._armed = {}


class _Trend:
    """How the messages of one input aged lately. Once it is behind it stays so until it has caught up."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_TREND)
        self._behind = False

    def add(self, came: float, said: float) -> None:
        """One sample more: when it came, and the time that it says."""
        if self._samples and came - self._samples[-1][0] > _STALE:
            self._samples.clear()
            self._behind = False
        self._samples.append((came, said))
        self._behind = came - said >= BEHIND and (self._behind or self._grows())

    def behind(self, now: float) -> float | None:
        """The last one's age when it came; None if that is well, or nothing comes."""
        if not self._behind or now - self._samples[-1][0] > _STALE:
            return None
        came, said = self._samples[-1]
        return came - said

    def _grows(self) -> bool:
        """Whether the youngest came older lately than before, though newer ones came."""
        if len(self._samples) < _ENOUGH:
            return False
        samples = [*self._samples]
        halves = samples[: len(samples) // 2], samples[len(samples) // 2 :]
        before, lately = (min(came - said for came, said in half) for half in halves)
        newest_before, newest_lately = (max(said for _, said in half) for half in halves)
        return before + _GROWN <= lately and lately >= BEHIND and newest_before < newest_lately


class _Sample:
    """Where the next batch is looked at."""

    def __init__(self, component: Component, samples: deque[tuple[int, float, Any]]) -> None:
        self.component = component
        self._samples = samples

    def stand(self) -> None:
        """Look at the next batch, if it does not already."""
        if self.see not in self.component.observers:
            self.component.observers += (self.see,)

    def leave(self) -> None:
        """Look at nothing."""
        self.component.observers = tuple(one for one in self.component.observers if one != self.see)

    def see(self, messages: Sequence[Any]) -> None:
        """A batch: its last message is the newest. What may be changed later is read now."""
        self.leave()
        if len(messages):
            message = messages[-1]
            if not isinstance(message, (bytes, str)):
                message = message_time(message)
            self._samples.append((id(self.component), time.time(), message))


def _decoded(message: Any) -> Any:
    """The object that a text is; None where it is none, or too long."""
    if message is None or len(message) > _LONGEST:
        return None
    if isinstance(message, bytes):
        message = message.rpartition(b"\n")[2]  # of a frame that carries several
    try:
        return _decode(message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


assert all(low < high for low, high in pairwise(LATENCIES))  # noqa: S101 - a histogram's classes
