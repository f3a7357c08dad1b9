"""What a component has done with the messages it was given: counters, and a snapshot of them.

For every component, at any moment: received = passed + filtered + dropped + failed + held, where a
component that makes several messages out of one (a line splitter, `T`) passes more than it received. A frame that
carries several messages counts as these, where it is made and where it is lost.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSENT = "unsent at close"
"""Why messages are lost that a component still had when it was closed."""


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
        received: given to the component, or taken from outside by an input.
        passed: handed on by an input or a filter. An output's is what is left of `received`.
        filtered: removed because a filter said so: not a loss.
        dropped: lost, by reason: a queue was full, nobody listened.
        failed: could not be handled; each went to the error chain.
    """

    __slots__ = ("dropped", "failed", "filtered", "passed", "received")

    def __init__(self) -> None:
        self.received = 0
        self.passed = 0
        self.filtered = 0
        self.dropped: Counter[str] = Counter()
        self.failed = 0

    def add(self, snapshot: Snapshot) -> None:
        """Add those of a snapshot, taken in another process for one."""
        self.received += snapshot["received"]
        self.passed += snapshot["passed"]
        self.filtered += snapshot["filtered"]
        self.failed += snapshot["failed"]
        self.dropped.update(snapshot["dropped"])

    def lost(self) -> int:
        """How many messages came in and will never go out, though nobody asked for that."""
        return self.dropped.total() + self.failed

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


def says_full(reason: str) -> bool:
    """Whether a reason of `Component.drop` says that a queue had no room: `queue full`, `receive buffer full`."""
    return "full" in reason.split()


def plural(count: int) -> str:
    """A number of messages: `1 message`, `2 messages`."""
    return f"{count} message{'' if count == 1 else 's'}"


def lost_words(lost: Mapping[str, int], possibly: Mapping[str, int]) -> tuple[str, str]:
    """How many messages were lost, and why, in words: `3 to 8`, and `3 queue full, up to 5 unsent at close`.

    Args:
        lost: messages that were lost, by reason.
        possibly: and how many besides may have been, at most.

    Returns:
        Both; empty texts if nothing can be lost.
    """
    least, most = sum(lost.values()), sum(lost.values()) + sum(possibly.values())
    reasons = [f"{count} {reason}" for reason, count in lost.items() if count]
    reasons += [f"up to {count} {reason}" for reason, count in possibly.items() if count]
    if not most:
        return "", ""
    return f"{least}" if least == most else f"{least} to {most}" if least else f"up to {most}", ", ".join(
        reasons
    )
