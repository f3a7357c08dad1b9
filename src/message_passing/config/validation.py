"""The errors in a config file, each with its line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.config.parsing import format_of, load_file, read_text
from message_passing.config.positions.index import Index
from message_passing.config.positions.json_scanner import index_json
from message_passing.config.positions.toml_scanner import index_toml
from message_passing.config.positions.yaml_scanner import index_yaml
from message_passing.errors import Fault, SourceLocation, UserError
from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SCANNERS = {"json": index_json, "toml": index_toml, "yaml": index_yaml}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error, or a warning for whoever starts the chain.

    Attributes:
        file: where it was written; None for a command line.
        line: from 1, where it is known.
        column: from 1.
        where: the path of keys, or the option.
        text: the message.
        warning: whether the chain runs all the same.
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
        said = not self.where or f"'{last}'" in self.text  # the message names it
        return f"{place}: {kind}{self.text}" if said else f"{place}: {kind}{self.where}: {self.text}"

    def as_object(self) -> dict[str, Any]:
        """For a program to read."""
        severity = "warning" if self.warning else "error"
        found = {"file": self.file, "line": self.line, "column": self.column, "where": self.where}
        return {**found, "text": self.text, "severity": severity}


@dataclass(slots=True)
class Positions:
    """The positions of the keys of every file with an error."""

    _indexes: dict[str, Index] = field(default_factory=dict)

    def index(self, name: str) -> Index:
        """The index of a file; an empty one if it does not parse."""
        if name not in self._indexes:
            try:
                load_file(name)
                self._indexes[name] = _SCANNERS[format_of(name)](read_text(name))
            except UserError:
                self._indexes[name] = Index()
        return self._indexes[name]

    def diagnostic(self, fault: Fault, default: str | None, *, warning: bool = False) -> Diagnostic:
        """A fault with its position; `default` is the file of faults without one."""
        place = fault.where
        if not isinstance(place, SourceLocation):
            return Diagnostic(None if place else default, None, None, str(place), fault.marked, warning)
        where = ".".join(map(str, place.keys))
        if fault.mark and not place.keys:
            line, column = fault.mark
            return Diagnostic(place.file, line or 1, column, where, fault.text, warning)
        entry = self.index(place.file).find(place.keys)
        if not entry:
            return Diagnostic(place.file, None, None, where, fault.marked, warning)
        return Diagnostic(place.file, entry.line, entry.column, where, fault.marked, warning)

    def repeated(self, name: str) -> list[Diagnostic]:
        """Repeated keys, of which only the last one counts: surely a mistake."""
        return [
            Diagnostic(
                name,
                entry.line,
                entry.column,
                ".".join(map(str, (*path, key))),
                f"the key '{key}' is given more than once: only the last one counts",
            )
            for path, key, entry in self.index(name).repeated
        ]


def diagnose(
    faults: Iterable[Fault], warnings: Iterable[Fault] = (), files: Sequence[str] = ()
) -> list[Diagnostic]:
    """The errors and warnings of a chain, in the order of its files.

    Args:
        faults: the errors; each is reported once.
        warnings: the warnings.
        files: its config files, whose repeated keys are warned of; if it is one, faults without a file belong to it.
    """
    places = Positions()
    file = files[0] if len(files) == 1 else None
    found = [places.diagnostic(fault, file) for fault in dict.fromkeys(faults)]
    found += [diagnostic for one in files for diagnostic in places.repeated(one)]
    found += [places.diagnostic(one, file, warning=True) for one in warnings]
    order = {name: number for number, name in enumerate(files)}
    return sorted(found, key=lambda one: (order.get(one.file or "", -1), one.line or 0, one.column or 0))
