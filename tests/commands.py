"""Commands that tests run to their end, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, NamedTuple

from nodes import OURS
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STDIN_TO_STDOUT = ("--input", "STDIN", "--output", "STDOUT")

_BECOME_NOBODY = """if True:
    import os, psutil, pwd
    from message_passing import registry
    from message_passing.cli.main import main
    [registry.names(kind) for kind in registry.PACKAGES]  # root's own Python may be out of nobody's reach
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    main()
"""

WITHOUT_RIGHTS = (sys.executable, "-W", "error", "-c", _BECOME_NOBODY) if os.geteuid() == 0 else OURS
"""The command as somebody who is not root."""


class Finished(NamedTuple):
    """A process that has ended."""

    status: int
    out: bytes
    err: str

    @property
    def told(self) -> list[str]:
        """The lines that it wrote to standard error, those about what happened while it ran without their times."""
        return untimed(self.err).splitlines()


def finished(
    *words: str,
    given: bytes | IO[bytes] = b"",
    command: Sequence[str] = OURS,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> Finished:
    """Run a command with `given` as its standard input, and wait until it has ended."""
    process = subprocess.Popen(
        [*command, *words],
        stdin=subprocess.PIPE if isinstance(given, bytes) else given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    try:
        out, err = process.communicate(given if isinstance(given, bytes) else None, timeout=timeout)
    finally:
        process.kill()
    return Finished(process.returncode, out, err.decode())
