"""What a running node is called: in `top`, on its page, and in `ps`."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import NamedTuple

from message_passing.escaping import one_line

_COMM = 15
"""Bytes of a process's name (TASK_COMM_LEN without the null byte, proc(5))."""

_ARG_START, _ARG_END = 45, 46
"""Where in /proc/self/stat, counted from what follows the name in parentheses, stand `arg_start` and `arg_end`."""

_LONGEST_NAME = 100


class NodeIdentity(NamedTuple):
    """What is known of a node from its start.

    Attributes:
        title: what the command is called.
        name: what the node is called; empty if nobody said.
        config: the config file that it was started with; empty if there is none.
    """

    title: str
    name: str = ""
    config: str = ""

    @property
    def display_name(self) -> str:
        """What it is called: as somebody said, else as its config file, else as the command."""
        return self.name or Path(self.config).stem or self.title

    @property
    def config_path(self) -> str:
        """The config file's absolute path; empty if there is none."""
        return str(Path(self.config).absolute()) if self.config else ""


def worker_title(number: int, node: str) -> str:
    """What `ps` shows of a worker: `message-passing: worker 2 of web-logs`."""
    of = f" of {one_line(node, _LONGEST_NAME)}" if node not in ("", "message-passing") else ""
    return f"message-passing: worker {number}{of}"


def set_process_title(title: str) -> None:
    """Have `ps` show this instead of the command line, and its last words as the process's name, on Linux.

    As sendmail and PostgreSQL do, it is written to where the kernel reads the command line (`arg_start`, proc(5)).
    There is room for as many bytes as that had. Python keeps what it needs of it elsewhere. Where there is no such
    place, nothing happens.
    """
    text = title.encode("utf-8", "replace")
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        if 0 < start < end:
            room = end - start - 1  # the last byte stays null: another one there makes the kernel read on
            ctypes.memmove(start, text[:room].ljust(room, b"\0"), room)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_bytes(text.partition(b": ")[2][:_COMM] or text[:_COMM])
