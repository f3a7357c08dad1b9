"""A clock that can be set, in the processes that have its environment: see faults/clock/sitecustomize.py."""

from __future__ import annotations

import os
from pathlib import Path

HOUR = 3600.0


class Clock:
    """The clock of processes that have its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)
        self.env = {"FAULT_CLOCK": str(file), "PYTHONPATH": self._path()}

    def set(self, seconds: float) -> None:
        """So many seconds before or after the right time."""
        if not self._file.exists():
            self._file.touch()
        with self._file.open("r+b") as file:  # in place and of one length, since the processes read on
            file.write(b"%20.3f" % seconds)

    @staticmethod
    def _path() -> str:
        before = os.environ.get("PYTHONPATH")
        return os.pathsep.join(
            [str(Path(__file__).parent / "faults" / "clock"), *([before] if before else [])]
        )
