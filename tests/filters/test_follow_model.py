"""Follow against sets: every way in which few messages can be lost, doubled, delayed, and cut by a restart.

A world is a sender that sends some messages, is started again, and sends some more, and a receiver that begins to
listen at some moment. What arrived cannot always say what was sent. Then the books must give bounds that hold in
every world that this can have come from, or say that they do not know.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations, product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from message_passing.filters import _sequences
from message_passing.filters.follow import FollowFilter
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAY = 2
"""By how many places a message may come too early or too late."""

MOST = 5
"""Messages that are sent."""


class Message(NamedTuple):
    """One that is sent: at which moment, by which life of the sender, and as which of that life."""

    moment: int
    life: int
    number: int


def lives(*lengths: int) -> list[Message]:
    """All messages of lives of these lengths, one after the other."""
    sent = [(life, number) for life, length in enumerate(lengths) for number in range(1, length + 1)]
    return [Message(10 * moment, *one) for moment, one in enumerate(sent, 1)]


@cache
def orders(count: int) -> list[tuple[int, ...]]:
    """In which orders so many can come."""
    return [
        order
        for order in permutations(range(count))
        if all(abs(place - one) <= DELAY for place, one in enumerate(order))
    ]


def arrivals(sent: list[Message]) -> set[tuple[Message, ...]]:
    """Everything that can arrive of these: any may be lost, one may come twice, and they may be delayed."""
    found = set()
    for times in product((0, 1, 2), repeat=len(sent)):
        if 0 < sum(times) <= MOST + 1 and times.count(2) <= 1:
            came = [one for one, count in zip(sent, times, strict=True) for _ in range(count)]
            found |= {tuple(came[index] for index in order) for order in orders(len(came))}
    return found


class Clock:
    """The receiver's: a message cannot come before it was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("message_passing.filters.follow.time", SimpleNamespace(time=lambda: self.now))


def run_id(sent: list[Message], life: int) -> str:
    """A life begins a little before its first message."""
    first = next(one for one in sent if one.life == life)
    return f"{int((first.moment - 1) * 1e9):016x}"


def books(
    clock: Clock, came: tuple[Message, ...], name: str = "a", runs: dict[int, str] | None = None
) -> Any:
    """What Follow says of them, each in a batch of its own."""
    follow = FollowFilter(output_to=Kept())
    clock.now = 0
    for one in came:
        clock.now = max(clock.now, one.moment)
        message: dict[str, Any] = {"sender": name, "sequence": one.number}
        if runs:
            message["sender_run"] = runs[one.life]
        follow.filter_many([message])
    totals = follow.totals()
    assert totals["received"] + totals["duplicated"] + totals["perhaps_lost"] == len(came)
    return SimpleNamespace(**totals)


def known_missing(sent: list[Message], came: tuple[Message, ...]) -> list[Message]:
    """Those that did not come, though a later one of the same life did."""
    highest: Counter[int] = Counter()
    for one in came:
        highest[one.life] = max(highest[one.life], one.number)
    return [one for one in sent if one not in set(came) and one.number < highest[one.life]]


def lost_in_each_world(sent: list[Message], came: tuple[Message, ...]) -> Iterator[int]:
    """How many of them were lost, if the receiver listened from the first message on, the second, and so on."""
    missing = known_missing(sent, came)
    for began in range(min(one.moment for one in came) // 10):
        yield sum(one.moment > 10 * began for one in missing)


def worlds() -> list[tuple[int, ...]]:
    """The lengths of lives."""
    return [(MOST,), *[(first, MOST - first) for first in range(1, MOST)], (2, 1, 2)]


@pytest.mark.parametrize("lengths", worlds(), ids=str)
def test_with_runs_the_books_are_exact(lengths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Received and duplicated always; lost is right, with `before` the only doubt, in every possible world."""
    clock, sent = Clock(monkeypatch), lives(*lengths)
    runs = {life: run_id(sent, life) for life in range(len(lengths))}
    for came in arrivals(sent):
        found = books(clock, came, runs=runs)
        assert found.received == len(set(came)), came
        assert found.duplicated == len(came) - len(set(came)), came
        assert found.perhaps_lost == found.ambiguous == found.estimated == 0, came
        assert found.restarted == len({one.life for one in came}) - 1, came
        assert found.lost + found.before == len(known_missing(sent, came)), came
        for lost in lost_in_each_world(sent, came):
            assert found.lost <= lost <= found.lost + found.before, came


def test_a_name_of_one_run_needs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that have process and start in them, as the log handler's, are followed as exactly."""
    clock, sent = Clock(monkeypatch), lives(MOST)
    for came in arrivals(sent):
        found = books(clock, came, name="web-1:4711:18a2b3c4d5e6f708")
        assert found.received == len(set(came)), came
        assert found.duplicated == len(came) - len(set(came)), came
        assert found.ambiguous == found.restarted == 0, came
        assert found.lost + found.before == len(known_missing(sent, came)), came


@pytest.mark.parametrize("lengths", worlds(), ids=str)
def test_without_runs_doubt_is_told(lengths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as a number comes again, they are an estimate and say so; if none does, they are those of one life."""
    clock, sent = Clock(monkeypatch), lives(*lengths)
    for came in arrivals(sent):
        found = books(clock, came)
        numbers = [one.number for one in came]
        if len(set(numbers)) < len(numbers):
            assert found.ambiguous, came
            assert found.estimated == found.lost, came
        else:
            assert found.ambiguous == found.duplicated == found.restarted == 0, came
            assert found.lost + found.before == max(numbers) - len(numbers), came
            assert found.before == numbers[0] - 1 - sum(number < numbers[0] for number in numbers), came


@pytest.mark.parametrize("remembered", [0, 1])
@pytest.mark.parametrize("lengths", [(MOST,), (1, 4)], ids=str)
def test_forgotten_gaps_leave_bounds(
    lengths: tuple[int, ...], remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes late where it is forgotten whether it was missing is neither lost nor received: it may be either."""
    clock, sent = Clock(monkeypatch), lives(*lengths)
    monkeypatch.setattr(_sequences, "GAPS", remembered)
    runs = {life: run_id(sent, life) for life in range(len(lengths))}
    some = 0
    for came in arrivals(sent):
        found = books(clock, came, runs=runs)
        some += found.perhaps_lost
        assert found.received <= len(set(came)) <= found.received + found.perhaps_lost, came
        assert found.duplicated <= len(came) - len(set(came)), came
        assert min(found.lost, found.before) >= 0, came
        for lost in lost_in_each_world(sent, came):
            assert found.lost <= lost <= found.lost + found.perhaps_lost + found.before, came
    assert some


def test_forgotten_runs_leave_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of a run that is no longer known is ambiguous, and without one the books are exact."""
    clock, sent = Clock(monkeypatch), lives(2, 1, 2)
    monkeypatch.setattr(_sequences, "RUNS", 1)
    monkeypatch.setattr("message_passing.filters._senders.RUNS", 1)
    runs = {life: run_id(sent, life) for life in range(3)}
    doubts = 0
    for came in arrivals(sent):
        found = books(clock, came, runs=runs)
        doubts += bool(found.ambiguous)
        if found.ambiguous:
            assert found.estimated == found.lost, came
        else:
            assert found.received == len(set(came)), came
            assert found.lost + found.before == len(known_missing(sent, came)), came
    assert doubts
