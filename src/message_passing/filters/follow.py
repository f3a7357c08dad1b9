"""Follow every sender's sequence, and tell what is missing. The original has no such filter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from heapq import nlargest, nsmallest
from types import MappingProxyType
from typing import Any

from message_passing.errors import OutputClosedError
from message_passing.escaping import one_line
from message_passing.filters._senders import COUNTERS, Sender, most_crowded
from message_passing.flow import Filter
from message_passing.options import option

_SHOWN = 20
"""Senders that an event names: those that lost most."""

_LONGEST_NAME = 200
"""Characters of a sender's name that are told at the end: the sender chooses it."""


class FollowFilter(Filter):
    """Passes every message on, and keeps books of what each sender's sequence says: received, lost, duplicated, late.

    Senders stamp their messages with `sender` and `sequence`: `message_passing.logging`'s handlers do, and the
    filter `Stamp`. A number that is skipped is lost, until it comes late after all. A sequence that begins with
    1 again has restarted. What a sender sent before the first message that came here is counted as `before`: it may
    have been sent when nobody listened. What it sent after the last one that came is not known of. Messages
    without a stamp pass and are counted as such.

    With `report_interval`, an event goes down the chain at that interval and at the end: an object with
    `event` `senders`, the totals, and the senders that lost most. At the end what was lost is told on standard
    error in any case.

    For at most `senders` senders it keeps books. When there are more, those that were silent longest are
    forgotten; what they lost stays in the totals.

    A sender chooses its own name. With `key_field`, senders with different keys are different, whatever they call
    themselves, so that nobody can spoil another's books. The event then has `lost_by_key`, the losses by the key's
    name and then the sender's, instead of `lost_by_sender`. When there are too many senders, the key that has most
    of them gives way first. Messages without that field count as unstamped.
    """

    name = "Follow"
    example = MappingProxyType({"report_interval": 60})

    report_interval: float = option(
        default=0, description="Seconds between two events; 0 for none at all.", ge=0
    )
    senders: int = option(default=100_000, description="For how many senders it keeps books.", ge=1)
    silent_after: float = option(
        default=60, description="Seconds without a message after which a sender counts as silent.", gt=0
    )

    key_field: str = option(
        default="",
        description="Field with the name of the key that a message was sent with, which the ZeroMQ input's option of "
        "the same name sets: each key has senders of its own.",
    )

    def on_init(self) -> None:
        """Nobody has sent anything yet."""
        super().on_init()
        self._senders: dict[Any, Sender] = {}  # by name; with `key_field`, by the key's name and the sender's
        self._forgotten: Counter[str] = Counter()
        self._unstamped = 0
        self._timer: asyncio.TimerHandle | None = None

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """All of them, after a look at each one's stamp."""
        if self.key_field:
            return self._filter_by_key(messages)
        known, now = self._senders, time.time()
        for message in messages:
            try:
                number, name = message["sequence"], message["sender"]
                sender = known[name]
            except (KeyError, TypeError, IndexError):
                self._meet(message, now)
                continue
            if number == sender.expected:
                sender.expected = number + 1
            elif type(number) is int:
                sender.take(number)
            else:
                self._unstamped += 1
            sender.seen = now
        if self.report_interval and not self._timer:
            self._wind()
        return messages

    def _filter_by_key(self, messages: list[Any]) -> list[Any]:
        """The same for senders with keys: in a loop of its own, which does not slow the other one down."""
        known, now, field = self._senders, time.time(), self.key_field
        for message in messages:
            try:
                number, name = message["sequence"], (message[field], message["sender"])
                sender = known[name]
            except (KeyError, TypeError, IndexError):
                self._meet(message, now)
                continue
            if number == sender.expected:
                sender.expected = number + 1
            elif type(number) is int:
                sender.take(number)
            else:
                self._unstamped += 1
            sender.seen = now
        if self.report_interval and not self._timer:
            self._wind()
        return messages

    def _meet(self, message: Any, now: float) -> None:
        """The first message of a sender, or one without a stamp."""
        found = message if isinstance(message, dict) else {}
        name, number = found.get("sender"), found.get("sequence")
        key = found.get(self.key_field) if self.key_field else ""
        if type(name) is not str or type(number) is not int or number < 1 or type(key) is not str:
            self._unstamped += 1
            return
        if len(self._senders) >= self.senders:
            self._forget()
        sender = self._senders[(key, name) if self.key_field else name] = Sender()
        sender.take(number)
        sender.seen = now

    def _forget(self) -> None:
        """Make room: a hundredth of all at a time, since finding them means looking at all."""
        count = max(1, len(self._senders) // 100)
        if self.key_field:
            chosen = most_crowded(count, self._senders)
        else:
            chosen = nsmallest(count, self._senders.items(), key=lambda pair: pair[1].seen)
        for name, sender in chosen:
            self._forgotten.update({counter: getattr(sender, counter) for counter in COUNTERS})
            self._forgotten["senders"] += 1
            del self._senders[name]

    def totals(self) -> dict[str, int]:
        """The sums over all senders there ever were.

        Returns:
            `received`, `lost`, `duplicated`, `late`, `restarted`, `before`; `senders`: of how many books are kept;
            `forgotten`: of how many no more; `unstamped`: messages without a stamp.
        """
        sums = {
            name: self._forgotten[name]
            + sum(getattr(sender, name) for sender in list(self._senders.values()))
            for name in COUNTERS
        }
        return {
            **sums,
            "senders": len(self._senders),
            "forgotten": self._forgotten["senders"],
            "unstamped": self._unstamped,
        }

    def by_sender(self) -> dict[Any, dict[str, Any]]:
        """Each sender's books: what `totals` has of it, its `highest` number, and when it was `seen`.

        Returns:
            By the sender's name; with `key_field`, by the key's name and the sender's. From any thread.
        """
        return {name: sender.described() for name, sender in list(self._senders.items())}

    def known(self) -> list[tuple[Any, Sender]]:
        """Each sender's name as in `by_sender`, and its books themselves, which go on changing. From any thread."""
        return list(self._senders.items())

    def silent(self) -> int:
        """Of how many nothing has come for `silent_after`."""
        since = time.time() - self.silent_after
        return sum(sender.seen < since for sender in list(self._senders.values()))

    def event(self) -> dict[str, Any]:
        """What is sent down the chain: the totals, who lost most, and how many are silent."""
        losers = [(name, sender) for name, sender in self._senders.items() if sender.lost]
        worst = nlargest(_SHOWN, losers, key=lambda pair: pair[1].lost)
        if self.key_field:
            by_key: dict[str, dict[str, int]] = {}
            for (key, name), sender in worst:
                by_key.setdefault(key, {})[name] = sender.lost
            named: dict[str, Any] = {"lost_by_key": by_key}
        else:
            named = {"lost_by_sender": {name: sender.lost for name, sender in worst}}
        return {
            "event": "senders",
            "time": time.time(),
            **self.totals(),
            "silent": self.silent(),
            **named,
        }

    def remarks(self) -> list[str]:
        """What is told at the end: how much was lost on its way here, and whose it was."""
        totals = self.totals()
        if not totals["lost"]:
            return []
        losers = [(sender.lost, name) for name, sender in self._senders.items() if sender.lost]
        who = "{0[1]} with the key {0[0]}" if self.key_field else "{0}"
        named = ", ".join(
            f"{lost} of {one_line(who.format(name), _LONGEST_NAME)}" for lost, name in nlargest(3, losers)
        )
        more = f" and {len(losers) - 3} more senders" if len(losers) > 3 else ""
        count = totals["lost"]
        return [f"{count} message{'s' if count > 1 else ''} did not arrive here: {named}{more}"]

    def on_close(self) -> None:
        """The last event."""
        if self._timer:
            self._timer.cancel()
        if self.report_interval:
            self._emit_event()

    def _wind(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop is running: there is the event at the end
            self._timer = asyncio.get_running_loop().call_later(self.report_interval, self._time_is_up)

    def _time_is_up(self) -> None:
        self._emit_event()
        self._wind()

    def _emit_event(self) -> None:
        with contextlib.suppress(OutputClosedError):  # the next message finds out as well
            self.emit([self.event()])
