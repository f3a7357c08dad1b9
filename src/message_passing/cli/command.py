"""The declaration of a command besides running a chain, `message-passing keys` and its like."""

from __future__ import annotations

import argparse
import math
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from message_passing.cli import commands
from message_passing.cli.terminal import tell
from message_passing.errors import Fault, OpenError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


COMMANDS = tuple(one.name for one in pkgutil.iter_modules(commands.__path__))
"""The commands besides running a chain, in alphabetical order: each is a module of `commands`."""


class CommandParser(argparse.ArgumentParser):
    """A parser of one command's arguments, which reports errors like the rest of the package."""

    def error(self, message: str) -> NoReturn:
        """Raise the error.

        Raises:
            OpenError: always.
        """
        raise OpenError(Fault(f"{message}; see {self.prog} --help"))


_Number = TypeVar("_Number", int, float)


def number_type(
    make: type[_Number], allowed: str, fits: Callable[[_Number], bool]
) -> Callable[[str], _Number]:
    """A parser of numbers, for `add_argument(type=...)`.

    Args:
        make: `int` or `float`.
        allowed: which ones are allowed, in words.
        fits: whether one is.
    """

    def parse(word: str) -> _Number:
        try:
            number = make(word)
        except ValueError:
            number = make(-1)
        if not fits(number):
            raise argparse.ArgumentTypeError(f"must be {allowed}, not {word!r}")
        return number

    return parse


positive = number_type(float, "a number above 0", lambda number: 0 < number < math.inf)


def add_timeout(
    parser: argparse.ArgumentParser,
    default: float,
    text: str,
    parse: Callable[[str], float] = positive,
) -> None:
    """Add the option `--timeout`, in seconds."""
    text = f"{text} (default {default:g})"
    parser.add_argument("--timeout", type=parse, default=default, metavar="SECONDS", help=text)


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: its first word.
        description: what it does, a sentence.
        epilog: what follows the options in its help: examples, and its exit status.
        arguments: adds its arguments and options to a parser.
        run: runs the command, and returns the exit status. `given.command_line` has the original arguments.
        usage: its usage line, where argparse would not show everything.
        runs_chains: it takes the options of a chain as well, as `given.chain`.
        prepare: changes the arguments before they are parsed.
    """

    name: str
    description: str
    epilog: str
    arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]
    usage: str = ""
    runs_chains: bool = False
    prepare: Callable[[Sequence[str]], Sequence[str]] = list

    @property
    def title(self) -> str:
        """Its name in messages: `message-passing keys`."""
        return f"message-passing {self.name}"

    def tell(self, text: object) -> None:
        """Write a sentence to standard error."""
        tell(f"{self.title}: {text}\n")

    def parser(self) -> CommandParser:
        """The parser of its arguments."""
        parser = CommandParser(
            prog=self.title,
            usage=f"{self.title} {self.usage}" if self.usage else None,
            description=self.description,
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=not self.runs_chains,
        )
        self.arguments(parser)
        return parser

    def main(self, words: Sequence[str]) -> int:
        """Run it.

        Returns:
            The exit status: 2 for a user's error, which has then been reported; 130 when interrupted.
        """
        given = argparse.Namespace(command_line=words)
        try:
            if self.runs_chains:
                given, given.chain = self.parser().parse_known_args(self.prepare(words), given)
            else:
                self.parser().parse_args(self.prepare(words), given)
            return self.run(given)
        except UserError as error:
            tell("".join(f"{self.title}: {fault}\n" for fault in error.faults))
            return 2
        except KeyboardInterrupt:
            return 130
