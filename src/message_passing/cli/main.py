"""The entry point: the first argument selects a command; anything else runs a chain."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.cli.command import Command


@contextmanager
def _interruptible() -> Iterator[None]:
    """What is imported meanwhile takes a moment: SIGINT ends the process then, instead of showing where it was."""
    try:
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # in a thread, which gets no signals
        ours = False
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


with _interruptible():
    from message_passing.cli.command import COMMANDS
    from message_passing.cli.run.run_command import MessagePassing
    from message_passing.cli.terminal import tell
    from message_passing.errors import PackageError
    from message_passing.paths import load_own


def main() -> NoReturn:
    """Run the command line."""
    words = sys.argv[1:]
    if words and words[0] in COMMANDS:
        with _interruptible():
            try:
                command = cast("Command", load_own(f"message_passing.cli.commands.{words[0]}:COMMAND"))
            except PackageError as error:
                tell(f"message-passing {words[0]}: {error}\n")
                sys.exit(2)
        sys.exit(command.main(words[1:]))
    MessagePassing.start(words)
