"""Remove messages that repeat others of the last seconds, and report how many there were."""

from __future__ import annotations

from functools import partial
from itertools import compress
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import iso_now
from message_passing.delivery import AMBIENT, Delivery, Hold, Outcome
from message_passing.dotted import without
from message_passing.errors import Fault, OptionError
from message_passing.filters._message_keys import digest_of, key_of, keys_of, shown_values
from message_passing.filters._timed import RECENTLY, TimedFilter
from message_passing.metrics import plural
from message_passing.options import option
from message_passing.output import running_loop

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


class DedupeFilter(TimedFilter):
    """Passes a message on if no equal one has passed in the last `window` seconds; repeated ones are filtered out.

    Two messages are equal if they have the same values in the fields that `key` lists, or without `key` if they are
    the same as a whole, apart from the fields that `ignore` lists (the time, for one). A message that has none of the
    fields of `key` passes. The window begins with the message that has passed: one that is repeated endlessly passes
    once in each window. Where an input delivers again what an output has lost, that passes again.

    At the end of a window in which messages were repeated, an event is passed down the chain: an object with `event`
    `repeated`, how often (`repeated`), and the values of `key`. `events=false` leaves it out. If messages are not
    objects, there is none. The total is also reported at the end of the run.

    At most `max_keys` different messages are remembered, by a digest of 16 bytes or the values of `key`. Beyond that,
    the oldest is forgotten, and its repetitions pass.
    """

    name = "Dedupe"
    reads = ()
    example = MappingProxyType({"window": 60, "key": ["host", "message"]})

    window: float = option(default=60.0, gt=0, description="Seconds in which a message passes once.")
    key: list[str] = option(
        default_factory=list,
        description="Fields by whose values messages are compared. None: by the whole message.",
    )
    ignore: list[str] = option(
        default_factory=list, description="Without `key`: fields that are not compared."
    )
    max_keys: int = option(default=10_000, ge=1, description="The most messages to remember.")
    events: bool = option(default=True, description="Pass on an event about each message that was repeated.")

    def on_init(self) -> None:
        """Remember nothing yet.

        Raises:
            OptionError: `ignore` is given with `key`, where it has no effect.
        """
        super().on_init()
        if self.key and self.ignore:
            raise OptionError(Fault(f"{self.label}: `ignore` has no effect with `key`", "ignore"))
        self._key = key_of(self.key) if self.key else self._by_all
        self._missing: Hashable = (None,) * len(self.key) if len(self.key) > 1 else None
        self._seen: dict[
            Hashable, tuple[float, int]
        ] = {}  # when its window ends, and how often it was repeated
        self._repeated = 0
        self._crowded_at = self._unkeyed_at = -inf
        self._objects = False
        self._ended: list[Any] = []
        self._fresh: list[Hashable] = []  # what the present batch has passed first

    def _by_all(self, message: Any) -> Hashable:
        if self.ignore and isinstance(message, dict):
            for path in self.ignore:
                message = without(message, path)
        return digest_of(message)

    def take(self, messages: list[Any]) -> None:
        """Pass on what is new. What is lost after that is new again: who delivers sends it once more."""
        fate, self._fresh = AMBIENT.fate, []
        if fate is None:
            super().take(messages)
        else:
            settled = partial(self._settled, self._fresh, Hold(fate))
            with Delivery(settled, self, running_loop(), comes_again=fate.comes_again, tried=fate.tried):
                super().take(messages)
        events, self._ended = self._ended, []
        self.emit(events)

    def _settled(self, fresh: list[Hashable], hold: Hold, outcome: Outcome) -> None:
        if outcome is Outcome.LOST:
            for key in fresh:
                self._seen.pop(key, None)
        hold.note(outcome)
        hold.release()

    def fields_read(self) -> tuple[str, ...] | None:
        """Those of the key; None without one, since the whole message is compared."""
        return (*self.key,) or None

    def keeps_many(self, fields: Sequence[Any]) -> Sequence[bool]:
        """Which of them are new."""
        self._objects = True
        return self._are_new(keys_of(fields, self.key))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return those that are new."""
        if messages:
            self._objects = isinstance(messages[0], dict)
        return [*compress(messages, self._are_new(map(self._key, messages)))]

    def _are_new(self, keys: Iterable[Hashable]) -> list[bool]:
        """Which messages pass, by the key of each."""
        now = self.clock()
        seen, missing, until, fresh = self._seen, self._missing, now + self.window, self._fresh
        kept: list[bool] = []
        for key in keys:
            if key is None or key == missing:
                self._unkeyed_at = now
            elif entry := seen.get(key):
                seen[key] = (entry[0], entry[1] + 1)
                self._repeated += 1
                kept.append(False)
                continue
            else:
                if len(seen) >= self.max_keys:
                    self._end_oldest(self._ended)
                    self._crowded_at = now
                seen[key] = (until, 0)
                fresh.append(key)
            kept.append(True)
        return kept

    def _end_oldest(self, events: list[Any]) -> None:
        key = next(iter(self._seen))
        _, count = self._seen.pop(key)
        if count and self.events and self._objects:
            events.append(
                {"event": "repeated", "time": iso_now(), "repeated": count, **shown_values(self.key, key)}
            )

    def due(self) -> float:
        """When the oldest window ends."""
        return next(iter(self._seen.values()))[0] if self._seen else inf

    def pass_due(self, now: float) -> None:
        """End windows, and pass on events about those in which messages were repeated."""
        events: list[Any] = []
        while self.due() <= now and self._seen:
            self._end_oldest(events)
        self.emit(events)

    def notes(self) -> list[str]:
        """That messages pass without being compared for long enough, or at all."""
        found, since = super().notes(), self.clock() - RECENTLY
        if self.key and self._unkeyed_at > since:
            found.append(f"messages pass that have none of the fields {', '.join(self.key)[:200]}")
        if self._crowded_at > since:
            text = f"messages are forgotten before the window of {self.window:g} s ends"
            found.append(f"{text}: raise `max_keys`, or lower `window`")
        return found

    def summary(self) -> list[str]:
        """How many messages were repeated."""
        return [f"{plural(self._repeated)} repeated others"] if self._repeated else []
