"""Balancing: every message that was stamped has arrived, or was dropped and counted, or went with whom was killed."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soak.processes import Cast, Life, Slot, given_by
from soak.sender import NUMBER

if TYPE_CHECKING:
    from array import array
    from pathlib import Path

    from soak.ledger import Ledger

_UNSENT = "unsent at close"
IN_FLIGHT = "in flight to an aggregator that was killed"
TO_WORKER = "in flight to a worker that was killed"
WITH_SENDER = "with a sender that was killed"
UNKNOWN = "begun by a sender that was killed, and perhaps never stamped"


@dataclass(slots=True)
class Account:
    """What became of one sender's messages, or of many senders'.

    Attributes:
        stamped: how many there were.
        arrived: of them.
        dropped: and counted by who dropped them, by reason.
        lost: with whom was killed, by whom it was.
        wrong: what is not explained.
    """

    stamped: int = 0
    arrived: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        """Add up."""
        self.stamped += other.stamped
        self.arrived += other.arrived
        self.dropped += other.dropped
        self.lost += other.lost
        self.wrong += other.wrong

    def balance(self, name: str) -> None:
        """See that the sums agree."""
        found = self.arrived + self.dropped.total() + self.lost.total()
        if found != self.stamped:
            self.wrong.append(f"{name}: {self.stamped} stamped, and {found} are accounted for")

    def described(self) -> dict[str, Any]:
        """As plain numbers."""
        return {
            "stamped": self.stamped,
            "arrived": self.arrived,
            "dropped": dict(self.dropped),
            "lost": dict(self.lost),
            "wrong": self.wrong,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender left: how much it gave, its own report if it came to write one, and what it dropped by number."""

    given: int
    report: dict[str, Any]
    dropped: set[int]
    by_number: bool

    @classmethod
    def of(cls, folder: Path, life: Life) -> Sent:
        """Read it."""
        end, log = (folder / f"{life.name}.{ending}" for ending in ("end", "dropped"))
        report = json.loads(end.read_text(encoding="utf-8")) if end.exists() else {}
        data = log.read_bytes() if log.exists() else b""
        numbers = {number for (number,) in NUMBER.iter_unpack(data[: len(data) // NUMBER.size * NUMBER.size])}
        given = int(report.get("given", given_by(folder, life.name)))
        if unsent := report.get("dropped", {}).get(_UNSENT, 0):  # what waited longest was given last
            rest = [number for number in range(1, given + 1) if number not in numbers]
            numbers.update(rest[-unsent:])
        return cls(given, report, numbers, log.exists())


def _missing(marks: array[int] | list[int], sent: Sent) -> list[int]:
    return [
        number
        for number in range(1, sent.given + 1)
        if (number >= len(marks) or not marks[number]) and number not in sent.dropped
    ]


def _begin(name: str, life: Life, sent: Sent, marks: array[int] | list[int]) -> Account:
    """What is known without asking why: what arrived, what was dropped, and whether its own report adds up."""
    account = Account(stamped=sent.given)
    account.arrived = sum(map(bool, marks))
    if any(marks[sent.given + 1 :]):
        account.wrong.append(f"{name}: more arrived than it gave")
    if sent.by_number:
        account.dropped = Counter(sent.report.get("dropped", {"before it was killed": len(sent.dropped)}))
        if account.dropped.total() != len(sent.dropped):
            account.wrong.append(
                f"{name}: {account.dropped.total()} dropped by count, {len(sent.dropped)} by number"
            )
    else:
        account.dropped = Counter(sent.report.get("dropped", {}))
    account.dropped = +account.dropped
    if sent.report:
        known = sent.report["sent"] + sent.report["queued"] + account.dropped.total()
        if known != sent.given or sent.report["queued"] or sent.report.get("failed"):
            account.wrong.append(f"{name}: gave {sent.given}, and reports {sent.report}")
    elif not life.killed:
        account.wrong.append(f"{name} ended by itself, without a report")
    return account


def to_aggregator(cast: Cast, slot: Slot, life: Life, ledger: Ledger) -> Account:
    """The account of one sender to the aggregator.

    A gap between two numbers that arrived in the same lifetime of the aggregator can only be what was dropped;
    one that spans its death may be what was in flight.
    """
    sent = Sent.of(cast.folder, life)
    marks: array[int] | list[int] = ledger.arrived.get(life.name, [])
    account = _begin(life.name, life, sent, marks)
    within: list[int] = []
    deaths = [number for number, one in enumerate(cast.aggregator.lives[:-1], 1) if one.killed]
    began = sum(one.began <= life.began for one in cast.aggregator.lives)
    after = _next_lifetimes(marks, sent.given)
    last = began
    for number in range(1, sent.given + 1):
        if number < len(marks) and marks[number]:
            last = marks[number]
        elif number in sent.dropped:
            continue
        elif (following := after[number]) == 0:
            if not life.killed:
                within.append(number)
            else:
                account.lost[UNKNOWN if number == sent.given else WITH_SENDER] += 1
        elif any(last <= death < following for death in deaths):
            account.lost[IN_FLIGHT] += 1
        else:
            within.append(number)
    _explain_by_count(slot, life, sent, account, within)
    account.balance(life.name)
    return account


def _next_lifetimes(marks: array[int] | list[int], given: int) -> list[int]:
    """For each number the lifetime in which the next one that arrived did so; 0 where none did."""
    found, following = [0] * (given + 2), 0
    for number in range(given, 0, -1):
        if number < len(marks) and marks[number]:
            following = marks[number]
        found[number] = following
    return found


def _explain_by_count(slot: Slot, life: Life, sent: Sent, account: Account, within: list[int]) -> None:
    """A log handler counts what it drops, and does not say which: its gaps are these, then those in flight."""
    dropped = 0 if sent.by_number else account.dropped.total()
    if len(within) > dropped:
        account.wrong.append(
            f"{slot.name}: {len(within)} of {life.name} are missing, {dropped} were dropped: {within[:5]}..."
        )
    rest = dropped - len(within)
    if rest > account.lost[IN_FLIGHT]:
        account.wrong.append(f"{life.name} says that it dropped {rest} messages which arrived")
    elif rest > 0:
        account.lost[IN_FLIGHT] -= rest
    account.lost = +account.lost


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """A worker was killed: what it had taken and not written is after `last`, and before what was sent later.

    Attributes:
        last: the last job that it wrote: which life of the sender, and number.
        until: the last job that had been given when another worker took its place.
    """

    last: tuple[int, int]
    until: tuple[int, int]


def to_workers(cast: Cast, ledger: Ledger, deaths: list[WorkerDeath]) -> Account:
    """The account of all jobs."""
    total, explained, rest = Account(), 0, 0
    for index, life in enumerate(cast.jobs.lives, 1):
        sent = Sent.of(cast.folder, life)
        marks: array[int] | list[int] = ledger.arrived.get(life.name, [])
        account = _begin(life.name, life, sent, marks)
        tail = max((number for number in range(len(marks)) if marks[number]), default=0)
        for number in _missing(marks, sent):
            if any(death.last < (index, number) <= death.until for death in deaths):
                explained += 1
            elif life.killed and number > tail:
                account.lost[UNKNOWN if number == sent.given else WITH_SENDER] += 1
            else:
                rest += 1
        total.add(account)
    dropped = sum(
        int(found)
        for found in re.findall(r"ZeroMQ output lost (\d+)", cast.distributor.told(cast.distributor.life))
    )
    if rest > dropped:
        total.wrong.append(f"jobs: {rest} are missing, and the distributor dropped {dropped}")
    total.dropped["at the distributor"] += dropped
    total.lost[TO_WORKER] += explained + rest - dropped
    total.dropped, total.lost = +total.dropped, +total.lost
    total.balance("jobs")
    return total
