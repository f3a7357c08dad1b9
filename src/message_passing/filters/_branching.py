"""The base of filters with several outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.flow import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.flow import Output


class Branching(Filter):
    """A filter whose `output_to` is one output or a list of them; its branches lead there."""

    def on_init(self) -> None:
        """Resolve each of `output_to`."""
        given = self.output_to
        targets = _as_list(given)
        self.output_to = targets[0] if targets else None
        super().on_init()
        self._branch_to(given, targets)

    def connect_to(self, target: Any) -> None:
        """Set `output_to` after construction: one output or a list of them."""
        targets = _as_list(target)
        super().connect_to(targets[0] if targets else None)
        self._branch_to(target, targets)

    def _branch_to(self, given: Any, targets: Sequence[Any]) -> None:
        self.output_to = given
        self._branches = [self.as_output(target) for target in targets] or [self.as_output(None)]
        self.on_branches()

    def on_branches(self) -> None:
        """It has these branches from now on."""

    def outputs(self) -> Sequence[Output]:
        """All outputs."""
        return tuple(self._branches)


def _as_list(targets: Any) -> Sequence[Any]:
    return targets if isinstance(targets, (list, tuple)) else [targets]
