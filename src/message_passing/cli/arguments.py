"""Command-line words: each option in the original's spelling (`_`) and the shell's (`-`)."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from message_passing.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from message_passing.options import Option


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaint as an exception: they are told together with all others."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def build_parser(
    prog: str,
    components: Iterable[str],
    process: Mapping[str, Option],
    printers: Mapping[str, Callable[[str], str]],
) -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        prog: its name.
        components: for each, `--NAME` and `--NAME_options`, which may be repeated.
        process: the command's own options.
        printers: options that print a text and end; each is given the word that may follow it.
    """
    parser = _Parser(prog=prog, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name, printer in printers.items():
        short = ("-h",) if name == "help" else ()
        parser.add_argument(*short, f"--{name}", action=_Print, printer=printer)
    for name in components:
        parser.add_argument(*_spellings(name), dest=name, metavar="NAME")
        parser.add_argument(
            *_spellings(f"{name}_options"), dest=f"{name}_options", metavar="OPTIONS", action="append"
        )
    for name, one in process.items():
        if one.type is bool:
            parser.add_argument(*_spellings(name), dest=name, action="store_true")
        else:
            parser.add_argument(*_spellings(name), dest=name, metavar="VALUE")
    return parser


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, object]:
    """What the words give, by option; only what was given.

    Raises:
        ConfigError: an unknown option, with the nearest that exists, or one without its value.
    """
    found, unknown = parser.parse_known_args(words)
    if unknown:
        known = [spelling for action in parser._actions for spelling in action.option_strings]  # noqa: SLF001
        flags = [word for word in unknown if word.startswith("-")]
        raise ConfigError(*(_complaint(word, known) for word in flags or unknown))
    return dict(vars(found))


def _complaint(word: str, known: Iterable[str]) -> str:
    name = word.partition("=")[0]
    if not name.startswith("-"):
        return f"unexpected word {word!r}: every value follows its --option (quote values with spaces)"
    return f"there is no option {name}{did_you_mean(name, known)}"


def _spellings(name: str) -> tuple[str, ...]:
    dashed = name.replace("_", "-")
    return (f"--{name}",) if dashed == name else (f"--{name}", f"--{dashed}")


class _Print(argparse.Action):
    """An option that prints a text and ends the program."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, printer: Callable[[str], str], **_: object
    ) -> None:
        super().__init__(option_strings, dest, nargs="?")
        self.printer = printer

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: object, _option: str | None = None
    ) -> NoReturn:
        text = self.printer(values if isinstance(values, str) else "")
        sys.stdout.write(text)
        parser.exit(0)
