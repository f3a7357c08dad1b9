"""The books of a fault test: what senders say they sent, what arrived, and that not one message is unexplained."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soak.orders import new_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass
class Sent:
    """What one sender says at its end, or what its journal says when it was killed.

    Attributes:
        name: the sender's, in its messages.
        stamped: messages that were given a number; of a killed sender, those that it was about to.
        highest: the highest number.
        passed: messages handed to ZeroMQ.
        dropped: by reason.
        failed: could not be sent at all.
        held: waited in the sender when this was told.
        refused: the numbers of those dropped because a queue was full: first and last of each stretch; None
            if the sender does not know.
        closing: seconds that its end took.
        killed: it could not say goodbye.
        possibly: messages besides that may not have reached somebody, at most, by reason.
    """

    name: str
    stamped: int
    highest: int
    passed: int
    dropped: dict[str, int]
    failed: int = 0
    held: int = 0
    refused: list[list[int]] | None = None
    closing: float = 0.0
    killed: bool = False
    possibly: dict[str, int] = field(default_factory=dict)


class Life:
    """What one life of a receiver wrote to its file, read as it grows; to several, if the file was renamed.

    Attributes:
        numbers: by sender, in the order of their arrival.
        books: the last event of its Follow filter.
        strangers: whole messages without a stamp.
        torn: lines that are no JSON.
        killed: it could not keep its books to the end.
        unwritten: messages that Follow saw and the file did not take, as the command told.
    """

    def __init__(self, *paths: Path) -> None:
        self.paths = list(paths)
        self.numbers: dict[str, list[int]] = {}
        self.books: dict[str, Any] | None = None
        self.strangers: list[Any] = []
        self.torn: list[bytes] = []
        self.killed = False
        self.unwritten = 0
        self._offsets: dict[Path, int] = {}

    def read(self) -> Life:
        """Take what has been written since the last time; a last line that is not whole yet is left."""
        for line in new_lines(self.paths, self._offsets):
            self._take(line)
        return self

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self.torn.append(line)
            return
        if isinstance(message, dict) and message.get("event") == "senders":
            self.books = message
        elif isinstance(message, dict) and "sequence" in message:
            self.numbers.setdefault(message["sender"], []).append(message["sequence"])
        else:
            self.strangers.append(message)

    def total(self) -> int:
        """How many stamped messages are there by now."""
        return sum(map(len, self.read().numbers.values()))

    def has(self, name: str, number: int) -> bool:
        """Whether this message is there by now; without a name, anybody's."""
        self.read()
        found = [self.numbers.get(name, [])] if name else self.numbers.values()
        return any(number in each for each in found)


@dataclass
class Account:
    """What became of one sender's messages: every number is in one of these.

    Attributes:
        arrived: those in the files.
        dropped: how many the sender dropped, by reason.
        in_flight: how many were handed to ZeroMQ and did not arrive.
        missing: the numbers that did not arrive; without those that are known to be dropped.
        unsent: the last ones of a sender that was killed.
    """

    arrived: set[int]
    dropped: Counter[str]
    in_flight: int
    missing: set[int] = field(default_factory=set)
    unsent: set[int] = field(default_factory=set)


def stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as unbroken stretches, each its first and last one."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found


def balanced(senders: Sequence[Sent], lives: Sequence[Life], *, in_order: bool = True) -> dict[str, Account]:
    """Whether not one message is unexplained: sent = delivered + dropped + lost in flight, by count and by number.

    Args:
        senders: all that sent.
        lives: all that the receiver wrote.
        in_order: whether the way keeps the order, as it does unless several workers share it.

    Returns:
        For each sender's name, what became of its messages.
    """
    for life in lives:
        life.read()
    known = {name for life in lives for name in life.numbers}
    for sender in senders:
        if not sender.name:  # a handler's: it is the only one then
            (sender.name,) = known
    assert known <= {sender.name for sender in senders}, f"messages of strangers arrived: {known}"
    for number, life in enumerate(lives, 1):
        if not life.killed:
            _check_follow(life, {one.name: one for one in senders}, f"life {number}", in_order=in_order)
    return {sender.name: _account(sender, lives) for sender in senders}


def _account(sent: Sent, lives: Sequence[Life]) -> Account:
    who = f"{sent.name}: {sent}"
    arrivals = [number for life in lives for number in life.numbers.get(sent.name, ())]
    arrived, all_of_them = set(arrivals), set(range(1, sent.stamped + 1))
    twice = [number for number, count in Counter(arrivals).items() if count > 1]
    assert not twice, f"{who}: these came more than once: {stretches(twice)}"
    assert arrived <= all_of_them, f"{who}: never sent, but arrived: {stretches(arrived - all_of_them)}"
    assert sent.stamped == sent.highest, f"{who}: the numbers have a gap at the sender itself"
    refused = {n for first, last in sent.refused or () for n in range(first, last + 1)}
    assert not refused & arrived, f"{who}: dropped, but arrived: {stretches(refused & arrived)}"
    missing = all_of_them - arrived - refused
    if sent.killed:
        unsent = {number for number in missing if number > max(arrived, default=0)}
        return Account(arrived, Counter(sent.dropped), len(missing - unsent), missing - unsent, unsent)
    dropped = sum(sent.dropped.values()) + sent.failed
    assert sent.held == 0, f"{who}: it ended and still holds messages"
    assert sent.stamped == sent.passed + dropped, f"{who}: stamped is not passed + dropped + failed"
    if sent.refused is not None:
        assert len(refused) == sent.dropped.get("queue full", 0), f"{who}: dropped otherwise than it says"
    unwritten = sum(life.unwritten for life in lives)
    in_flight = sent.passed - len(arrived) - unwritten
    assert in_flight >= 0, f"{who}: {len(arrived)} arrived, more than were sent"
    others = dropped - len(refused)
    assert len(missing) == in_flight + others + unwritten, (
        f"{who}: {len(missing)} did not arrive ({stretches(missing)[:9]}), but {in_flight} were lost in flight, "
        f"{others} dropped whose numbers are not known and {unwritten} not written"
    )
    return Account(arrived, Counter(sent.dropped), in_flight, missing)


def _check_follow(life: Life, senders: dict[str, Sent], where: str, *, in_order: bool) -> None:
    """Whether the receiver's own books say what its files say."""
    books = life.books
    assert books is not None, f"{where}: there is no event with the books"
    received = sum(map(len, life.numbers.values()))
    assert books["received"] == received + life.unwritten, f"{where}: {received} in the file, but {books}"
    assert books["duplicated"] == books["restarted"] == 0, f"{where}: {books}"
    assert books["unstamped"] == len(life.strangers), f"{where}: {life.strangers[:3]}, but {books}"
    if in_order:
        assert books["late"] == 0, f"{where}: {books}"
    if life.unwritten:  # what the file lacks Follow has seen, so the file cannot say what Follow missed
        return
    before = lost = after = 0
    for name, numbers in life.numbers.items():
        first, last = numbers[0], max(numbers)
        early = sum(number < first for number in numbers)
        gaps = last - first + 1 - (len(numbers) - early)
        if len(life.numbers) <= 20:  # an event names no more
            assert books["lost_by_sender"].get(name, 0) == gaps, f"{where}: {name} lost {gaps}, but {books}"
        before, lost, after = before + first - 1 - early, lost + gaps, after + senders[name].stamped - last
    assert (books["before"], books["lost"]) == (before, lost), f"{where}: {before}, {lost}, but {books}"
    stamped = sum(senders[name].stamped for name in life.numbers)
    assert books["lost"] + books["before"] + after == stamped - received, f"{where}: {stamped}, but {books}"
