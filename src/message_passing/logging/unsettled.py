"""What was handed over and is not settled yet: acknowledged, or on disk where there is a spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.delivery import Hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.delivery import Outcome


class _Written:
    """The fate of records that were handed over together: see `Fate`."""

    comes_again = False
    tried = 0

    def __init__(self, number: int, unsettled: set[int]) -> None:
        self._number = number
        self._unsettled = unsettled
        unsettled.add(number)

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:
        """What is lost is counted where that happens."""

    def take(self, _token: object) -> None:
        """There is one holder."""

    def give(self, _token: object) -> None:
        """They are settled."""
        self._unsettled.discard(self._number)


class UnsettledWrites:
    """Numbers of what was handed over. Any thread may settle, without a lock: a set's methods are not interrupted.

    Attributes:
        count: how often something was handed over.
    """

    def __init__(self) -> None:
        """Nothing was."""
        self.count = 0
        self._unsettled: set[int] = set()

    def hold(self) -> Hold:
        """What settles records that are handed over now, when it is released."""
        self.count += 1
        return Hold(_Written(self.count, self._unsettled))

    def settled_to(self, count: int) -> bool:
        """Whether that much, from the beginning on, is settled."""
        return min(self._unsettled.copy(), default=self.count + 1) > count

    def clear(self) -> None:
        """Nothing more will be settled."""
        self._unsettled.clear()
