"""Which targets of an output accept nothing at present, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.abbreviation import abbreviate_text

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST_OBSTACLES = 1000
"""The most targets that are remembered; for others an obstacle may be reported again."""

_TARGET_LENGTH = 200
"""The most characters of a target that are shown: it may contain data from a sender."""


class Obstacles:
    """The obstacles of one output, by target."""

    def __init__(self) -> None:
        """Start without any."""
        self._reasons: dict[Hashable, str] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def meet(self, target: Hashable, reason: str) -> str:
        """Record that a target has not accepted a batch, which is retried; return the report, if that is new."""
        new = target not in self._reasons
        if new and len(self._reasons) >= _MOST_OBSTACLES:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[target] = reason
        return _sentence(target, reason) if new else ""

    def overcome(self, target: Hashable) -> None:
        """Record that a target has accepted a batch."""
        self._reasons.pop(target, None)

    def described(self, most: int) -> list[str]:
        """At most this many of them, as sentences."""
        return [_sentence(target, reason) for target, reason in list(self._reasons.items())[:most]]


def addressed(target: Hashable, text: str) -> str:
    """A sentence about messages to a target; a single target is not named."""
    return text if target is None else f"{abbreviate_text(str(target), _TARGET_LENGTH)}: {text}"


def _sentence(target: Hashable, reason: str) -> str:
    return addressed(target, f"not accepted; retrying: {reason}")
