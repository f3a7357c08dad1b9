"""What is wrong with a chain, each thing with its file, line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.cli.config_tests.runner import staged
from message_passing.cli.config_tests.spec import read_cases
from message_passing.cli.run.run_command import MessagePassing
from message_passing.config.parsing import format_of, load_file, read_text
from message_passing.config.positions.index import Index
from message_passing.config.positions.json_scanner import index_json
from message_passing.config.positions.toml_scanner import index_toml
from message_passing.config.positions.yaml_scanner import index_yaml
from message_passing.errors import Fault, SourceLocation, UserError, collecting
from message_passing.escaping import one_line
from message_passing.graph import topological_order
from message_passing.summaries import collect_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.chain import Chain, UnusedComponentWarning
    from message_passing.cli.config_tests.spec import Case

_SCANNERS = {"json": index_json, "toml": index_toml, "yaml": index_yaml}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, or that whoever starts the chain should know.

    Attributes:
        file: where it was written; None for the words of a command.
        line: from 1, where it is known.
        column: from 1.
        where: the keys that lead there, or the option.
        text: the sentence.
        warning: the chain runs all the same.
    """

    file: str | None
    line: int | None
    column: int | None
    where: str
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return one_line(self._sentence())

    def _sentence(self) -> str:
        kind = "warning: " if self.warning else ""
        if not self.file:
            return f"{self.where}: {kind}{self.text}" if self.where else f"{kind}{self.text}"
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        last = self.where.rpartition(".")[2]
        said = not self.where or f"'{last}'" in self.text  # the sentence names it
        return f"{place}: {kind}{self.text}" if said else f"{place}: {kind}{self.where}: {self.text}"

    def as_object(self) -> dict[str, Any]:
        """For a program to read."""
        severity = "warning" if self.warning else "error"
        found = {"file": self.file, "line": self.line, "column": self.column, "where": self.where}
        return {**found, "text": self.text, "severity": severity}


@dataclass(slots=True)
class CheckResult:
    """What a look at one file or one command's words has found.

    Attributes:
        mistakes: in the order of the file.
        chain: built, where nothing is wrong.
        script: the command that would run it.
        cases: those of the file, where nothing is wrong.
    """

    mistakes: list[Diagnostic]
    chain: Chain | None
    script: MessagePassing | None = None
    cases: list[Case] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether the chain would run."""
        return self.chain is not None


def check_file(name: str) -> CheckResult:
    """What is wrong with a config file."""
    return _look([f"--configfile={name}"], name)


def check_words(words: Sequence[str]) -> CheckResult:
    """What is wrong with the words of a command, and with the config file among them."""
    return _look(words, None)


def _look(words: Sequence[str], name: str | None) -> CheckResult:
    faults: list[Fault] = []
    unused: list[UnusedComponentWarning] = []
    cases: list[Case] = []
    chain = script = None
    file = name
    try:
        script = MessagePassing.read(words)
        file = script.given.values.get("configfile", name)
        faults += script.given.faults
        with collecting(faults):
            script.make_console()
        chain = script.build(unused.append)
    except UserError as error:
        faults += error.faults
    if file:
        cases, wrong = _cases(file, script if chain else None)
        faults += wrong
    places = Files()
    found = [places.mistake(fault, name) for fault in dict.fromkeys(faults)]
    found += places.repeated(file) if file else []
    right = chain if chain and not found else None
    found += [places.mistake(Fault(str(one), one.place), name, warning=True) for one in unused]
    for text in collect_warnings(topological_order(chain.heads, errors=True)) if chain else ():
        found.append(places.mistake(Fault(text), name, warning=True))
    found.sort(key=lambda one: (one.line or 0, one.column or 0))
    return CheckResult(found, right, script, cases) if right else CheckResult(found, None)


def _cases(file: str, script: MessagePassing | None) -> tuple[list[Case], list[Fault]]:
    try:
        values = load_file(file)
    except UserError:
        return [], []  # it has been told
    return read_cases(values, file, staged(script).components if script else None)


@dataclass(slots=True)
class Files:
    """The positions of the keys of every file that a mistake is in."""

    _indexes: dict[str, Index] = field(default_factory=dict)

    def index(self, name: str) -> Index:
        """A file's; an empty one when it does not parse."""
        if name not in self._indexes:
            try:
                load_file(name)
                self._indexes[name] = _SCANNERS[format_of(name)](read_text(name))
            except UserError:
                self._indexes[name] = Index()
        return self._indexes[name]

    def mistake(self, fault: Fault, default: str | None, *, warning: bool = False) -> Diagnostic:
        """A fault with its position; `default` is the file of those that tell none."""
        place = fault.where
        if not isinstance(place, SourceLocation):
            return Diagnostic(default, None, None, str(place), fault.marked, warning)
        where = ".".join(map(str, place.keys))
        if fault.mark and not place.keys:
            line, column = fault.mark
            return Diagnostic(place.file, line or 1, column, where, fault.text, warning)
        entry = self.index(place.file).find(place.keys)
        if not entry:
            return Diagnostic(place.file, None, None, where, fault.marked, warning)
        return Diagnostic(place.file, entry.line, entry.column, where, fault.marked, warning)

    def repeated(self, name: str) -> list[Diagnostic]:
        """Keys of which only the last one counts, which nobody means."""
        return [
            Diagnostic(
                name,
                entry.line,
                entry.column,
                ".".join(map(str, (*path, key))),
                f"the key '{key}' is there already: only the last one counts",
            )
            for path, key, entry in self.index(name).repeated
        ]
