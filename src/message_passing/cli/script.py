"""Base class of custom commands like `message-passing` (Message::Passing::Role::Script).

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

It has `--socket_bind`, `--output`, `--output_options`, and the options of every such command: `--daemonize`,
`--pid_file`, `--user`, `--io_priority`.
"""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self, cast

from message_passing import options as option_rules
from message_passing.chain import Chain, ChainWarning
from message_passing.chain_group import as_chain
from message_passing.cli.run.arguments import CLIComponent, build_parser, parse
from message_passing.cli.run.daemon import Daemon, Identity, set_io_priority
from message_passing.cli.run.ledger import LEAST_LEDGER_BYTES, LedgerOptions
from message_passing.cli.run.service import EXIT_FAILED, EXIT_USER_ERROR, Prepared, Service, Validated
from message_passing.cli.terminal import tell
from message_passing.declaration import UnreadText
from message_passing.errors import Fault, PackageError, UserError, collecting, naming_component
from message_passing.escaping import one_line
from message_passing.graph import topological_order
from message_passing.node_identity import NodeIdentity
from message_passing.options import option
from message_passing.paths import load_own
from message_passing.resolving import UnknownHostError
from message_passing.summaries import collect_warnings
from message_passing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from message_passing.cli.run.arguments import Given
    from message_passing.console.http_server import ConsoleServer
    from message_passing.flow import Input

__all__ = ["CLIComponent", "Script"]


class Script:
    """A command: its options, the chain it builds from them, and its life as a process."""

    prog: ClassVar[str] = ""
    """Its name in messages; by default the class's name."""

    daemonize: bool = option(default=False, description="Go to the background once the chain runs.")
    quiet: bool = option(
        default=False, description="Report only problems: no signs of life, no totals at the end."
    )
    pid_file: str = option(
        path=True, default="", min_length=1, description="File to write the process id to."
    )
    user: str = option(
        default="", min_length=1, description="User to become, once privileged sockets are open."
    )
    io_priority: Literal["none", "be", "rt", "idle"] | None = option(
        default=None, description="Input/output scheduling class."
    )
    control: str = option(
        path=True,
        default="",
        min_length=1,
        flag_value="default",
        description="Unix socket to serve `top`, `tail` and `doctor` on.",
    )
    http: str = option(
        default="", min_length=1, description="HOST:PORT to serve the monitoring page and metrics on."
    )
    http_token: str = option(
        secret=True,
        default="",
        min_length=1,
        description="Token that clients of --http must present, or env:NAME.",
    )
    name: str = option(
        default="", min_length=1, max_length=100, description="Its name in `top`, on the page and in `ps`."
    )
    state_dir: str = option(
        path=True,
        default="",
        min_length=1,
        description="Directory of the ledger of losses. With --control or --http, there is always a ledger.",
    )
    ledger_days: int = option(default=30, ge=1, le=3650, description="Days for which losses are kept.")
    ledger_bytes: int = option(
        default=16 * 1024 * 1024,
        ge=LEAST_LEDGER_BYTES,
        le=2**40,
        description="Maximum size of the ledger in bytes; the oldest losses are removed first.",
    )

    def __init__(self, given: Given) -> None:
        """Read the command's options.

        Raises:
            UserError: an option is missing or wrong; with all errors that were found.
        """
        self.given = given
        self.chosen = {flag: one.chosen_in(given) for flag, one in self.component_choices().items()}
        for name, value in self._own_options().items():
            setattr(self, name, value)

    def _own_options(self) -> dict[str, Any]:
        """The command's own options; for each wrong one its default, so that other errors are found too."""
        given, prefix = self.given, f"{self.title()}: "
        known = option_rules.declared(type(self))
        own = {name: value for name, value in given.values.items() if name in known}
        for name, one in known.items():  # `control = true` in a file is `--control` alone
            if one.flag_value is not None and isinstance(own.get(name), bool):
                own |= {name: one.flag_value} if own.pop(name) else {}
        if isinstance(priority := own.get("io_priority"), str):
            own["io_priority"] = priority.lower()
        for name in [name for name, value in own.items() if isinstance(value, str) and "\0" in value]:
            # All of these are names, paths, addresses and secrets, which the system would refuse or truncate there.
            text = f"option {name!r} has a null character in it, which no name, path or address has"
            given.faults.append(Fault(text, given.places[name]))
            given.already_reported.add(name)
        given.already_reported.update(name for name, value in own.items() if isinstance(value, UnreadText))
        own = {name: value for name, value in own.items() if name not in given.already_reported}
        values, faults = option_rules.checked(known, own, label=self.title(), from_text=True)
        for fault in faults:
            if fault.where:  # otherwise it is missing
                given.faults.append(Fault(fault.text.removeprefix(prefix), given.places[fault.where]))
                given.already_reported.add(fault.where)
        for name, one in known.items():
            if one.required and not {name} & (own.keys() | given.already_reported):
                given.faults.append(Fault(f"--{name} is required ({one.type_text})"))
        if values.keys() != known.keys():
            raise UserError(*given.faults)
        return values

    def build_chain(self) -> Chain | Sequence[Chain | Input]:
        """The chain to run, or several, or inputs of chains connected by hand. Must be defined by every command."""
        raise NotImplementedError(f"{type(self).__name__} must define build_chain")

    @classmethod
    def title(cls) -> str:
        """Its name in messages."""
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
            value = "" if one.type is bool else " VALUE" if one.flag_value is None else " [VALUE]"
            lines.append(f"  --{name}{value}".ljust(24) + one.description)
        return "\n".join([*lines, ""])

    @classmethod
    def printers(cls) -> dict[str, Callable[[str], str]]:
        """The options that print a text and end, and what each prints for the word that may follow it."""
        return {"help": lambda _: cls.help_text(), "version": lambda _: f"{cls.title()} {__version__}\n"}

    @classmethod
    def read(cls, words: Sequence[str]) -> Self:
        """The command for these arguments.

        Raises:
            UserError: see `__init__`.
        """
        return cls(cls.read_words(words))

    @classmethod
    def read_words(cls, words: Sequence[str], commands: Collection[str] = ()) -> Given:
        """The parsed arguments; see `parse`."""
        choices = cls.component_choices()
        parser = build_parser(cls.title(), choices, option_rules.declared(cls), cls.printers())
        return parse(parser, words, commands)

    @classmethod
    def start(cls, words: Sequence[str] | None = None) -> NoReturn:
        """Run the command and end the process with its exit status."""
        sys.exit(cls.main(sys.argv[1:] if words is None else words))

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command.

        Returns:
            The exit status: see `service.EXIT_OK` and its neighbours.
        """
        daemon = None
        try:
            script = cls.read(words)
            service = Service(cls.title(), script.prepare(), quiet=script.quiet)
            daemon = Daemon.start() if script.daemonize else None
            return service.run(pid_file=script.pid_file, daemon=daemon)
        except UserError as error:
            text = "".join(f"{cls.title()}: {fault}\n" for fault in error.faults)
            # The name may appear later, so this is not a configuration error: a service manager may try again.
            later = isinstance(error, UnknownHostError)
            return cls._end(daemon, EXIT_FAILED if later else EXIT_USER_ERROR, text)
        except KeyboardInterrupt:  # before signals were handled
            return cls._end(daemon, 128 + signal.SIGINT, "")
        except Exception:  # noqa: BLE001 - a fault of ours or of a component's: all that is known is told
            return cls._end(daemon, EXIT_FAILED, traceback.format_exc())

    def validate(self) -> Validated:
        """Its errors, as far as they can be found without looking outside this process."""
        faults = list(self.given.faults)
        told: list[ChainWarning] = []
        chain: Chain | None = None
        console: ConsoleServer | None = None
        with collecting(faults):
            chain = self.build(told.append)
        if "http_token" in self.given.already_reported:
            self.http_token = "-"  # noqa: S105 - that there is none has been reported
        wrong: list[Fault] = []
        with collecting(wrong):
            console = self.make_console()
        places = self.given.places
        faults += [replace(one, where=places.get(one.where.removeprefix("--"), one.where)) for one in wrong]
        warnings = [Fault(str(one), one.place) for one in told]
        warnings += map(Fault, self.given.warnings)
        if self.http_token and not self.http and not {"http", "http_token"} & self.given.already_reported:
            warnings.append(Fault("--http_token has no effect without --http", places.get("http_token", "")))
        if chain is not None:
            with collecting(faults):
                warnings += map(Fault, collect_warnings(topological_order(chain.heads, errors=True)))
        return Validated(faults, warnings, chain, console)

    def prepare(self) -> Prepared:
        """The chain, built and checked as far as possible without opening anything.

        Raises:
            UserError: with every error that was found.
        """
        found = self.validate()
        faults, chain = found.faults, found.chain or Chain()
        identity = None
        if self.user:
            with collecting(faults):
                identity = Identity.of(self.user)
        if self.io_priority:
            with collecting(faults):
                set_io_priority(self.io_priority)
        for component in topological_order(chain.heads, errors=True):
            with collecting(faults, component.label), naming_component(component, "preflight"):
                component.preflight()
        if faults or not chain.heads:
            raise UserError(*dict.fromkeys(faults))
        told = [one.text for one in found.warnings]
        # `preflight` may have found more.
        told += collect_warnings(topological_order(chain.heads, errors=True))
        for text in dict.fromkeys(told):
            tell(f"{self.title()}: warning: {one_line(text)}\n")
        return Prepared(
            self, chain, identity, found.console, LedgerOptions.of(self, self.identity().display_name)
        )

    def changed(self) -> Self | None:
        """The same command as it would be started now; None if that makes no difference.

        Raises:
            UserError: it could not be started, or would have to be for the change.
        """
        again = self.read(self.given.words)
        if again.given.values == self.given.values and not again.given.faults:
            return None
        faults = list(again.given.faults)
        faults += [
            Fault("has changed: that needs a restart", again.given.places.get(name, f"--{name}"))
            for name in option_rules.declared(type(self))
            if getattr(self, name) != getattr(again, name)
        ]
        if faults:
            raise UserError(*faults)
        return again

    def make_console(self) -> ConsoleServer | None:
        """The console, checked and not started; None if it was not requested.

        Raises:
            UserError: its address is malformed, it needs a token, or a package is missing.
        """
        if not self.control and not self.http:
            return None
        # Imported on demand: it imports a web server.
        try:
            make = cast("type[ConsoleServer]", load_own("message_passing.console.http_server:ConsoleServer"))
        except PackageError as error:
            raise error.under("--http" if self.http else "--control") from error
        return make(self.identity(), control=self.control, http=self.http, token=self.http_token)

    def identity(self) -> NodeIdentity:
        """The name of the node."""
        return NodeIdentity(self.title(), self.name, next(iter(getattr(self, "configfile", ())), ""))

    def build(self, on_warning: Callable[[ChainWarning], object] | None = None) -> Chain:
        """The chain, built without looking outside this process.

        Args:
            on_warning: called with each warning; by default, it is written to standard error.

        Raises:
            UserError: see `Chain.build`.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ChainWarning)
            chain = as_chain(self.build_chain())
            chain.build()
        for warning in caught:
            if on_warning and isinstance(warning.message, ChainWarning):
                on_warning(warning.message)
            else:
                tell(f"{self.title()}: warning: {one_line(str(warning.message))}\n")
        return chain

    @staticmethod
    def _end(daemon: Daemon | None, status: int, text: str) -> int:
        if not (daemon and daemon.report(status, text)):
            tell(text)
        return status
