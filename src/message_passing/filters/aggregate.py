"""Count, add up and summarize messages by key, in windows of time."""

from __future__ import annotations

from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import iso_time, wall
from message_passing.delivery import AMBIENT
from message_passing.dotted import with_value
from message_passing.errors import Fault, OptionError
from message_passing.filters._message_keys import key_of, shown_key, shown_values
from message_passing.filters._statistics import BUCKET_BYTES, Statistics, number_at, read_function
from message_passing.filters._timed import RECENTLY, TimedFilter
from message_passing.message_fields import message_time
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from message_passing.delivery import Hold

_OTHERS = object()
"""The key of messages beyond `max_keys`."""

_LATE_TOGETHER = 1.0
"""Seconds for which messages that came too late are collected, at least."""

MOST_WINDOWS = 100
"""Windows that are open at once. For one more, the oldest is passed on."""

MOST_EXPOSED = 1000
"""Keys whose last values are exposed as metrics."""


class _Group:
    """The messages of one key in one window."""

    __slots__ = ("count", "fields")

    def __init__(self, fields: Mapping[str, bool]) -> None:
        self.count = 0
        self.fields = {name: Statistics(sketch=sketch) for name, sketch in fields.items()}


class _Window:
    """The groups of one window, and the deliveries whose messages were counted in it."""

    __slots__ = ("due", "groups", "holds", "late", "waiting")

    def __init__(self, due: float, *, late: bool) -> None:
        self.due, self.late = due, late
        self.groups: dict[Hashable, _Group] = {}
        self.holds: list[Hold] = []
        self.waiting = 0


class AggregateFilter(TimedFilter):
    """Replaces the messages of each time window with one for each key, with counts, sums and percentiles.

    `values` gives the new fields: `count`, `count(field)` (messages in which it is a number), `sum(field)`,
    `min(field)`, `max(field)`, `mean(field)`, and percentiles such as `p50(field)` and `p99.9(field)`, within 1 %.
    Values that are no finite numbers are left out. `key` lists fields; messages with the same values in them are
    counted together, and the result has them, too. Without it all are.

    A window lasts `window` seconds, and ends at a multiple of that. A message belongs to the window of its own time
    or, if it has none or one in the future, to the current one. Results are passed on `lateness` seconds after the
    window's end, with `event` `aggregate`, `time` (the window's end) and `window` (seconds). Messages that come later
    are passed on in another result, with `late` true: for the total, add both.

    There are at most `max_keys` keys, in all open windows together; messages of further ones are counted together,
    in a result with `other_keys` true. What percentiles are computed from takes at most `max_bytes`. Messages that
    are no objects pass unchanged.

    Messages that were counted are not acknowledged before their result is: with an input that acknowledges, nothing
    is lost if the process is killed, but the input must be allowed to have a whole window unacknowledged.
    `acknowledge_early` acknowledges them at once. A reload or the end passes on what there is.

    The last results are exposed as metrics by the console.
    """

    name = "Aggregate"
    example = MappingProxyType(
        {
            "window": 60,
            "key": ["host", "status"],
            "values": {
                "requests": "count",
                "bytes": "sum(bytes)",
                "slowest": "max(took)",
                "p95": "p95(took)",
            },
        }
    )

    values: dict[str, str] = option(description="The new fields, and what each is.", min_length=1)
    key: list[str] = option(default_factory=list, description="Fields by whose values messages are counted.")
    window: float = option(default=60.0, ge=0.001, description="Seconds of a window.")
    lateness: float = option(
        default=5.0,
        ge=0,
        description="Seconds that a window waits after its end for messages that come late.",
    )
    max_keys: int = option(default=10_000, ge=1, description="The most keys, in all open windows together.")
    max_bytes: int = option(
        default=512 << 20,
        ge=1 << 20,
        description="The most bytes of what percentiles are computed from, in all open windows together; beyond "
        "that, those of small values are less exact.",
    )
    acknowledge_early: bool = option(
        default=False,
        description="Acknowledge messages at once: a kill loses what was counted of open windows.",
    )

    def on_init(self) -> None:
        """Read what is to be counted.

        Raises:
            OptionError: a value is none of the above.
        """
        super().on_init()
        self.wall: Callable[[], float] = wall
        self._values: dict[str, tuple[str, Callable[[int, Statistics | None], Any]]] = {}
        self._fields: dict[str, bool] = {}
        faults = []
        for name, text in self.values.items():
            try:
                field, get, sketch = read_function(text)
            except ValueError as error:
                faults.append(Fault(str(error), name).under("values"))
                continue
            self._values[name] = field, get
            if field:
                self._fields[field] = sketch or self._fields.get(field, False)
        if faults:
            raise OptionError(*faults)
        self._key = key_of(self.key)
        self._windows: dict[int, _Window] = {}  # by number, since 1970
        self._keys = self._buckets = 0
        self._crowded_at = self._coarse_at = -inf
        self._exposed: list[tuple[str, dict[str, float]]] = []

    def take(self, messages: list[Any]) -> None:
        """Count a batch; what is no object passes."""
        now = self.wall()
        present = int(now // self.window)
        touched: dict[_Window, None] = {}
        others: list[Any] = []
        for message in messages:
            if not isinstance(message, dict):
                others.append(message)
                continue
            moment = message_time(message)
            number = present if moment is None or moment > now else int(moment // self.window)
            window = self._windows.get(number) or self._begin(number, now)
            touched[window] = None
            window.waiting += 1
            self._count(window, message)
        for window in touched:
            if self.acknowledge_early:
                self._hand_on([], window.waiting)
                window.waiting = 0
            elif AMBIENT.fate:
                window.holds.append(self.hold())
        while len(self._windows) > MOST_WINDOWS:
            self._end(min(self._windows))
        self._hand_on(others, len(others))

    def _begin(self, number: int, now: float) -> _Window:
        left = (number + 1) * self.window + self.lateness - now
        late = left <= 0
        due = self.clock() + (max(self.lateness, _LATE_TOGETHER) if late else left)
        self._windows[number] = window = _Window(due, late=late)
        return window

    def _count(self, window: _Window, message: dict[str, Any]) -> None:
        key = self._key(message)
        group = window.groups.get(key)
        if group is None:
            if self._keys >= self.max_keys:
                self._crowded_at = self.clock()
                key = _OTHERS
            else:
                self._keys += 1
            group = window.groups.get(key)
            if group is None:
                group = window.groups[key] = _Group(self._fields)
        group.count += 1
        for field, statistics in group.fields.items():
            if (value := number_at(message, field)) is not None and (more := statistics.add(value)):
                self._buckets += more
                if self._buckets * BUCKET_BYTES > self.max_bytes:
                    self._buckets -= statistics.shrink()
                    self._coarse_at = self.clock()

    def due(self) -> float:
        """When the first open window is passed on."""
        return min((window.due for window in self._windows.values()), default=inf)

    def pass_due(self, now: float) -> None:
        """Pass on the results of windows that are over."""
        for number in sorted(one for one, window in self._windows.items() if window.due <= now):
            self._end(number)

    def _end(self, number: int) -> None:
        window = self._windows.pop(number)
        self._keys -= len(window.groups) - (_OTHERS in window.groups)
        self._buckets -= sum(one.buckets for group in window.groups.values() for one in group.fields.values())
        until = (number + 1) * self.window
        head: dict[str, Any] = {"event": "aggregate", "time": iso_time(until), "window": self.window}
        if window.late:
            head["late"] = True
        elif self.wall() < until:
            head["partial"] = True
        results: list[Any] = []
        exposed: list[tuple[str, dict[str, float]]] = []
        for key, group in window.groups.items():
            values = {
                name: get(group.count, group.fields.get(field)) for name, (field, get) in self._values.items()
            }
            result = {**head, "other_keys": True} if key is _OTHERS else head
            for name, value in () if key is _OTHERS else shown_values(self.key, key).items():
                result = with_value(result, name, value)
            for name, value in values.items():
                result = with_value(result, name, value)
            results.append(result)
            if len(exposed) < MOST_EXPOSED:
                label = "other keys" if key is _OTHERS else shown_key(key) if self.key else ""
                exposed.append((label, {name: one for name, one in values.items() if one is not None}))
        if not window.late:
            self._exposed = exposed
        if window.waiting:
            self.hand_on_held(results, window.waiting, window.holds)
        else:  # they were acknowledged, and counted
            self.emit(results)

    def held(self) -> int:
        """How many messages have been counted in windows that are open."""
        return sum(window.waiting for window in [*self._windows.values()])

    def notes(self) -> list[str]:
        """That there are more keys than are counted, or more different values than percentiles are exact for."""
        found, since = [*super().notes()], self.clock() - RECENTLY
        if self._crowded_at >= since:
            text = f"messages beyond {self.max_keys:,} keys are counted together"
            found.append(f"{text}: raise `max_keys`, or choose another `key`")
        if self._coarse_at >= since:
            found.append("percentiles of small values are less exact: raise `max_bytes`, or have fewer keys")
        return found

    def info(self) -> Mapping[str, Any]:
        """The results of the last window, by key: `aggregates`."""
        return {**super().info(), "aggregates": self._exposed}
