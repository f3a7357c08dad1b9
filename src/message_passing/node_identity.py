"""What a running node is called: in `top`, on its page, and in `ps`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


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
