"""The ledger of a command's node: where it is, and when it is opened and closed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from message_passing.errors import OpenError
from message_passing.ledger.state_dir import default_state_dir, ensure_state_dir
from message_passing.paths import load_own

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.cli.run.daemon import Identity
    from message_passing.ledger.writer import LedgerWriter
    from message_passing.loss_monitor import LossMonitor


LEAST_LEDGER_BYTES = 1024 * 1024
"""The smallest allowed size of a ledger."""


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """The ledger's settings.

    Attributes:
        node: the node's name in it.
        days: for how long losses are kept.
        max_bytes: its maximum size on disk.
        folder: the directory; empty for the default one, without which the node runs as well.
    """

    node: str
    days: int
    max_bytes: int
    folder: str = ""

    @classmethod
    def of(cls, command: Any, node: str) -> Self | None:
        """The settings from a command's options; None if it was not requested and the node has no console.

        Args:
            command: has the options as attributes.
            node: what the node is called.
        """
        if not (command.state_dir or command.control or command.http or os.environ.get("STATE_DIRECTORY")):
            return None
        return cls(node, command.ledger_days, command.ledger_bytes, command.state_dir)


class Ledger:
    """None, until it has begun."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        """Nothing is kept yet.

        Args:
            tell: says a sentence to a person.
        """
        self._tell = tell
        self._options: LedgerOptions | None = None
        self._path: Path | None = None
        self._writer: LedgerWriter | None = None

    def prepare(self, options: LedgerOptions, identity: Identity | None) -> None:
        """Create the directory, while this process may still be root.

        Raises:
            OpenError: the requested directory cannot be used. A failure of the default one is only reported.
        """
        owner = (identity.uid, identity.gid) if identity and os.geteuid() != identity.uid else None
        folder = Path(options.folder) if options.folder else default_state_dir()
        place = "--state_dir" if options.folder else ""
        try:
            self._options, self._path = options, ensure_state_dir(folder.absolute(), owner=owner, place=place)
        except OpenError as error:
            if options.folder:
                raise
            self._tell(f"losses are not kept for `message-passing losses`: {error}")

    def begin(self, losses: LossMonitor) -> None:
        """Record what is lost from now on."""
        if self._path and self._options:
            one = self._options
            # Imported when it is asked for: it brings SQLite with it.
            writer = cast("type[LedgerWriter]", load_own("message_passing.ledger.writer:LedgerWriter"))
            self._writer = writer(
                self._path,
                node=one.node,
                days=one.days,
                max_bytes=one.max_bytes,
                pid=os.getpid(),
                tell=self._tell,
            )
            losses.keep, losses.ledger, losses.node = self._writer.add, self._path, one.node

    def close(self) -> None:
        """Write what is left."""
        if self._writer:
            self._writer.close()
            self._writer = None
