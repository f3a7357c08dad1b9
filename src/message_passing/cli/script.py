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
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self

from message_passing import options as option_rules
from message_passing.chain import UnusedComponentWarning
from message_passing.cli.arguments import build_parser, parse
from message_passing.cli.process import Daemon, Identity, open_pid_file, set_io_priority
from message_passing.cli.systemd import notify
from message_passing.config import options_from_text
from message_passing.declaration import Declaration
from message_passing.errors import Fault, OpenError, UserError
from message_passing.graph import close_all, in_order, open_all
from message_passing.options import option
from message_passing.runner import Server, losses, obey_signals
from message_passing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_passing.chain import Chain
    from message_passing.flow import Input

EXIT_OK, EXIT_FAILED, EXIT_USER_ERROR = 0, 1, 2
"""All is well; an input or the program itself failed; the user's mistake. A second signal: 128 + it."""


@dataclass(frozen=True, slots=True)
class ComponentChoice:
    """Which component a user chose on the command line, and its options."""

    kind: str
    flag: str
    component: str
    options: dict[str, Any]

    def declare(self, chain: Chain, name: str, *, output_to: str | Sequence[str] = ()) -> None:
        """Declare it in `chain` under `name`."""
        targets = (output_to,) if isinstance(output_to, str) else tuple(output_to)
        chain.declare(
            Declaration(
                kind=self.kind,
                name=name,
                component=self.component,
                options=self.options,
                output_to=targets,
                place=f"--{self.flag}",
                options_place=f"--{self.flag}_options",
                from_text=True,
            )
        )


class CLIComponent:
    """In a `Script`'s body: adds `--NAME` and `--NAME_options` (Message::Passing::Role::CLIComponent)."""

    def __init__(self, kind: str, *, default: str | None = None) -> None:
        """Declare the pair.

        Args:
            kind: `input`, `decoder`, `filter`, `encoder` or `output`.
            default: the component when none is named; without one, naming it is required.
        """
        self.kind = kind
        self.default = default
        self.flag = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name."""
        self.flag = name

    def __get__(self, instance: Script | None, owner: type) -> Any:
        """What was chosen."""
        return self if instance is None else instance.chosen[self.flag]


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

    def __init__(self, values: Mapping[str, Any], places: Mapping[str, str]) -> None:
        """Take what the command line gave, or whatever else `read` put together.

        Args:
            values: by option; `*_options` are mappings.
            places: where each was written.

        Raises:
            UserError: with every fault of the command's own options.
        """
        self.values, self.places = values, places
        self.chosen = {
            flag: ComponentChoice(
                choice.kind, flag, values.get(flag, choice.default), values.get(f"{flag}_options", {})
            )
            for flag, choice in self.component_choices().items()
        }
        known = option_rules.declared(type(self))
        own = {name: value for name, value in values.items() if name in known}
        try:
            checked = option_rules.check(known, own, label=self.title(), from_text=True)
        except UserError as error:
            prefix = f"{self.title()}: "
            faults = (Fault(f.text.removeprefix(prefix), places.get(f.where, "")) for f in error.faults)
            raise UserError(*faults) from error
        for name, value in checked.items():
            setattr(self, name, value)

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
            UserError: with every fault of the words.
        """
        values, places = cls.read_words(words)
        return cls(values, places)

    @classmethod
    def read_words(cls, words: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """What the words give, and where each value was written.

        Raises:
            UserError: an unknown option, or options that do not parse.
        """
        choices = cls.component_choices()
        parser = build_parser(cls.title(), choices, option_rules.declared(cls), cls.printers())
        values: dict[str, Any] = parse(parser, words)
        places = {name: f"--{name}" for name in values}
        faults: list[Fault] = []
        for flag in choices:
            texts = values.get(f"{flag}_options")
            if texts is not None:
                try:
                    values[f"{flag}_options"] = options_from_text(texts)
                except UserError as error:
                    faults += (Fault(str(fault), f"--{flag}_options") for fault in error.faults)
        if faults:
            raise UserError(*faults)
        return values, places

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
            heads = script.prepare()
            identity = Identity.of(script.user) if script.user else None
            daemon = Daemon.start() if script.daemonize else None
            return script.run(heads, identity, daemon)
        except UserError as error:
            text = "".join(f"{cls.title()}: {fault}\n" for fault in error.faults)
            return _end(daemon, EXIT_USER_ERROR, text)
        except Exception:  # noqa: BLE001 - a fault of ours or of a component's: all that is known is told
            return _end(daemon, EXIT_FAILED, traceback.format_exc())

    def prepare(self) -> list[Input]:
        """The chain, built and checked as far as that goes without opening anything."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UnusedComponentWarning)
            heads = self.build_chain().build()
        for warning in caught:
            sys.stderr.write(f"{self.title()}: warning: {warning.message}\n")
        faults: list[Fault] = []
        for component in in_order(heads):
            try:
                component.preflight()
            except OpenError as error:
                faults += error.under(component.label, ": ").faults
        if faults:
            raise OpenError(*faults)
        return heads

    def run(self, heads: list[Input], identity: Identity | None = None, daemon: Daemon | None = None) -> int:
        """Open the chain, become another user, and serve until the end.

        Returns:
            The exit status.
        """
        server = Server(heads)
        with contextlib.ExitStack() as stack:
            if self.io_priority:
                set_io_priority(self.io_priority)
            if self.pid_file:
                stack.enter_context(open_pid_file(self.pid_file))
            stack.enter_context(obey_signals(server))
            stack.callback(self._tell_losses, heads)
            stack.callback(close_all, heads)
            if identity:
                open_all(heads, only=lambda component: component.privileged)
                identity.assume()
            open_all(heads)
            server.run(on_ready=lambda: self._ready(daemon))
            notify("STOPPING=1")
        return EXIT_OK

    def _ready(self, daemon: Daemon | None) -> None:
        notify("READY=1")
        if daemon:
            daemon.report(EXIT_OK)

    def _tell_losses(self, heads: Sequence[Input]) -> None:
        with contextlib.suppress(OSError):
            for line in losses(in_order(heads)):
                sys.stderr.write(f"{self.title()}: {line}\n")


def _end(daemon: Daemon | None, status: int, text: str) -> int:
    if daemon:
        daemon.report(status, text)
    else:
        sys.stderr.write(text)
    return status
