"""What a component has done with the messages it was given: counters, and a snapshot of them.

For every component, at any moment: received = passed + filtered + dropped + failed + held; a component that makes
several messages out of one (a line splitter, `T`) passes more than it received. A frame that carries several messages
counts as these where it is made and where it is lost.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILED_REASON = "failed"
"""The reason of messages that could not be handled: each has a report of its own, or is counted in one."""

UNSENT = "unsent at close"
"""The reason for messages that a component still held when it was closed."""


class Snapshot(TypedDict):
    """One component's counters, as plain numbers (messages)."""

    received: int
    passed: int
    filtered: int
    dropped: dict[str, int]
    failed: int
    held: int


class Metrics:
    """The counters of one component, in messages.

    Attributes:
        received: given to the component, or received from outside by an input.
        passed: passed on by an input or a filter; for an output, what remains of `received`.
        filtered: removed by a filter's decision: not a loss.
        dropped: lost, by reason: a queue was full, no receiver was connected.
        failed: could not be handled; each was reported to the error chain.
        losses: all that were dropped or have failed.
        coming_again: of those failed (`FAILED_REASON`) and dropped, by reason, how many their input has not
            acknowledged: they are delivered once more, and not lost.
    """

    __slots__ = ("coming_again", "dropped", "failed", "filtered", "losses", "passed", "received")

    def __init__(self) -> None:
        self.received = 0
        self.passed = 0
        self.filtered = 0
        self.dropped: Counter[str] = Counter()
        self.failed = 0
        self.losses = 0
        self.coming_again: Counter[str] = Counter()

    def add(self, snapshot: Snapshot) -> None:
        """Add those of a snapshot, taken in another process for one."""
        self.received += snapshot["received"]
        self.passed += snapshot["passed"]
        self.filtered += snapshot["filtered"]
        self.failed += snapshot["failed"]
        self.dropped.update(snapshot["dropped"])
        self.losses += snapshot["failed"] + sum(snapshot["dropped"].values())

    def lost(self) -> int:
        """How many messages were received and are lost, other than by a filter's decision."""
        return self.losses

    def lost_for_good(self) -> Counter[str]:
        """How many are lost, by reason, without those that come again."""
        lost = lost_by_reason(self.dropped, self.failed)
        lost.subtract(dict(self.coming_again))
        return +lost

    def snapshot(self, *, held: int = 0) -> Snapshot:
        """The counters now, with what the component still holds."""
        return Snapshot(
            received=self.received,
            passed=self.passed,
            filtered=self.filtered,
            dropped=dict(self.dropped),
            failed=self.failed,
            held=held,
        )


def lost_by_reason(dropped: Mapping[str, int], failed: int) -> Counter[str]:
    """How many messages were dropped or have failed, by reason."""
    lost = Counter(dropped)
    if failed:
        lost[FAILED_REASON] += failed
    return lost


def growth(count: int, before: int) -> int:
    """How much a counter has grown since it was `before`. One that is less than that has begun anew."""
    return count - before if count >= before else count


def says_full(reason: str) -> bool:
    """Whether a reason of `Component.drop` says that a queue had no room: `queue full`, `receive buffer full`."""
    return "full" in reason.split()


def plural(count: int) -> str:
    """A number of messages: `1 message`, `2 messages`."""
    return f"{count} message{'' if count == 1 else 's'}"


def lost_words(lost: Mapping[str, int], possibly: Mapping[str, int]) -> tuple[str, str]:
    """How many messages were lost, and why, as text: `3 to 8`, and `3 queue full, up to 5 unsent at close`.

    Args:
        lost: messages that were lost, by reason.
        possibly: how many more may have been lost, at most, by reason.

    Returns:
        Both; empty strings if nothing was lost.
    """
    least, most = sum(lost.values()), sum(lost.values()) + sum(possibly.values())
    reasons = [f"{count} {reason}" for reason, count in lost.items() if count]
    reasons += [f"up to {count} {reason}" for reason, count in possibly.items() if count]
    if not most:
        return "", ""
    return f"{least}" if least == most else f"{least} to {most}" if least else f"up to {most}", ", ".join(
        reasons
    )
