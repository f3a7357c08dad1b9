"""Words of a command line that belong to no option: a config file, `run`, or something that was meant otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.cli.command import COMMANDS
from message_passing.cli.run.arguments import unexpected
from message_passing.config.forms import FLAT_KEYS
from message_passing.config.parsing import is_config
from message_passing.environment import expand_home
from message_passing.errors import Fault, UserError, did_you_mean
from message_passing.registry import PACKAGES, names, path_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.cli.run.arguments import Given

RUN_WORD = "run"
"""The word that may stand before a config file, or before the options of a chain."""


def read_bare_words(given: Given) -> Iterator[Fault]:
    """Take a word that belongs to no option as the config file, or say what it may have been meant to be.

    Raises:
        UserError: the first word is no command, so whatever follows is not known.
    """
    words, first = given.bare, given.words[0] if given.words else ""
    files = words[:1] if first == RUN_WORD else []
    words = words[len(files) :]
    if late := next((word for word in words if word in (*COMMANDS, RUN_WORD)), ""):
        raise UserError(f"a command comes first: message-passing {late} ...")
    others = [word for word in words if not _may_be_file(word)]
    if first in others:
        raise UserError(f"there is no command {first!r}{_command_hint(first)}")
    yield from unexpected(others, given.words)
    files += [word for word in words if word not in others]
    named = given.values.pop("configfile", [])
    files = [*([named] if isinstance(named, str) else named), *files]
    try:
        files = [expand_home(one) for one in files]
    except UserError as error:
        yield from error.faults
        given.already_reported.add("configfile")
        files = []
    if "" in files:
        yield Fault("option 'configfile' must be non-empty str, not ''", "--configfile")
        given.already_reported.add("configfile")
    elif "-" in files:
        yield Fault("a config file is not read from standard input: name a file")
    elif files:
        given.values["configfile"] = files
        given.places.setdefault("configfile", files[0])
    if "configfile" not in given.values:
        given.already_reported.update(FLAT_KEYS)  # whatever is missing may well be in the file


def _may_be_file(word: str) -> bool:
    if "://" in word and not Path(word).exists():
        return False  # an endpoint
    return word == "-" or "/" in word or is_config(word) or Path(word).exists()


def _command_hint(word: str) -> str:
    """What may have been meant by a word where a command stands: a command, an option, a component."""
    known = ", ".join(sorted((*COMMANDS, RUN_WORD)))
    rest = f": the commands are {known}; a config file's name ends in .json, .toml, .yaml or .yml"
    if hint := path_hint(word):
        return hint.replace("'+", "--filter '+")
    if kinds := [kind for kind in PACKAGES if word in names(kind)]:
        options = " or ".join(f"--{kind} {word}" for kind in kinds)
        return f": it is a component: write {options}; `message-passing describe {word}` tells more"
    return did_you_mean(word, (*COMMANDS, RUN_WORD, "--help", "--version")) + rest
