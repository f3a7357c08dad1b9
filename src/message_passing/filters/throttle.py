"""Pass on so many messages a second for each key, and report how many were suppressed."""

from __future__ import annotations

from collections import Counter
from itertools import compress, repeat
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import iso_now
from message_passing.conditions import Condition
from message_passing.errors import OptionError
from message_passing.filters._message_keys import key_of, keys_of, shown_key
from message_passing.filters._timed import RECENTLY, TimedFilter
from message_passing.metrics import plural
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

_SHOWN = 20
"""The most keys that an event names: those of which most was suppressed."""

_TRIED = 4
"""Keys that are looked at for one that can be forgotten."""

OTHER_KEYS = "other keys"
"""What shares a limit when there are too many keys."""


class ThrottleFilter(TimedFilter):
    """Passes on `rate` messages a second for each key, and up to `burst` at once; the rest is filtered out.

    `key` lists fields; messages with the same values in them share a limit. Without it all messages do. Those for
    which `always` holds, a [condition](../guide-filters.md#conditions), all pass, and count towards no limit.

    Every `report_interval` seconds in which messages were suppressed, and at the end, an event is passed down the
    chain: an object with `event` `throttled`, the number `suppressed`, and `suppressed_by_key`, the 20 keys with the
    most. The total is also reported at the end of the run; if messages are not objects, only there.

    At most `max_keys` keys are known. Beyond that, those that have not reached their limit lately are forgotten; if
    there are none, new keys share one limit, so that no flood of keys passes what the limits would stop.
    """

    name = "Throttle"
    reads = ()
    example = MappingProxyType(
        {"rate": 10, "burst": 100, "key": ["host", "service"], "always": 'level >= "ERROR"'}
    )

    rate: float = option(description="Messages a second that pass for each key.", gt=0)
    burst: int = option(
        default=0,
        description="Messages that pass at once after a pause; 0: as many as in a second, at least one.",
        ge=0,
    )
    key: list[str] = option(
        default_factory=list, description="Fields: messages with the same values in them share a limit."
    )
    always: str = option(default="", description="A condition for messages that all pass.")
    max_keys: int = option(default=10_000, ge=1, description="The most keys to have a limit of their own.")
    report_interval: float = option(
        default=60.0,
        ge=0,
        description="Seconds between two events about what was suppressed; 0: none at all.",
    )

    def on_init(self) -> None:
        """Compile the condition; every key may begin with a burst.

        Raises:
            OptionError: the condition is malformed.
        """
        super().on_init()
        self._key = key_of(self.key)
        self._always: Condition | None = None
        if self.always:
            try:
                self._always = Condition(self.always)
            except OptionError as error:
                raise OptionError(*(one.under("always") for one in error.faults)) from error
        self._step = 1 / self.rate
        # By key: when its burst will be whole again. A message passes if that is not too far ahead (GCRA, ITU-T
        # I.371); half a step more, since the sum of many is not exact.
        self._ahead = (max(self.burst or int(self.rate), 1) - 0.5) * self._step
        self._whole_at: dict[Hashable, float] = {}
        self._new: Counter[Hashable] = Counter()  # suppressed since the last event
        self._suppressed = 0
        self._crowded_at = -inf
        self._report_at = inf
        self._objects = False

    def fields_read(self) -> tuple[str, ...]:
        """Those of the key, and of the condition."""
        return (*self.key, *(self._always.reads if self._always else ()))

    def keeps_many(self, fields: Sequence[Any]) -> Sequence[bool]:
        """Which of them are within their limit."""
        self._objects = True
        return self._within(keys_of(fields, self.key), self._always.choose(fields) if self._always else ())

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return those that are within their limit."""
        if messages:
            self._objects = isinstance(messages[0], dict)
        always = [*map(self._always.holds, messages)] if self._always else ()
        return [*compress(messages, self._within(map(self._key, messages), always))]

    def _within(self, keys: Iterable[Hashable], always: Sequence[bool]) -> list[bool]:
        """Which messages pass, by the key of each, and whether it passes in any case."""
        now, step, whole_at = self.clock(), self._step, self._whole_at
        latest = now + self._ahead
        kept: list[bool] = []
        for key, passes in zip(keys, always or repeat(False)):  # noqa: B905 - one of them may be endless
            if passes:
                kept.append(True)
                continue
            until = whole_at.get(key)
            if until is None and len(whole_at) >= self.max_keys and not self._forget_one(now):
                key = OTHER_KEYS  # noqa: PLW2901 - it is what the message counts for
                self._crowded_at = now
                until = whole_at.get(key)
            if until is None or until <= now:
                until = now
            if until > latest:
                self._suppress(key, now)
                kept.append(False)
                continue
            whole_at[key] = until + step
            kept.append(True)
        return kept

    def _forget_one(self, now: float) -> bool:
        """Forget a key with a whole burst, to which that makes no difference. Whether there is one."""
        for _ in range(_TRIED):
            key = next(iter(self._whole_at))
            until = self._whole_at.pop(key)
            if until <= now:
                return True
            self._whole_at[key] = until
        return False

    def _suppress(self, key: Hashable, now: float) -> None:
        self._suppressed += 1
        if not self.report_interval:
            return  # there is no event, not even at the end
        known = key in self._new or len(self._new) < self.max_keys
        self._new[key if known else OTHER_KEYS] += 1
        if self._report_at == inf:
            self._report_at = now + self.report_interval

    def due(self) -> float:
        """When the next event is."""
        return self._report_at

    def pass_due(self, now: float) -> None:
        """Pass on an event."""
        if self._report_at > now:
            return
        new, self._new, self._report_at = self._new, Counter(), inf
        if new and self._objects:
            self.emit([self._event(new)])

    def _event(self, new: Counter[Hashable]) -> dict[str, Any]:
        return {
            "event": "throttled",
            "time": iso_now(),
            "suppressed": new.total(),
            "suppressed_by_key": {shown_key(key): count for key, count in new.most_common(_SHOWN)}
            if self.key
            else {},
        }

    def notes(self) -> list[str]:
        """That there are more keys than may have a limit of their own."""
        if self.clock() - self._crowded_at > RECENTLY:
            return super().notes()
        text = f"new keys share one limit, since there are more than {self.max_keys:,}"
        return [*super().notes(), f"{text}: raise `max_keys`, or choose another `key`"]

    def summary(self) -> list[str]:
        """How many messages were suppressed."""
        return [f"{plural(self._suppressed)} suppressed"] if self._suppressed else []
