"""The config files of one chain: several, or all of a directory, read as if they were one.

Tables of components are joined, and so are `tests`. Everything else may be in one of the files only, and no two
components may have the same name; both places are told. Their order decides nothing but that of inputs and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.config.forms import FLAT_KEYS, NAMED_KEYS, TESTS
from message_passing.config.parsing import is_config, load_file
from message_passing.config.variables import expand_variables
from message_passing.errors import ConfigError, Fault, SourceLocation, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_FILES = 200
"""Config files of one chain."""


@dataclass(slots=True)
class ConfigFiles:
    """What the files of one chain have in them.

    Attributes:
        names: the files.
        values: all of them, joined.
        places: where each value was written; of a table that several have, in the first of them.
        contents: by file, what each has.
        tests: by file, the value of its `tests`.
        faults: what is wrong.
        warnings: what is to be said though it is no error.
        is_whole: whether each could be read.
    """

    names: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, SourceLocation] = field(default_factory=dict)
    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_whole: bool = True

    @classmethod
    def read(cls, given: Iterable[str]) -> ConfigFiles:
        """Read them.

        Args:
            given: files, and directories: of these, all files whose names end as a config file's does, in the order
                of their names, without hidden ones and those in directories within.
        """
        found = cls()
        try:
            found.names = list(_listed(given))
        except ConfigError as error:
            found.faults += error.faults
            found.is_whole = False
        for name in found.names:
            try:
                content, unset = expand_variables(load_file(name), name, but=TESTS, warnings=found.warnings)
            except UserError as error:
                found.faults += error.faults
                found.is_whole = False
                continue
            found.faults += unset
            found._add(name, content)
        if found.is_whole and found.names and not found.values and not found.tests:
            # One of several may be commented out; if all are, that is told, not what the command line lacks.
            first = found.names[0]
            found.faults.append(Fault("it is empty", SourceLocation(first, first)))
            found.is_whole = False
        return found

    def _add(self, name: str, content: dict[str, Any]) -> None:
        if TESTS in content:
            self.tests[name] = content.pop(TESTS)
        self.contents[name] = content
        for key, value in content.items():
            place = SourceLocation(f"{name}: {key}", name, (key,))
            before = self.values.get(key)
            if key not in self.values:
                self.values[key], self.places[key] = value, place
            elif key in NAMED_KEYS and isinstance(before, Mapping) and isinstance(value, Mapping):
                self.values[key] = {
                    **before,
                    **value,
                }  # a name that both have is found when they are declared
            else:
                text = f"{key!r} is in {self.places[key].file!r} already, and only one file can have it"
                hint = ": the flat form names one component of a kind" if key in FLAT_KEYS else ""
                self.faults.append(Fault(text + hint, place))


def _listed(given: Iterable[str]) -> Iterator[str]:
    """The files, each once.

    Raises:
        ConfigError: a directory cannot be read or has none; or there are too many.
    """
    seen: set[Path] = set()
    for name in given:
        for one in _of(name):
            real = _real(one)
            if real in seen:
                continue
            seen.add(real)
            if len(seen) > MOST_FILES:
                raise ConfigError(Fault(f"more than {MOST_FILES} config files", SourceLocation(name, name)))
            yield one


def _real(name: str) -> Path:
    try:
        return Path(name).resolve()
    except (OSError, RuntimeError, ValueError):  # whoever reads it tells why
        return Path(name)


def _of(name: str) -> list[str]:
    """The files of a directory; of anything else, itself."""
    where = SourceLocation(name, name)
    try:
        if not Path(name).is_dir():
            return [name]
        inside = sorted(one for one in Path(name).iterdir() if is_config(one.name) and one.name[0] != ".")
        found = [str(one) for one in inside if not one.is_dir()]
    except OSError as error:
        raise ConfigError(Fault(f"cannot be read: {error.strerror}", where)) from error
    except ValueError:  # a null character
        return [name]
    if not found:
        raise ConfigError(Fault("no file in it ends in .json, .toml, .yaml or .yml", where))
    return found
