"""A command's chain as a process: opened, served until its end, and its losses reported."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from message_passing.announcer import Announcer, totals
from message_passing.cli.progress import ChainProgress
from message_passing.cli.run.ledger import Ledger
from message_passing.cli.run.pid_file import PidFile
from message_passing.cli.run.reload import Reload
from message_passing.cli.run.systemd import notify
from message_passing.cli.terminal import is_watched, tell
from message_passing.clock import iso_now
from message_passing.escaping import one_line
from message_passing.event_loop import keep_status_at_exit, obey_signals
from message_passing.graph import close_all, naming_opening, open_all, topological_order, with_parts
from message_passing.runner import Server
from message_passing.secure_files import trust
from message_passing.summaries import losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.chain import Chain
    from message_passing.cli.run.daemon import Daemon, Identity
    from message_passing.cli.run.ledger import LedgerOptions
    from message_passing.cli.run.reload import ReloadableCommand
    from message_passing.component import Component
    from message_passing.console.http_server import ConsoleServer
    from message_passing.errors import Fault

EXIT_OK, EXIT_FAILED, EXIT_USER_ERROR = 0, 1, 2
"""All is well; an input or the program itself failed; the user's mistake. A second signal: 128 + it."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What was found in a command, before anything is opened.

    Attributes:
        faults: what is wrong.
        warnings: what is to be said before it runs, though it is no mistake.
        chain: built, where nothing is wrong with it.
        console: what answers whoever watches, if that was asked for and can be made.
    """

    faults: list[Fault]
    warnings: list[Fault]
    chain: Chain | None
    console: ConsoleServer | None


@dataclass(slots=True)
class Prepared:
    """A chain that has been checked, and nothing of it opened.

    Attributes:
        command: what asked for it.
        chain: the chain, built.
        identity: the user to become, once privileged sockets are open.
        console: where it can be watched.
        ledger: where its losses are kept.
    """

    command: ReloadableCommand
    chain: Chain
    identity: Identity | None = None
    console: ConsoleServer | None = None
    ledger: LedgerOptions | None = None


class Service:
    """One chain in one process."""

    def __init__(self, title: str, prepared: Prepared, *, quiet: bool = False) -> None:
        """Take what was prepared.

        Args:
            title: what the command is called in messages.
            prepared: what to serve.
            quiet: say nothing of what is as it should be.
        """
        self._title = title
        self._prepared = prepared
        self.server = Server(prepared.chain.heads)
        self._reload = Reload(self.server, prepared.command, prepared.chain, self._switched)
        self.server.on_hangup = lambda: self.server.call(self._reload.apply)
        self._progress = ChainProgress(self.server)
        self._alive = is_watched(sys.stderr) and not quiet
        self._announcer = Announcer(
            lambda: self.server.components, self._tell_line, alive=self._alive, notes=not quiet
        )
        self._ledger = Ledger(self._tell_line)

    def _switched(self, names: Mapping[str, Component]) -> None:
        """The chain is another one now."""
        if self._prepared.console:
            self._prepared.console.relayout(names)

    def run(self, *, pid_file: str | None = None, daemon: Daemon | None = None) -> int:
        """Open the chain, become another user, and serve until the end.

        Returns:
            The exit status.
        """
        server, prepared = self.server, self._prepared
        keep_status_at_exit()
        with contextlib.ExitStack() as stack:
            stack.enter_context(obey_signals(server))  # until the PID file is gone, too
            pid = stack.enter_context(PidFile(pid_file)) if pid_file else None
            stack.callback(self._tell_losses)
            stack.callback(lambda: close_all(server.heads, errors=True))
            if prepared.ledger:
                self._ledger.prepare(prepared.ledger, prepared.identity)
            if prepared.identity:
                trust(prepared.identity.uid)
                open_all(
                    server.heads,
                    only=lambda component: component.privileged,
                    errors=True,
                    within=naming_opening,
                )
                prepared.identity.assume()
            open_all(server.heads, errors=True, within=naming_opening)
            self._ledger.begin(server.losses)
            if prepared.console:
                stack.callback(prepared.console.close)
                prepared.console.start(server, prepared.chain.components)
            if pid:
                pid.write()
            stack.callback(self._progress.stop)
            server.run(on_ready=lambda: self._ready(daemon), on_end=self._ending)
        return self._status()

    def _status(self) -> int:
        failures = [
            f"{head.title} failed: {type(error).__name__}: {error}" for head, error in self.server.failures
        ]
        for text in failures:
            self._tell_line(text)
        return EXIT_FAILED if failures else EXIT_OK

    def _ready(self, daemon: Daemon | None) -> None:
        notify("READY=1")
        if daemon:
            daemon.report(EXIT_OK)
        else:
            self._progress.start()
        self._announcer.start()

    def _ending(self) -> None:
        self._progress.stop()
        self._announcer.end()
        notify("STOPPING=1")

    def _tell_losses(self) -> None:
        self.server.losses.finish(self.server.components, tell=False)
        self._ledger.close()
        components = [*self._reload.retired, *self.server.components]
        main = topological_order(self.server.heads) if self._alive else ()
        for line in [*totals(main), *losses(with_parts(dict.fromkeys(components)))]:
            self._tell_line(line)

    def _tell_line(self, text: str) -> None:
        tell(f"{self._title}: {iso_now()}: {one_line(text)}\n")
