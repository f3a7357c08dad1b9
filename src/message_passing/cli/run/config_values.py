"""The values of config files beside those of the command line, which win."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing import options as option_rules
from message_passing.config.files import ConfigFiles
from message_passing.config.forms import DEFAULTS, FLAT_KEYS, FLAT_PARTS, NAMED_KEYS, TESTS
from message_passing.errors import Fault, SourceLocation, UserError, abbreviate, did_you_mean, nearest
from message_passing.registry import find

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from message_passing.cli.run.arguments import Given


def add_config_files(given: Given, names: Iterable[str], *, own: Collection[str]) -> ConfigFiles:
    """Add to what a command line gives what config files do.

    Args:
        given: the command line's values, to which theirs are added.
        names: the files and directories.
        own: the command's own options.
    """
    files = ConfigFiles.read(names)
    given.faults += files.faults
    given.warnings += files.warnings
    if not files.is_whole:
        given.already_reported.update(FLAT_KEYS)  # whatever is missing may well be in that file
    _note_unknown_keys(files, given, own=own)
    for key, value in _without_those_of_others(files, given).items():
        if key not in given.values:
            given.values[key], given.places[key] = value, files.places[key]
    return files


def _without_those_of_others(files: ConfigFiles, given: Given) -> dict[str, Any]:
    """The files' values, without those options that are of a component which the words replace and theirs has not.

    `--output STDOUT` over a file that has `output: File` leaves out `filename`, as the original does; a name that is
    misspelt stays an error where both name the same component.
    """
    values = files.values
    left: dict[str, Any] = {}
    for part, (kind, _) in FLAT_PARTS.items():
        key, ours, theirs = f"{part}_options", given.values.get(part), values.get(part, DEFAULTS.get(part))
        options = values.get(key)
        if not isinstance(ours, str) or ours == theirs or part not in values or key in given.values:
            continue
        try:
            known = option_rules.accepted(find(kind, ours))
        except UserError:
            continue  # `build` tells
        if isinstance(options, dict) and (strange := [name for name in options if name not in known]):
            left[key] = {name: value for name, value in options.items() if name in known}
            names = ", ".join(map(repr, strange))
            text = (
                f"--{part} says {ours}, which has no {names}: "
                f"what {files.places[part].file} says of {abbreviate(theirs)} is left out"
            )
            given.warnings.append(text)
    return {**values, **left}


def _note_unknown_keys(files: ConfigFiles, given: Given, *, own: Collection[str]) -> None:
    """Keys of a file that mean nothing are faults; the one that was meant is then not missing."""
    known = [*FLAT_KEYS, *own, *NAMED_KEYS, "error_log", TESTS]
    known.remove("configfile")
    for file, values in files.contents.items():
        for key in values:
            if key not in known:
                text = f"there is no option {key!r}{did_you_mean(key, known)}"
                given.faults.append(Fault(text, SourceLocation(file, file, (key,))))
                given.already_reported.add(nearest(key, known))
