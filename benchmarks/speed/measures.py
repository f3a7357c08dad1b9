"""One measurement: a receiver, a sender, and a look at the file until it holds everything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speed.contenders import HERE
from speed.samples import Sample, problem

from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from speed.contenders import Command

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 20.0
"""Seconds without a new byte after which a measurement is given up."""


class FailedError(Exception):
    """A measurement that came to nothing, and why."""


@dataclass(frozen=True)
class Stage:
    """Where everything happens.

    Attributes:
        folder: holds the compiled programs and the samples.
    """

    folder: Path

    @property
    def file(self) -> Path:
        """What is written to."""
        return self.folder / "arrived"

    def program(self, name: str) -> str:
        """A compiled program."""
        return str(self.folder / name)

    @contextlib.contextmanager
    def receiver(self, command: Command, port: int) -> Iterator[int]:
        """A receiver that listens, with an empty file; ended afterwards."""
        self.file.write_bytes(b"")
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(
                command(port, self.file), stdout=said, stderr=said, env=environment, cwd=self.folder
            )
        try:
            wait_for(lambda: listens(port) or process.poll() is not None, 20)
            if process.poll() is not None:
                raise FailedError(self.said())
            yield process.pid
        finally:
            end(process)

    def said(self) -> str:
        """The last line that a receiver wrote to standard error."""
        text = (self.folder / "said").read_text(encoding="utf-8", errors="replace")
        return (text.strip().splitlines() or ["it ended"])[-1][:200]


def end(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and do not wait for long."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Whether somebody listens on the port, seen without connecting to it."""
    ending = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if words[1].endswith(ending) and words[3] == "0A":
            return True
    return False


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text(encoding="ascii").split())
    return found


def processor_seconds(pid: int) -> float:
    """User and system time of a process, its threads and its descendants."""
    total = 0
    for one in family(pid):
        words = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / TICKS


def peak_megabytes(pid: int) -> float:
    """The most resident memory that a process and its descendants had, in MiB, each at its own time."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                total += int(line.split()[1])
    return total / 1024


def figures(trouble: str, count: int, seconds: float, used: float, memory: float) -> dict[str, Any]:
    """What a run has measured: lines a second, processor seconds a million lines, MiB; or why it does not count."""
    if trouble:
        return {"error": trouble}
    return {"rate": count / seconds, "processor": used / count * 1e6, "memory": memory}


def once(
    stage: Stage,
    command: Command,
    sent: Sample,
    expected: Sample,
    *,
    compared: str = "bytes",
    frame: int = 0,
    connections: int = 1,
) -> dict[str, Any]:
    """Send a sample to a receiver.

    Returns:
        lines a second, processor seconds a million lines, peak memory in MiB; or `error`.
    """
    port = free_port()
    words = [stage.program("sender"), "-f", str(frame), "-c", str(connections)]
    words += [str(sent.path), str(sent.count), f"tcp://127.0.0.1:{port}"]
    try:
        with stage.receiver(command, port) as pid:
            before = processor_seconds(pid)
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sender:
                try:
                    began = first_number(sender)
                    seconds = filled(stage, expected.size) - began / 1e9
                finally:
                    sender.terminate()
            used = processor_seconds(pid) - before
            memory = peak_megabytes(pid)
        trouble = problem(stage.file, expected, compared)
    except (FailedError, TimeoutError, OSError) as error:
        return {"error": str(error) or type(error).__name__}
    return figures(trouble, sent.count, seconds, used, memory)


def first_number(sender: subprocess.Popen[str]) -> int:
    """When it began to send, in nanoseconds."""
    assert sender.stdout  # noqa: S101 - for the type checker
    line = sender.stdout.readline()
    if not line:
        raise FailedError("the sender could not connect")
    return int(line)


def filled(stage: Stage, size: int) -> float:
    """When the file had its size, to a millisecond."""
    known, since = 0, time.monotonic()
    while True:
        found, at = stage.file.stat().st_size, time.monotonic()
        if found >= size:
            return at
        if found > known:
            known, since = found, at
        elif at - since > PATIENCE:
            raise FailedError(f"{found} of {size} bytes arrived; {stage.said()}")
        time.sleep(0.001)
