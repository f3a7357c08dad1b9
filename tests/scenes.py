"""Runs the blocks of one scene of a document, with real processes in a folder of their own.

Ports, `/tmp/` and addresses of other machines are replaced by free ports, the folder, and 127.0.0.1; in
what a block shows too. `...` in what a block shows stands for any text.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from types import TracebackType

    from documents import Block

PATIENCE = 20.0

NOTES = re.compile(
    r"(?m)^message-passing: [^ ]*Z: [^:]*: (?:\w+://\S+: (?:no (?:sender|receiver|peer) has connected yet|"
    r"nobody listens there: start|connected, and no message has come yet)|connected (?:on|to) |"
    r"received the first message).*\n"
)
"""What a node says when others are started more than three seconds after it, as on a busy machine."""

_OPEN = re.compile(r"(?m)^.*: warning: .*: everybody who can reach .*\n")
_PORT = re.compile(r"\b(?:5140|5222|5223|5552|5558|9090)\b")
_FAR = re.compile(r"\b192\.168\.0\.\d+\b")
_BOUND = re.compile(r"socket_bind[^a-z]{1,6}tcp://[^\s\"']*?:(\d+)")


class Scene:
    """A folder, ports, and the processes that run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports: dict[str, str] = {}
        self._running: list[tuple[Block, subprocess.Popen[bytes], Path, str]] = []
        self._last = ""
        scripts = str(Path(sys.executable).parent)
        self._env = {
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop what is left, whatever happened."""
        for _, process, _, _ in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for file in self.folder.glob("**/*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)

    def adapted(self, text: str) -> str:
        """A block's text for this machine."""
        text = _PORT.sub(lambda found: self._ports.setdefault(found[0], str(free_port())), text)
        return _FAR.sub("127.0.0.1", text).replace("/tmp/", f"{self.folder}/")  # noqa: S108 - readers' own

    def play(self, block: Block) -> None:
        """Do with a block what it says."""
        getattr(self, f"_{block.way}")(block)

    def finish(self) -> None:
        """Tell the processes in the background to end, and see what they printed."""
        for block, process, output, expected in self._running:
            if expected:
                wait_for(partial(_holds, output, expected), PATIENCE)
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE)
            printed = output.read_text()
            assert matches(printed, expected), f"{block.place} printed:\n{printed}"
            assert status == 0, f"{block.place} ended with status {status}"

    def _file(self, block: Block) -> None:
        (self.folder / block.words[1]).write_text(self.adapted(block.text))

    def _run(self, block: Block) -> None:
        for command, shown in self._commands(block):
            status, printed = self._to_its_end(command, b"")
            assert status == 0, f"{block.place} ended with status {status}:\n{printed}"
            self._last = printed
            if block.language == "console":
                assert matches(printed, shown), f"{block.place} printed:\n{printed}"

    def _prints(self, block: Block) -> None:
        assert matches(self._last, self.adapted(block.text)), f"before {block.place}:\n{self._last}"

    def _typed(self, block: Block) -> None:
        for command, typed in self._commands(block):
            status, printed = self._to_its_end(command, typed.encode())
            assert (status, printed) == (0, ""), f"{block.place} ended with {status}:\n{printed}"

    def _eventually(self, block: Block) -> None:
        for command, shown in self._commands(block):
            wait_for(partial(self._prints_now, command, shown), PATIENCE)

    def _prints_now(self, command: str, shown: str) -> bool:
        return matches(self._to_its_end(command, b"")[1], shown)

    def _shows(self, block: Block) -> None:
        ((command, shown),) = self._commands(block)
        output = self.folder / f"output-{len(self._running)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],  # noqa: S607
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._running.append((block, process, output, shown))
        source = self.adapted(block.text)
        for port in _BOUND.findall(source):
            wait_for(partial(_accepts_or_ended, int(port), process), PATIENCE)
        assert process.poll() is None, f"{block.place} ended at once:\n{output.read_text()}"

    def _commands(self, block: Block) -> list[tuple[str, str]]:
        """A block's commands, and the lines below each."""
        text = self.adapted(block.text)
        if block.language == "python":
            program = self.folder / f"block-{block.place.rpartition(':')[2]}.py"
            program.write_text(text)
            return [(f"python {program.name}", "")]
        if block.language == "sh":
            return [(text.strip(), "")]
        found: list[tuple[str, str]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            elif found[-1][0].endswith(("\\", "|")):
                found[-1] = (f"{found[-1][0]}\n{line}", "")
            else:
                found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
        return found

    def _to_its_end(self, command: str, given: bytes) -> tuple[int, str]:
        # To a file, not a pipe: what daemonizes keeps its output open.
        output = self.folder / "output-last"
        with output.open("wb") as file:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", command],  # noqa: S607
                cwd=self.folder,
                env=self._env,
                input=given,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
        return done.returncode, _OPEN.sub("", output.read_text())


def matches(printed: str, shown: str) -> bool:
    """Whether it printed what is shown, where `...` is any text.

    That everybody may connect to an open port is said each time, and shown once, where documents tell of keys.
    """
    printed = NOTES.sub("", _OPEN.sub("", printed))
    pattern = ".*".join(re.escape(part) for part in shown.rstrip("\n").split("..."))
    return re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL) is not None


def _holds(file: Path, shown: str) -> bool:
    return matches(file.read_text(), shown)


def _accepts_or_ended(port: int, process: subprocess.Popen[bytes]) -> bool:
    return accepts(port) or process.poll() is not None


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
