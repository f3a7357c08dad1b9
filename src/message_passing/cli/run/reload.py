"""SIGHUP: files are reopened, and a changed configuration is applied, or rejected with the reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

from message_passing.cli.run.systemd import notify
from message_passing.cli.terminal import tell
from message_passing.clock import iso_now
from message_passing.errors import UserError
from message_passing.escaping import one_line
from message_passing.reconfigure import ChainUpdate
from message_passing.summaries import collect_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_passing.chain import Chain
    from message_passing.component import Component
    from message_passing.runner import Server


class ReloadableCommand(Protocol):
    """What a reload needs from a command."""

    def title(self) -> str:
        """Its name in messages."""

    def changed(self) -> Self | None:
        """The command as it would be started now; None when that makes no difference."""

    def build(self) -> Chain:
        """Its chain."""


class Reload:
    """Applies changes to a running chain.

    Attributes:
        chain: the one that runs.
        retired: components that no longer run, whose losses are still to be reported.
    """

    def __init__(
        self,
        server: Server,
        command: ReloadableCommand,
        chain: Chain,
        on_switched: Callable[[Mapping[str, Component]], object],
    ) -> None:
        """Prepare it.

        Args:
            server: runs the chain.
            command: the command as it was started.
            chain: its chain, built.
            on_switched: called with the components by name when the chain has become another one.
        """
        self.chain = chain
        self.retired: list[Component] = []
        self._server, self._command, self._on_switched = server, command, on_switched

    def apply(self) -> None:
        """Reopen files, and apply what has changed. Within the server's loop, so between two batches."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._apply_changes()
        except UserError as error:
            self._stay(*map(str, error.faults))
        except Exception as error:  # noqa: BLE001 - a component's own fault must not end the chain that runs
            self._stay(f"{type(error).__name__}: {error}")
        self._server.reopen()
        notify("READY=1")

    def _stay(self, *reasons: str) -> None:
        for reason in (*reasons, "keeping the previous configuration"):
            self._tell(reason)

    def _apply_changes(self) -> None:
        command = self._command.changed()
        if command is None:
            return
        after = command.build()
        change = ChainUpdate(self._server, self.chain, after)
        change.check()
        for text in collect_warnings([after.components[name] for name in (*change.added, *change.replaced)]):
            self._tell(f"warning: {text}")
        try:
            change.run()
        except Exception:
            self.retired += change.retired
            self._on_switched(self.chain.components)
            raise
        self._command, self.chain = command, after
        self.retired += change.retired
        self._on_switched(after.components)
        self._tell(f"the configuration has been read again: {_told(change)}")

    def _tell(self, text: str) -> None:
        tell(f"{self._command.title()}: {iso_now()}: {one_line(text)}\n")


def _told(change: ChainUpdate) -> str:
    parts = (("added", change.added), ("replaced", change.replaced), ("removed", change.removed))
    texts = [f"{what} {', '.join(names)}" for what, names in parts if names]
    return "; ".join(texts) or "only connections have changed"
