"""What the commands of several words share, `message-passing keys new` and its like: parsing, faults, exit status."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NoReturn

from message_passing.cli.run.daemon import tell
from message_passing.errors import Fault, OpenError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable


class CommandParser(argparse.ArgumentParser):
    """A parser of one command's words, which says what it lacks as all else does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong.

        Raises:
            OpenError: always.
        """
        raise OpenError(Fault(f"{message}; see {self.prog} --help"))


def positive(word: str) -> float:
    """A number of seconds, for `add_argument(type=...)`.

    Raises:
        ArgumentTypeError: it is none, or not above 0.
    """
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {word!r}")
    return seconds


def run_command(title: str, run: Callable[[], int]) -> int:
    """Run a command's own function.

    Args:
        title: what it is called in messages: `message-passing keys`.
        run: reads its words and does what they say; gives the exit status.

    Returns:
        The exit status: 2 for a mistake of the user's, which has then been told; 130 when interrupted.
    """
    try:
        return run()
    except UserError as error:
        tell("".join(f"{title}: {fault}\n" for fault in error.faults))
        return 2
    except KeyboardInterrupt:
        return 130
