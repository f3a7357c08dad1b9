"""What a command does for a part of its chain that has a life beside the chain: starting it needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.flow import Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from message_passing.component import Component


class Attended(Filter):
    """A part of a chain that is told how the chain fares, and may end it.

    Attributes:
        stop: ends the chain.
        is_stopping: whether somebody asked for the end, and waits for it.
    """

    def on_init(self) -> None:
        """Until somebody runs it, it is on its own."""
        super().on_init()
        self.stop: Callable[[], object] = lambda: None
        self.is_stopping: Callable[[], bool] = lambda: False

    def attend(self) -> None:
        """The event loop runs: begin, though no message may come for long."""

    def finish(self) -> None:
        """No more messages will come: `drain` now waits for all that were taken."""

    def hopeless(self) -> str:
        """Why it cannot go on; empty as long as it can."""
        return ""

    def counted(self) -> list[Component]:
        """What stands for the parts of the chain that run elsewhere, with their counters."""
        return []

    def look(self) -> None:
        """Somebody watches: find out, for the next seconds, where the time of those parts goes."""

    def shares(self) -> Mapping[Component, float]:
        """What was found out: their shares of the time, from 0 to 1; empty when nobody watches."""
        return {}

    def described_workers(self) -> list[dict[str, Any]]:
        """The processes in which they run: `number`, `pid`, `ready`, `outstanding` messages."""
        return []


def attended(components: Iterable[Component]) -> list[Attended]:
    """Those among some components."""
    return [one for one in components if isinstance(one, Attended)]


def with_parts(components: Iterable[Component]) -> list[Component]:
    """All of them, each followed by those of its parts that run elsewhere."""
    found: list[Component] = []
    for one in components:
        found += [one, *one.counted()] if isinstance(one, Attended) else [one]
    return found
