"""Which targets of an output take nothing at present, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.abbreviation import abbreviate_text

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST_OBSTACLES = 1000
"""Of so many targets it is known; of more it may be reported again."""

_TARGET_LENGTH = 200
"""Characters of a target that a person is shown: it may be made of what somebody has sent."""


class Obstacles:
    """Those of one output, by target."""

    def __init__(self) -> None:
        """None."""
        self._reasons: dict[Hashable, str] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def meet(self, target: Hashable, reason: str) -> str:
        """A target has not taken a batch, which is tried again: what is to be reported, if that is new."""
        new = target not in self._reasons
        if new and len(self._reasons) >= _MOST_OBSTACLES:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[target] = reason
        return _sentence(target, reason) if new else ""

    def overcome(self, target: Hashable) -> None:
        """A target has taken a batch."""
        self._reasons.pop(target, None)

    def described(self, most: int) -> list[str]:
        """So many of them at most, in sentences."""
        return [_sentence(target, reason) for target, reason in list(self._reasons.items())[:most]]


def addressed(target: Hashable, text: str) -> str:
    """A sentence about what was to go to a target; where there is only one, that needs no name."""
    return text if target is None else f"{abbreviate_text(str(target), _TARGET_LENGTH)}: {text}"


def _sentence(target: Hashable, reason: str) -> str:
    return addressed(target, f"not accepted; retrying: {reason}")
