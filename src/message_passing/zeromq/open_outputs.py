"""The open outputs: closed when the process ends, so that what they buffer is sent; reset in a fork."""

from __future__ import annotations

import atexit
import os
from typing import Protocol


class OpenOutput(Protocol):
    """An open output."""

    def close(self) -> None:
        """Send what it buffers, within `linger`."""

    def start_again_in_child(self) -> None:
        """Reset after a fork: sockets, threads, locks and buffered messages belong to the parent."""


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
