"""Follow every sender's sequence, and report what is missing. The original has no such filter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from heapq import nlargest
from types import MappingProxyType
from typing import Any

from message_passing.errors import OutputClosedError
from message_passing.escaping import one_line
from message_passing.filters._senders import RUN, LossAccounting
from message_passing.flow import Filter
from message_passing.options import option

_SHOWN = 20
"""The most senders that an event names: those that lost most."""

_NAME_SHOWN = 100
"""The most characters of a sender's name that are reported at the end."""


class FollowFilter(Filter):
    """Passes every message on, and keeps statistics of each sender's sequence: received, lost, duplicated, late.

    Senders stamp their messages with `sender` and `sequence`: `message_passing.logging`'s handlers do, and the
    filter `Stamp`. A number that is skipped counts as lost, unless it arrives late. What a sender sent before the
    first message that arrived here is counted as `before`: it may have been sent before this node listened. What it
    sent after the last one that arrived is unknown. Messages without a stamp pass and are counted as `unstamped`; so
    are those whose `sender` is not text, or longer than 1000 characters, or whose `sequence` is not a whole
    number from 1 to 2**53 - 1.

    A restarted process begins with 1 again. Where the sender's name is new each time, as it is by
    default, or messages state their run in `sender_run`, as those of `Stamp` with a fixed name do, nothing is
    confused: `lost` and `duplicated` are exact, in whatever order messages arrive. For a run that began after the
    first message with its name arrived here (by its clock, compared with ours), nothing is `before`: everything
    missing is lost. `restarted` counts further runs; 100 are remembered for each name. Without `sender_run`, a
    restart cannot be told from duplicates: a repeated 1 is taken for a restart, other repeated numbers for
    duplicates, and both are counted as `ambiguous`: from then on that sender's numbers are an estimate. Without it,
    a restart after which everything up to the earlier run's highest number is lost is not noticed at all.

    For each run, 1000 gaps are remembered. What arrives late in an older one may have arrived before: it is
    counted as `perhaps_lost`, which is in neither `lost` nor `received`.

    With `report_interval`, an event goes down the chain at that interval and at the end: an object with
    `event` `senders`, the totals, and the senders that lost most. At the end, losses are reported on standard
    error in any case.

    It keeps statistics for at most `senders` senders, in at most `max_bytes`. Beyond that, the gaps of those with
    the most are forgotten, or the senders that were idle longest; their losses stay in the totals. A sender that
    returns after that counts as new.

    A sender chooses its own name. With `key_field`, senders with different keys are distinct, whatever their
    names, so that none can corrupt another's statistics. The event then has `lost_by_key`, the losses by the key's
    name and then the sender's, instead of `lost_by_sender`. When there are too many senders, the key whose senders
    take most memory gives way first. Messages without that field count as unstamped.
    """

    name = "Follow"
    example = MappingProxyType({"report_interval": 60})

    report_interval: float = option(
        default=0, description="Seconds between two events; 0 for none at all.", ge=0
    )
    senders: int = option(default=100_000, description="The most senders to keep statistics for.", ge=1)
    max_bytes: int = option(
        default=128 * 1024 * 1024,
        description="The most bytes of all per-sender statistics together: names, runs and remembered gaps.",
        ge=65536,
    )
    idle_after: float = option(
        default=60, description="Seconds without a message after which a sender counts as idle.", gt=0
    )

    key_field: str = option(
        default="",
        min_length=1,
        description="Field with the name of the sender's key, set by the ZeroMQ input's option of the "
        "same name: senders are then distinguished by key and name.",
    )

    def on_init(self) -> None:
        """Start with no senders."""
        super().on_init()
        self._books = LossAccounting(self.senders, self.max_bytes, self.key_field)
        self._timer: asyncio.TimerHandle | None = None

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Pass all of them, recording each one's stamp."""
        books, now, field = self._books, time.time(), self.key_field
        known = books.senders
        for message in messages:
            try:
                number, name = message["sequence"], message["sender"]
                if field:
                    name = message[field], name
                sender = known[name]
            except (KeyError, TypeError, IndexError):
                books.meet(message, now)
                continue
            if number == sender.expected:
                sender.expected = number + 1
                sender.seen = now
            elif number == sender.expected_of_run and message.get(RUN) == sender.run:
                sender.expected_of_run = number + 1
                sender.seen = now
            else:
                books.take(name, sender, message, now)
        if self.report_interval and not self._timer:
            self._wind()
        return messages

    def totals(self) -> dict[str, int]:
        """The sums over all senders so far.

        Returns:
            `received`, `lost`, `perhaps_lost`, `duplicated`, `late`, `restarted`, `before`, `ambiguous`;
            `estimated`: how many of `lost` are of senders with ambiguous numbers; `senders`: how many have
            statistics; `forgotten`: how many no longer have; `unstamped`: messages without a stamp.
        """
        return self._books.totals()

    def by_sender(self) -> dict[Any, dict[str, Any]]:
        """Each sender's statistics: its part of `totals`, its `highest` number, and when it was `seen`.

        Returns:
            By the sender's name; with `key_field`, by the key's name and the sender's. From any thread.
        """
        return self._books.by_sender()

    def values(self, name: str) -> list[tuple[Any, float]]:
        """One number of each sender's statistics, for sorting many: `lost`, `received` and so on, or `seen`.

        Returns:
            The sender as in `by_sender`, and the number. From any thread.
        """
        return self._books.values(name)

    def book(self, whose: Any) -> dict[str, Any] | None:
        """The entry of `by_sender` for one sender; None if it is no longer kept. From any thread."""
        return self._books.book(whose)

    def label_of(self, whose: Any) -> str:
        """The readable name of a sender: `service@host` where its first message gives these. From any thread."""
        label = self._books.label_of(whose)
        return f"{label} with the key {whose[0]}" if self.key_field else label

    def idle(self) -> int:
        """How many senders have sent nothing for `idle_after`."""
        return self._books.idle(self.idle_after)

    def take_sender_losses(self) -> dict[str, int]:
        """See `Component.take_sender_losses`: by service and host, where messages give these."""
        return self._books.take_changes()

    def event(self) -> dict[str, Any]:
        """The event sent down the chain: the totals, the senders that lost most, and how many are idle."""
        worst = nlargest(_SHOWN, self._books.losers())
        if self.key_field:
            by_key: dict[str, dict[str, int]] = {}
            for lost, (key, name) in worst:
                by_key.setdefault(key, {})[name] = lost
            named: dict[str, Any] = {"lost_by_key": by_key}
        else:
            named = {"lost_by_sender": {name: lost for lost, name in worst}}
        return {
            "event": "senders",
            "time": time.time(),
            **self.totals(),
            "idle": self.idle(),
            **named,
        }

    def summary(self) -> list[str]:
        """Report at the end how many messages were lost on their way here, whose, and whose numbers are estimates."""
        totals, unsure = self.totals(), self._books.ambiguous()
        told = []
        lost, perhaps = totals["lost"] - totals["estimated"], totals["perhaps_lost"]
        if lost or perhaps:
            names = {whose for _, whose in unsure}
            losers = [loser for loser in self._books.losers() if loser[1] not in names]
            count = f"{lost} to {lost + perhaps}" if perhaps else f"{lost}"
            plural = "" if lost + perhaps == 1 else "s"
            who = f": {self._named(losers)}" if losers else ""
            told.append(f"{count} message{plural} did not arrive here{who}")
        if ambiguous := totals["ambiguous"]:
            who = f": {self._named(unsure)}" if unsure else ""
            repeated = "1 message repeated" if ambiguous == 1 else f"{ambiguous} messages repeated"
            told.append(
                f"{repeated} an earlier number (a duplicate, or a restart without sender_run), so what these senders "
                f"lost is only estimated, at {totals['estimated']}{who}"
            )
        return told

    def _named(self, counted: list[tuple[int, Any]]) -> str:
        """The senders with the most, and how many others there are."""
        named = ", ".join(f"{count} of {self._shown(whose)}" for count, whose in nlargest(3, counted))
        return named + (f" and {len(counted) - 3} more senders" if len(counted) > 3 else "")

    def _shown(self, whose: Any) -> str:
        label = one_line(self._books.label_of(whose), _NAME_SHOWN)
        return f"{label} with the key {one_line(whose[0], _NAME_SHOWN)}" if self.key_field else label

    def on_close(self) -> None:
        """Send the last event."""
        if self._timer:
            self._timer.cancel()
        if self.report_interval:
            self._emit_event()

    def _wind(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop is running: only the event at the end is sent
            self._timer = asyncio.get_running_loop().call_later(self.report_interval, self._time_is_up)

    def _time_is_up(self) -> None:
        self._emit_event()
        self._wind()

    def _emit_event(self) -> None:
        with contextlib.suppress(OutputClosedError):  # the next message will find it out, too
            self.emit([self.event()])
