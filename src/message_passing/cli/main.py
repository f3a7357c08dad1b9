"""The entry point: the first argument selects a command; anything else runs a chain."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn, cast

from message_passing.cli.command import COMMANDS
from message_passing.cli.run.run_command import MessagePassing
from message_passing.paths import load_own

if TYPE_CHECKING:
    from message_passing.cli.command import Command


def main() -> NoReturn:
    """Run the command line."""
    words = sys.argv[1:]
    if words and words[0] in COMMANDS:
        command = cast("Command", load_own(f"message_passing.cli.commands.{words[0]}:COMMAND"))
        sys.exit(command.main(words[1:]))
    MessagePassing.start(words)
