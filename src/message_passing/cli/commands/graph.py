"""The command itself."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from message_passing.cli.checking import look_at_file, look_at_words
from message_passing.cli.command import CommandParser, run_command
from message_passing.cli.graph.model import graph_of
from message_passing.cli.graph.svg import as_svg
from message_passing.cli.graph.text import as_lines, as_mermaid, as_plain
from message_passing.cli.run.arguments import print_out
from message_passing.cli.run.daemon import tell
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.cli.graph.model import Graph

_TITLE = "message-passing graph"

_FORMATS: dict[str, Callable[[Graph], str]] = {"text": as_lines, "mermaid": as_mermaid, "svg": as_svg}

_EPILOG = """\
Dashed arrows, and the circles of the text, are the ways of messages that could not be handled. Nothing is opened.

exit status: 0, or 2 when the chain has mistakes, which are told as `message-passing check` tells them

examples:
  message-passing graph app.toml
  message-passing graph --format svg app.toml > app.svg
  message-passing graph --input ZeroMQ --input_options socket_bind=tcp://*:5558 --output STDOUT --workers 4
"""


def main(words: Sequence[str]) -> int:
    """Run it.

    Returns:
        The exit status: 0, or 2 for a mistake of the user's.
    """
    return run_command(_TITLE, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    parser = CommandParser(
        prog=_TITLE,
        usage=f"{_TITLE} [--format text|mermaid|svg] FILE | OPTIONS OF message-passing",
        description="Draw the chain of a config file, or of the words that would run one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--format", choices=_FORMATS, default="text", help="default text")
    given, rest = parser.parse_known_args(words)
    in_words = any(word.startswith("-") for word in rest)
    if not in_words and len(rest) != 1:
        raise OpenError("name one config file, or write the options of a chain; see --help")
    looked = look_at_words(rest) if in_words else look_at_file(rest[0])
    if not looked.chain:
        tell("".join(f"{mistake}\n" for mistake in looked.mistakes if not mistake.warning))
        return 2
    text = _FORMATS[given.format](graph_of(looked.chain))
    print_out(text if _can_be_shown(text) else as_plain(text))
    return 0


def _can_be_shown(text: str) -> bool:
    """Whether standard output has these letters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
