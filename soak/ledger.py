"""What arrived, read from the aggregator's files in order; and whether Follow's books say the same at every event."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 20
"""Senders that an event names, at most."""


class _Line(msgspec.Struct):
    """What of a line is looked at."""

    sender: Any = None
    sequence: Any = None
    extra: Any = None
    event: Any = None


_decode = msgspec.json.Decoder(_Line).decode
_decode_whole = msgspec.json.Decoder().decode


@dataclass(slots=True)
class _Followed:
    """What has come of one sender in one lifetime of the aggregator: an own count, to compare Follow's with."""

    first: int
    highest: int = 0
    received: int = 0
    early: int = 0
    late: int = 0

    def take(self, number: int) -> None:
        """One more, which had not come before."""
        self.received += 1
        self.late += number < self.highest
        self.early += number < self.first
        self.highest = max(self.highest, number)

    @property
    def lost(self) -> int:
        """Numbers from the first one on that have not come."""
        return self.highest - self.first + 1 - (self.received - self.early)

    @property
    def before(self) -> int:
        """Numbers below the first one that have not come."""
        return self.first - 1 - self.early


@dataclass(slots=True)
class Ledger:
    """All that arrived at an aggregator or at workers.

    Attributes:
        arrived: of each sender, for each number the lifetime (from 1 on) in which it came; 0 if it did not.
        lines: messages with a stamp.
        unstamped: those without: handlers' notices, and what garbage happened to say.
        events: of Follow, and every one of them was compared.
        wrong: what must not be.
    """

    arrived: dict[str, array[int]] = field(default_factory=dict)
    lines: int = 0
    unstamped: int = 0
    events: int = 0
    wrong: list[str] = field(default_factory=list)
    _lifetime: int = 0
    _followed: dict[str, _Followed] = field(default_factory=dict)
    _unstamped_now: int = 0

    def read(self, path: Path, lifetime: int, *, torn: bool = False) -> None:
        """Take the lines of a file, and remove it.

        Args:
            path: the next one that the aggregator wrote.
            lifetime: which of its lives wrote it, from 1 on.
            torn: it was killed, so that the last line may be cut off. What is left of that did not arrive.
        """
        if lifetime != self._lifetime:
            self._lifetime, self._followed, self._unstamped_now = lifetime, {}, 0
        *lines, rest = path.read_bytes().split(b"\n")
        if rest and not torn:
            self.wrong.append(f"{path.name} ends within a line, and nobody was killed: {rest[:80]!r}")
        for line in lines:
            self._take(line)
        path.unlink()

    def _take(self, line: bytes) -> None:
        try:
            found = _decode(line)
        except msgspec.ValidationError:  # a value that is no object: somebody's garbage
            found = _Line()
        if found.event == "senders" and found.sequence is None:
            self._compare(_decode_whole(line))
        elif type(found.sender) is str and type(found.sequence) is int:
            self._arrive(found.sender, found.sequence, found.extra)
        else:
            self.unstamped += 1
            self._unstamped_now += 1

    def _arrive(self, sender: str, number: int, extra: Any) -> None:
        name = extra["slot"] if isinstance(extra, dict) else sender
        marks = self.arrived.setdefault(name, array("H"))
        if number >= len(marks):
            marks.extend([0] * (number + 1 - len(marks) + 4096))
        if marks[number]:
            self.wrong.append(
                f"{name} {number} arrived twice: lifetimes {marks[number]} and {self._lifetime}"
            )
            return
        marks[number] = self._lifetime
        self.lines += 1
        followed = self._followed.get(sender)
        if followed is None:
            followed = self._followed[sender] = _Followed(number)
        followed.take(number)

    def _compare(self, event: dict[str, Any]) -> None:
        self.events += 1
        all_of_them = self._followed.values()
        lost = {name: one.lost for name, one in self._followed.items() if one.lost}
        expected: dict[str, Any] = {
            "received": sum(one.received for one in all_of_them),
            "lost": sum(lost.values()),
            "before": sum(one.before for one in all_of_them),
            "late": sum(one.late for one in all_of_them),
            "duplicated": 0,
            "restarted": 0,
            "senders": len(self._followed),
            "unstamped": self._unstamped_now,
        }
        if len(lost) <= _SHOWN:
            expected["lost_by_sender"] = lost
        for key, value in expected.items():
            if event[key] != value:
                self.wrong.append(
                    f"lifetime {self._lifetime}: Follow says {key} {event[key]}, and it is {value}"
                )
