"""What the commands of several words take, asked of their own parsers: for the completion scripts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference import built_in

from message_passing.cli.command import COMMANDS
from message_passing.cli.run.bare_words import RUN_WORD
from message_passing.environment import expand_home
from message_passing.paths import load_own
from message_passing.registry import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = "FILE"
"""Stands for the names of files, where words are expected."""

LIKE_RUNNING = ("check", "graph", "run")
"""They take the words that would run a chain, too."""

_ANY_COMPONENT = sorted({name for kind in PACKAGES for name in built_in(kind)}, key=str.casefold)

_WORDS = {
    "check": [FILES],
    "graph": [FILES],
    "test": [FILES],
    "describe": _ANY_COMPONENT,
    "create": _ANY_COMPONENT,
    "list": [f"{kind}s" for kind in PACKAGES],
}
"""What may follow a command besides its options."""


@dataclass(slots=True)
class Command:
    """What may follow the first word.

    Attributes:
        words: those that it takes, or `FILES`.
        options: all of them, those of its own commands (`keys new`) too.
        values: of those options that take one: the words that it may be, `FILES`, or none that is known.
    """

    words: list[str]
    options: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)


def commands() -> dict[str, Command]:
    """By their first words."""
    found = {name: _command(name) for name in COMMANDS} | {RUN_WORD: Command(words=[FILES])}
    return dict(sorted(found.items()))


def _command(name: str) -> Command:
    parsers = list(_with_inner(load_own(f"message_passing.cli.commands.{name}:COMMAND").parser()))
    inner = [word for parser in parsers for action in _inner(parser) for word in action.choices]
    found = Command(words=[*inner, *_WORDS.get(name, [])])
    for parser in parsers:
        for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask for them
            flags = [flag for flag in action.option_strings if flag.startswith("--")]
            found.options += [flag for flag in flags if flag not in found.options]
            if action.nargs != 0:
                found.values.update(dict.fromkeys(flags, _values(action)))
    return found


def _values(action: argparse.Action) -> list[str]:
    if action.choices:
        return list(map(str, action.choices))
    return [FILES] if action.type is expand_home else []


def _with_inner(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in _inner(parser):
        for one in action.choices.values():
            yield from _with_inner(one)


def _inner(parser: argparse.ArgumentParser) -> Iterator[argparse._SubParsersAction[argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - it has no public name
            yield action
