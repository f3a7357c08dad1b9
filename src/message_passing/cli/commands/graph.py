"""The command `message-passing graph`: its arguments, and where the drawing goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from message_passing.cli.command import Command
from message_passing.cli.graph.model import graph_of
from message_passing.cli.graph.svg import as_svg
from message_passing.cli.graph.text import as_lines, as_mermaid, as_plain
from message_passing.cli.run.run_command import check_words
from message_passing.cli.terminal import print_out, tell
from message_passing.errors import OpenError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from message_passing.cli.graph.model import Graph

_FORMATS: dict[str, Callable[[Graph], str]] = {"text": as_lines, "mermaid": as_mermaid, "svg": as_svg}

_EPILOG = """\
Dashed arrows, and the circles of the text, show where failed messages go. Nothing is opened.

exit status: 0, or 2 when the chain has errors, which are reported as by `message-passing check`

examples:
  message-passing graph app.toml
  message-passing graph --format svg app.toml > app.svg
  message-passing graph --input ZeroMQ --input_options socket_bind=tcp://*:5558 --output STDOUT --workers 4
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=_FORMATS, default="text", help="default text")


def _run(given: argparse.Namespace) -> int:
    if not given.chain:
        raise OpenError("name one config file, or give the options of a chain; see --help")
    looked = check_words(given.chain)
    if not looked.chain:
        tell("".join(f"{mistake}\n" for mistake in looked.diagnostics if not mistake.warning))
        return 2
    text = _FORMATS[given.format](graph_of(looked.chain))
    print_out(text if _can_be_shown(text) else as_plain(text))
    return 0


def _can_be_shown(text: str) -> bool:
    """Whether standard output can encode these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


COMMAND = Command(
    name="graph",
    description="Draw the chain of a config file, or of command-line options.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    usage="[--format text|mermaid|svg] FILE | OPTIONS OF message-passing",
    runs_chains=True,
)
