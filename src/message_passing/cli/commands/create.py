"""The command itself: its words, and the head of the file."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from typing import TYPE_CHECKING

from message_passing.cli.command import CommandParser, run_command
from message_passing.cli.create.kinds import choose
from message_passing.cli.create.layout import laid_out
from message_passing.cli.create.text import FORMATS
from message_passing.cli.run.arguments import print_out

if TYPE_CHECKING:
    from collections.abc import Sequence

_TITLE = "message-passing create"

_EPILOG = """\
Each option stands below its description, with its type and default. Those that a component cannot do without
are filled in with an example, the others are commented out: take the # away and change the value.
A name that stands for several kinds of component is read so that the chain is in order; KIND:NAME says which.
What no chain can do without is added: STDIN, a JSON decoder and encoder, STDOUT, a T before several outputs.

exit status: 0, or 2 for a component that there is not

examples:
  message-passing create ZeroMQ Key File > app.toml
  message-passing create input:ZeroMQ JSON +myapp:Worker output:ZeroMQ --format yaml > app.yaml
  message-passing check app.toml && message-passing --configfile app.toml
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
        description="Print a config file, with comments, for a chain of the components that are named.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", nargs="+", help="a component, in the order of the chain")
    parser.add_argument("--format", choices=FORMATS, default="toml", help="default toml")
    given = parser.parse_args(words)
    tables = laid_out(choose(given.name))
    made_by = f"Made by `{_TITLE} {shlex.join(words)}`."
    use = "Run it with `message-passing --configfile FILE`; `message-passing check FILE` tells its mistakes."
    head = "".join(f"{line}\n" for line in textwrap.wrap(f"{made_by} {use}", 98, break_on_hyphens=False))
    print_out(textwrap.indent(head, "# ") + "\n" + FORMATS[given.format](tables))
    return 0
