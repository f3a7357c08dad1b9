"""The outputs that are open: closed when the process ends, so that what they hold is sent; begun anew in a fork."""

from __future__ import annotations

import atexit
import os
from typing import Protocol


class OpenOutput(Protocol):
    """One of them."""

    def close(self) -> None:
        """Send what it holds, within `linger`."""

    def start_again_in_child(self) -> None:
        """After a fork: sockets, threads, locks and what was held belong to the parent."""


open_outputs: set[OpenOutput] = set()


def _close_all_outputs() -> None:
    for output in list(open_outputs):
        output.close()


def _start_all_again_in_child() -> None:
    for output in list(open_outputs):
        open_outputs.discard(output)
        output.start_again_in_child()


atexit.register(_close_all_outputs)
os.register_at_fork(after_in_child=_start_all_again_in_child)
