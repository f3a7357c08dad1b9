"""Writing a command of one's own on the machinery of `message-passing` (Message::Passing::Role::Script).

    class Collector(Script):
        \"\"\"Collect log messages and print them.\"\"\"

        socket_bind: str = option(default="tcp://*:5558", description="Where to listen.")
        output = CLIComponent("output", default="STDOUT")

        def build_chain(self) -> Chain:
            with message_chain() as chain:
                self.output.declare(chain, "out")
                chain.input("zmq", "ZeroMQ", socket_bind=self.socket_bind, output_to="out")
            return chain

    if __name__ == "__main__":
        Collector.start()

It has `--socket_bind`, `--output`, `--output_options`, and what every such command has: `--daemonize`,
`--pid_file`, `--user`, `--io_priority`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self

from message_passing import options as option_rules
from message_passing.chain import UnusedComponentWarning
from message_passing.cli.arguments import build_parser, parse
from message_passing.cli.components import CLIComponent
from message_passing.cli.process import Daemon, Identity, PidFile, set_io_priority, tell
from message_passing.cli.systemd import notify
from message_passing.errors import Fault, UserError, collecting
from message_passing.graph import close_all, in_order, open_all
from message_passing.options import option
from message_passing.runner import Server, cautions, losses, obey_signals
from message_passing.version import __version__
from message_passing.workers.attended import attended, with_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.chain import Chain
    from message_passing.cli.arguments import Given
    from message_passing.component import Component
    from message_passing.flow import Input
    from message_passing.workers.attended import Attended

__all__ = ["CLIComponent", "Script"]

EXIT_OK, EXIT_FAILED, EXIT_USER_ERROR = 0, 1, 2
"""All is well; an input or the program itself failed; the user's mistake. A second signal: 128 + it."""


class Script:
    """A command: its options, the chain it builds of them, and its life as a process."""

    prog: ClassVar[str] = ""
    """What it is called in messages; the class's name when left empty."""

    daemonize: bool = option(default=False, description="Go to the background once the chain runs.")
    pid_file: str | None = option(default=None, description="File to write the process id to.")
    user: str | None = option(default=None, description="User to become, once privileged sockets are open.")
    io_priority: Literal["none", "be", "rt", "idle"] | None = option(
        default=None, description="Input/output scheduling class."
    )

    def __init__(self, given: Given) -> None:
        """Take what the command was given.

        Raises:
            UserError: it cannot be made, for want of an option; with all faults that were found.
        """
        self.given = given
        self.chosen = {flag: one.chosen_in(given) for flag, one in self.component_choices().items()}
        for name, value in self._own_options().items():
            setattr(self, name, value)

    def _own_options(self) -> dict[str, Any]:
        """The command's own options; for each wrong one its default, so that other faults are found too."""
        given, prefix = self.given, f"{self.title()}: "
        known = option_rules.declared(type(self))
        own = {name: value for name, value in given.values.items() if name in known}
        try:
            return option_rules.check(known, own, label=self.title(), from_text=True)
        except UserError as error:
            wrong = {fault.where for fault in error.faults}
            for fault in error.faults:
                if fault.where:  # otherwise it is one that is missing
                    text = fault.text.removeprefix(prefix)
                    given.faults.append(Fault(text, given.places[fault.where]))
        for name, one in known.items():
            if one.required and not {name} & (own.keys() | given.told):
                given.faults.append(Fault(f"--{name} is required ({one.type_text})"))
        right = {name: value for name, value in own.items() if name not in wrong}
        try:
            return option_rules.check(known, right, label=self.title(), from_text=True)
        except UserError as error:
            raise UserError(*given.faults) from error

    def build_chain(self) -> Chain:
        """The chain to run. Every command defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define build_chain")

    @classmethod
    def title(cls) -> str:
        """What it is called in messages."""
        return cls.prog or cls.__name__

    @classmethod
    def component_choices(cls) -> dict[str, CLIComponent]:
        """The pairs that the class and its bases declare."""
        found: dict[str, CLIComponent] = {}
        for base in reversed(cls.__mro__):
            found |= {name: value for name, value in vars(base).items() if isinstance(value, CLIComponent)}
        return found

    @classmethod
    def help_text(cls) -> str:
        """What `--help` prints."""
        lines = [f"Usage: {cls.title()} [OPTION...]", "", (cls.__doc__ or "").partition("\n")[0], ""]
        for flag, choice in cls.component_choices().items():
            default = f"default {choice.default}" if choice.default else "required"
            lines.append(f"  --{flag} NAME".ljust(24) + f"The {choice.kind} ({default}).")
            lines.append(f"  --{flag}_options OPT".ljust(24) + "Its options: JSON, @file or key=value.")
        for name, one in option_rules.declared(cls).items():
            word = f"  --{name}" if one.type is bool else f"  --{name} VALUE"
            lines.append(word.ljust(24) + one.description)
        return "\n".join([*lines, ""])

    @classmethod
    def printers(cls) -> dict[str, Callable[[str], str]]:
        """The options that print a text and end, and what each prints for the word that may follow it."""
        return {"help": lambda _: cls.help_text(), "version": lambda _: f"{cls.title()} {__version__}\n"}

    @classmethod
    def read(cls, words: Sequence[str]) -> Self:
        """The command that these words ask for.

        Raises:
            UserError: see `__init__`.
        """
        return cls(cls.read_words(words))

    @classmethod
    def read_words(cls, words: Sequence[str]) -> Given:
        """What the words give."""
        choices = cls.component_choices()
        parser = build_parser(cls.title(), choices, option_rules.declared(cls), cls.printers())
        return parse(parser, words)

    @classmethod
    def start(cls, words: Sequence[str] | None = None) -> NoReturn:
        """Run the command and end the process with its exit status."""
        sys.exit(cls.main(sys.argv[1:] if words is None else words))

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command.

        Returns:
            The exit status: see `EXIT_OK` and its neighbours.
        """
        daemon = None
        try:
            script = cls.read(words)
            heads, identity = script.prepare()
            daemon = Daemon.start() if script.daemonize else None
            return script.run(heads, identity, daemon)
        except UserError as error:
            text = "".join(f"{cls.title()}: {fault}\n" for fault in error.faults)
            return _end(daemon, EXIT_USER_ERROR, text)
        except KeyboardInterrupt:  # before signals were obeyed
            return _end(daemon, 128 + signal.SIGINT, "")
        except Exception:  # noqa: BLE001 - a fault of ours or of a component's: all that is known is told
            return _end(daemon, EXIT_FAILED, traceback.format_exc())

    def prepare(self) -> tuple[list[Input], Identity | None]:
        """The chain, built and checked as far as that goes without opening anything, and whom to become.

        Raises:
            UserError: with every fault that was found.
        """
        faults: list[Fault] = []
        chain = self.assemble(faults, lambda warning: tell(f"{self.title()}: warning: {warning}\n"))
        heads = chain.heads if chain else []
        identity = None
        if self.user:
            with collecting(faults):
                identity = Identity.of(self.user)
        if self.io_priority:
            with collecting(faults):
                set_io_priority(self.io_priority)
        for component in in_order(heads, errors=True):
            with collecting(faults, component.label):
                component.preflight()
        if faults or not heads:
            raise UserError(*dict.fromkeys(faults))
        for text in cautions(in_order(heads, errors=True)):
            tell(f"{self.title()}: warning: {text}\n")
        return heads, identity

    def assemble(
        self, faults: list[Fault], on_warning: Callable[[UnusedComponentWarning], object]
    ) -> Chain | None:
        """The chain, built and connected; nothing outside this process has been asked.

        Args:
            faults: all that is wrong with what the command was given is added here.
            on_warning: called with each component that nothing outputs to.

        Returns:
            The chain; none if something is wrong with it.
        """
        faults += self.given.faults
        built = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UnusedComponentWarning)
            with collecting(faults):
                chain = self.build_chain()
                chain.build()
                built = chain
        for warning in caught:
            if isinstance(warning.message, UnusedComponentWarning):
                on_warning(warning.message)
        return built

    def run(self, heads: list[Input], identity: Identity | None = None, daemon: Daemon | None = None) -> int:
        """Open the chain, become another user, and serve until the end.

        Returns:
            The exit status.
        """
        server = Server(heads)
        pools = attended(server.components)
        for pool in pools:
            pool.stop, pool.is_stopping = server.stop, lambda: server.stopping
        with contextlib.ExitStack() as stack:
            pid_file = stack.enter_context(PidFile(self.pid_file)) if self.pid_file else None
            stack.enter_context(obey_signals(server))
            stack.callback(self._tell_losses, server.components)
            stack.callback(close_all, heads, errors=True)
            if identity:
                open_all(heads, only=lambda component: component.privileged, errors=True)
                identity.assume()
            open_all(heads, errors=True)
            if pid_file:
                pid_file.write()
            server.run(on_ready=lambda: self._ready(daemon, pools), on_end=lambda: self._ending(pools))
        for head, error in server.failures:
            tell(f"{self.title()}: {head.label} failed: {type(error).__name__}: {error}\n")
        hopeless = [reason for pool in pools if (reason := pool.hopeless())]
        for reason in hopeless:
            tell(f"{self.title()}: {reason}\n")
        return EXIT_FAILED if server.failures or hopeless else EXIT_OK

    def _ready(self, daemon: Daemon | None, pools: Sequence[Attended]) -> None:
        for pool in pools:
            pool.attend()
        notify("READY=1")
        if daemon:
            daemon.report(EXIT_OK)

    def _ending(self, pools: Sequence[Attended]) -> None:
        notify("STOPPING=1")
        for pool in pools:
            pool.finish()

    def _tell_losses(self, components: Sequence[Component]) -> None:
        for line in losses(with_parts(components)):
            tell(f"{self.title()}: {line}\n")


def _end(daemon: Daemon | None, status: int, text: str) -> int:
    if not (daemon and daemon.report(status, text)):
        tell(text)
    return status
