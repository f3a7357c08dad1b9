"""The command `message-passing create`: its words, and the head of the file that it prints."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING

from message_passing.cli.command import Command
from message_passing.cli.create.config_text import FORMATS
from message_passing.cli.create.kinds import choose
from message_passing.cli.create.layout import laid_out
from message_passing.cli.terminal import print_out

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
Each option stands below its description, with its type and default. Those that a component cannot do without
are filled in with an example, the others are commented out: take the # away and change the value.
A name that stands for several kinds of component is read so that the chain is in order; KIND:NAME says which.
What no chain can do without is added: STDIN, a JSON decoder and encoder, STDOUT, a T before several outputs.

exit status: 0, or 2 for an unknown component

examples:
  message-passing create ZeroMQ Key File > app.toml
  message-passing create input:ZeroMQ JSON +myapp:Worker output:ZeroMQ --format yaml > app.yaml
  message-passing check app.toml && message-passing --configfile app.toml
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="a component, in the order of the chain")
    parser.add_argument("--format", choices=FORMATS, default="toml", help="default toml")


def _run(given: argparse.Namespace) -> int:
    tables = laid_out(choose(given.name))
    made_by = f"Made by `{COMMAND.title} {shlex.join(given.command_line)}`."
    use = "Run it with `message-passing --configfile FILE`; `message-passing check FILE` reports its errors."
    head = "".join(f"{line}\n" for line in textwrap.wrap(f"{made_by} {use}", 98, break_on_hyphens=False))
    print_out(textwrap.indent(head, "# ") + "\n" + FORMATS[given.format](tables))
    return 0


COMMAND = Command(
    name="create",
    description="Print a commented config file for a chain of the given components.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
