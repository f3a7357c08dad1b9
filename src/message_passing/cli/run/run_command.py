"""The command `message-passing`: one chain of the components named by its arguments or config file."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from message_passing import options as option_rules
from message_passing.chain import Chain
from message_passing.cli.catalogue import COMMON, describe
from message_passing.cli.command import COMMANDS
from message_passing.cli.completion import completion
from message_passing.cli.run.bare_words import RUN_WORD, read_bare_words
from message_passing.cli.run.config_values import add_config_files
from message_passing.cli.script import CLIComponent, Script
from message_passing.cli.terminal import is_terminal
from message_passing.config.forms import (
    DEFAULTS,
    FLAT_KEYS,
    FLAT_PARTS,
    NAMED_KEYS,
    NO_ERROR_CHAIN,
    flat_chain,
    is_named,
    named_chain,
)
from message_passing.config.test_cases import read_cases
from message_passing.config.validation import diagnose
from message_passing.errors import (
    Fault,
    SourceLocation,
    UserError,
)
from message_passing.failures import DATA_LIMIT, MOST_DATA
from message_passing.options import option
from message_passing.registry import names
from message_passing.workers.pooled_chain import MOST_WORKERS, PooledChain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from message_passing.cli.run.arguments import Given
    from message_passing.config.test_cases import Case
    from message_passing.config.validation import Diagnostic


SENTENCES = "+message_passing.codecs._report:ReportEncoder"
"""The encoder of errors that are written to a terminal."""


class MessagePassing(Script):
    """Run a chain of components: Input -> Decoder -> Filter -> Encoder -> Output."""

    prog = "message-passing"

    input = CLIComponent("input")
    output = CLIComponent("output")
    filter = CLIComponent("filter", default=DEFAULTS["filter"])
    decoder = CLIComponent("decoder", default=DEFAULTS["decoder"])
    encoder = CLIComponent("encoder", default=DEFAULTS["encoder"])
    error = CLIComponent("output", default=DEFAULTS["error"])
    error_encoder = CLIComponent("encoder", default=DEFAULTS["error_encoder"])

    configfile: list[str] = option(
        path=True,
        default_factory=list,
        description="JSON, TOML or YAML file with these options, or a directory of such; may be repeated.",
    )
    workers: int = option(
        default=0, ge=0, le=MOST_WORKERS, description="Processes that decode, filter and encode; 0: none."
    )
    report_limit: int = option(
        default=DATA_LIMIT,
        ge=0,
        le=MOST_DATA,
        description="How much of a failed message a report shows: this option of all components.",
    )
    dead_letters: bool = option(
        default=False, description="Report failed messages whole: this option of all components."
    )

    @classmethod
    def read_words(cls, words: Sequence[str], commands: Collection[str] = (*COMMANDS, RUN_WORD)) -> Given:
        """The options of the arguments, then of the config file: the arguments win."""
        if list(words) == [RUN_WORD]:
            raise UserError("name a config file, or give the options of a chain; see --help")
        given = super().read_words(words[1:] if list(words[:1]) == [RUN_WORD] else words, commands)
        given.words = tuple(words)
        if given.bare or "configfile" in (*given.places, *given.already_reported):
            given.faults += read_bare_words(given)
        if names := given.values.get("configfile"):
            given.files = add_config_files(given, names, own=option_rules.declared(cls))
        return given

    def changed(self) -> Self | None:
        """As in every command; only a chain without workers can change while it runs."""
        again = super().changed() if self.configfile else None
        if again and self.workers:
            raise UserError(Fault("has changed: with --workers, that needs a restart", self.configfile[0]))
        return again

    def build_chain(self) -> Chain:
        """The chain, in the form in which it was written."""
        chain, values = self._chain(), self.given.values
        chain.option_defaults = {key: getattr(self, key) for key in COMMON if key in values}
        if self.dead_letters and not (chain.has_error_chain() if is_named(values) else "error" in values):
            chain.add_faults(Fault(NO_ERROR_CHAIN, self.given.places["dead_letters"]))
        return chain

    def _chain(self) -> Chain:
        values = self.given.values
        self._prefer_sentences()
        if not is_named(values):
            if self.workers:
                node = self.identity().display_name
                return PooledChain(self.chosen, self.workers, background=self.daemonize, node=node)
            return self.declare_in(Chain())
        chain = self.declare_in(Chain())
        if self.chosen["error_encoder"].component == SENTENCES:
            chain.default_error_encoder = SENTENCES
        tables = {key for key in FLAT_PARTS if isinstance(values.get(key), Mapping)}  # of no flat file
        flat = [self.given.places[key] for key in FLAT_KEYS if key in values and key not in tables]
        if flat:
            written = [place for place in flat if isinstance(place, SourceLocation)]
            file = written[0].file if written else self.configfile[0]
            places = [
                self.given.places.get(key) for key in NAMED_KEYS if isinstance(values.get(key), Mapping)
            ]
            named = {place.file for place in places if isinstance(place, SourceLocation)}
            who = "it names its" if file in named or not named else f"{min(named)} names its"
            text = f"{who} components itself, so {', '.join(flat)} cannot be combined with it"
            chain.add_faults(Fault(text, SourceLocation(file, file, written[0].keys if written else ())))
        if self.workers:
            text = "only for the flat form; chains of any shape share work as examples/distributor shows"
            chain.add_faults(Fault(text, self.given.places["workers"]))
        return chain

    def _prefer_sentences(self) -> None:
        """Encode errors as readable lines on a terminal, unless an error encoder was given."""
        keys = ("error", "error_encoder", "error_options", "error_encoder_options")
        if (
            not self.daemonize
            and is_terminal(sys.stderr)
            and not any(key in self.given.values for key in keys)
        ):
            self.chosen["error_encoder"] = replace(self.chosen["error_encoder"], component=SENTENCES)

    def declare_in(self, chain: Chain) -> Chain:
        """Declare its components in a chain, in whichever form they were written."""
        if not is_named(self.given.values):
            return flat_chain(self.chosen, chain)
        for name, values in self.given.files.contents.items():
            named_chain(values, name, chain, reported=self.given.already_reported)
        if not self.given.files.is_whole:
            chain.unread.update(NAMED_KEYS.values())
        return chain

    @classmethod
    def printers(cls) -> dict[str, Callable[[str], str]]:
        """The options of every command, and two more."""
        return {**super().printers(), "describe": describe, "completion": completion}

    @classmethod
    def help_text(cls) -> str:
        """One screen, with examples."""
        return HELP.format(
            commands="\n          ".join(textwrap.wrap(" ".join(sorted((*COMMANDS, RUN_WORD))), 70)),
            input=_names("input", 62, lines=2),
            output=_names("output", 62, lines=2),
            filter=_names("filter", 62, default=DEFAULTS["filter"]),
            encoder=_names("encoder", 46, lines=2, default=DEFAULTS["encoder"]),
        )


HELP = """\
Usage: message-passing [run] FILE [OPTION...] | OPTION... | COMMAND --help
Run Input -> Decoder(s) -> Filter(s) -> Encoder(s) -> Output until input ends.
Commands: {commands}
  --input NAME    {input}
  --output NAME   {output}
  --filter NAME   {filter}
  --decoder NAME, --encoder NAME  {encoder}
  --error NAME, --error_encoder NAME  where failed messages go: STDERR, JSON
  --input_options OPT, and so on  JSON, @file or key=value; may be repeated
  FILE, --configfile FILE  .json, .toml, .yaml, or directory; options win
  --daemonize  --pid_file F  --user NAME  --io_priority CLASS  --workers N
  --control [F]  --http HOST:PORT  --http_token T  --quiet  --report_limit N
  --state_dir D  --ledger_days N  --ledger_bytes N  --describe [NAME]  --help
  --completion bash|zsh  --version  --name N  --dead_letters
NAME may be +package.module:Class. Status 0: ended, 1: failed, 2: usage error.
Examples:
  message-passing --input STDIN --output STDOUT
  message-passing --input STDIN --output STDOUT --filter +myapp:MessageWorker
  message-passing --input ZeroMQ --input_options socket_bind=tcp://*:5558 \\
      --output File --output_options '{{"filename":"/tmp/my_test.log"}}'
"""


def _names(kind: str, room: int, *, lines: int = 1, default: str = "") -> str:
    """The names of all components of a kind, the default first, as far as there is room for them."""
    shown = [*([f"{default} (default)"] if default else []), *(one for one in names(kind) if one != default)]
    wrapped = textwrap.wrap(", ".join(shown), room, max_lines=lines, placeholder=" ... (see --describe)")
    return ("\n" + " " * 18).join(wrapped)


@dataclass(slots=True)
class CheckResult:
    """What was found in one file, or in the words of one command.

    Attributes:
        diagnostics: in the order of the file.
        chain: built, where nothing is wrong.
        script: the command that would run it.
        cases: those of the file, where nothing is wrong.
    """

    diagnostics: list[Diagnostic]
    chain: Chain | None = None
    script: MessagePassing | None = None
    cases: list[Case] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether the chain would run."""
        return self.chain is not None


def check_file(name: str) -> CheckResult:
    """The errors in a config file."""
    return check_words([name])


def check_words(words: Sequence[str]) -> CheckResult:
    """What is wrong with the words of a command: a config file, options of a chain, or both."""
    try:
        script = MessagePassing.read([RUN_WORD, *words])
    except UserError as error:
        return CheckResult(diagnose(error.faults))
    found, files = script.validate(), script.given.files
    chain = found.chain
    made = {one: chain.components[one] for one in chain.declared} if chain else None
    cases: list[Case] = []
    wrong: list[Fault] = []
    for name, tables in files.tests.items():
        read, faults = read_cases(tables, name, made)
        cases, wrong = cases + read, wrong + faults
    told = diagnose([*found.faults, *wrong], found.warnings, files.names)
    if chain is None or any(not one.warning for one in told):
        return CheckResult(told)
    return CheckResult(told, chain, script, cases)
