"""What the fault suite shares: senders and receivers as real processes, and how long a fault lasts."""

from __future__ import annotations

import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from books import Sent
from message_passing.testing import wait_for
from nodes import OURS, lines, node, part
from scenes import NOTES
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from books import Life
    from nodes import Node

FAULT_SECONDS = float(os.environ.get("FAULT_SECONDS", "2"))
"""How long a fault lasts that lasts: in the short form, which every run of the tests has, a moment."""

PATIENCE = 30.0
"""Seconds until what must happen has happened, on a busy machine too; for a long fault more."""

FOREVER = 1_000_000
"""A high-water mark that no test reaches."""

PROGRAM = Path(__file__).parent / "faults" / "sender.py"


def needs(*tools: str, root: bool = False) -> None:
    """Leave the test out where a tool is missing, or root's rights; in CI it fails then."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if root and os.geteuid():
        missing.append("root's rights")
    if missing:
        without(f"needs {', '.join(missing)}")


def without(reason: str) -> None:
    """Leave the test out, or in CI fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def soon(condition: Any) -> Any:
    """Wait until it is so."""
    return wait_for(condition, PATIENCE + 4 * FAULT_SECONDS)


class Sending:
    """A sender that runs."""

    def __init__(self, words: list[str], journal: Path, env: Mapping[str, str] | None) -> None:
        self._journal = journal
        self._said = b""
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}
        )

    def flow(self) -> None:
        """From now on it sends a few messages every few milliseconds."""
        self.ask("flow")

    def send(self, count: int) -> None:
        """It sends so many, and no more for the time being."""
        self.ask(f"send {count}")

    def rest(self) -> None:
        """It sends nothing until it is told to."""
        self.ask("rest")

    def ask(self, line: str) -> None:
        """Tell it something and wait for the answer: that it never waits for anybody is one of the promises."""
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self.process.stdout
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._said:
            poll = select.poll()  # select.select takes no descriptor above 1023
            poll.register(self.process.stdout, select.POLLIN)
            ready = poll.poll(1000 * max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"the sender said nothing more (status {self.process.poll()}, {self._said!r})"
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def now(self) -> Sent:
        """Its books so far."""
        told = json.loads(self._journal.read_bytes())
        return Sent(**told)

    def end(self) -> Sent:
        """Close its input, wait until it has ended, and take its books."""
        assert self.process.stdin
        self.process.stdin.close()
        told = json.loads(self._line())
        assert self.process.wait(PATIENCE) == 0
        return Sent(**told)

    def kill(self) -> Sent:
        """SIGKILL; its books are what the journal says."""
        self.process.kill()
        self.process.wait()
        sent = self.now()
        sent.killed = True
        return sent


@contextmanager
def sending(
    journal: Path,
    kind: str = "output",
    *,
    text: int = 100,
    prefix: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Sending]:
    """A sender; it is killed at the end if it has not ended by then.

    Args:
        journal: its file for its books.
        kind: `output` or `handler`.
        text: characters of text in a message.
        prefix: a command that runs it.
        env: what is added to its environment.
        options: the output's or the handler's. Unless these say otherwise, its end waits long for the receiver.
    """
    given = json.dumps({"linger": 10_000, **options})
    words = [*prefix, sys.executable, "-W", "error", str(PROGRAM), kind, str(journal), str(text), given]
    started = Sending(words, journal, env)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        for pipe in (started.process.stdin, started.process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


@contextmanager
def receiving(
    life: Life,
    *words: str,
    prefix: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **options: Any,
) -> Iterator[Node]:
    """A receiver that follows its senders and writes to the life's file.

    Args:
        life: what will have arrived in it.
        words: more words for the command, before its filter Follow.
        prefix: a command that runs it.
        env: what is added to its environment.
        cwd: where it runs.
        options: the ZeroMQ input's.
    """
    chosen = [
        *part("input", "ZeroMQ", **options),
        *words,
        *part("filter", "Follow", report_interval=3600),  # one event only, at the end
        *part("output", "File", filename=str(life.paths[-1])),
    ]
    with node(*chosen, command=(*prefix, *OURS), env=env, cwd=cwd) as started:
        yield started


def killed(started: Node, life: Life | None = None) -> None:
    """SIGKILL, and wait until it is gone; what it had written has arrived, and nothing else."""
    started.process.kill()
    started.process.wait()
    if life:
        life.killed = True


def ended(started: Node) -> list[str]:
    """SIGTERM is obeyed: the lines that it told on standard error, but for warnings of its start and its waiting."""
    status, _, err = started.stop(PATIENCE)
    assert status == 0, err.decode()
    return [
        line
        for line in untimed(NOTES.sub("", err.decode())).splitlines()
        if not line.startswith("message-passing: warning: ")
    ]


def both_ended(sender: Sending, receiver: Node, life: Life) -> tuple[Sent, list[str]]:
    """The sender ends, its last message arrives, the receiver ends: that one's books, and what this one told."""
    sent = sender.end()
    soon(lambda: life.has(sent.name, sent.stamped))
    return sent, ended(receiver)


def told_lost(told: list[str], who: str) -> int:
    """How many messages a component says it has lost, among what the command told."""
    found = [re.fullmatch(rf"message-passing: {who} \(\w+\) lost (\d+) messages?: .*", line) for line in told]
    return sum(int(match[1]) for match in found if match)


def told_missing(told: list[str]) -> int:
    """How many messages Follow says did not arrive, among what the command told."""
    pattern = r"message-passing: filter(?: \d+)? \(Follow\): (\d+) messages? did not arrive here: .*"
    return sum(int(match[1]) for line in told if (match := re.fullmatch(pattern, line)))


def reports(errors: Path) -> list[dict[str, Any]]:
    """What an error chain has written."""
    return [json.loads(line) for line in lines(errors)]


def failures(errors: Path, who: str) -> int:
    """Of how many messages it tells that a component failed."""
    found = [report for report in reports(errors) if report["component"] == who]
    told: int = sum(
        report.get("count", 1) for report in found if {"packed_data", "stringified_data"} & report.keys()
    )
    suppressed: int = sum(report.get("suppressed", 0) for report in found)
    return told + suppressed


def resident(process_id: int) -> float:
    """The memory that a process has, in MiB."""
    with open(f"/proc/{process_id}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


@contextmanager
def frozen(process_id: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


@contextmanager
def without_descriptors(process_id: int, left: int = 0) -> Iterator[None]:
    """A process that may open no file, pipe or connection any more, or only so many, until the end."""
    looks = (os.listdir(f"/proc/{process_id}/fd") for _ in range(20))  # noqa: PTH208 - numbers only
    taken = {int(name) for name in set.intersection(*map(set, looks))}  # one that comes and goes is not taken
    free = [number for number in range(len(taken) + left + 1) if number not in taken][left]
    before = resource.prlimit(process_id, resource.RLIMIT_NOFILE)
    resource.prlimit(process_id, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_NOFILE, before)


def connected_to(port: int) -> bool:
    """Whether any process still has its end of a connection to a port of this machine (proc_net(5))."""
    ends = [line.split()[2:4] for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(peer.endswith(f":{port:04X}") and state in ("01", "08") for peer, state in ends)


def local(port: int) -> str:
    """A port of this machine as an endpoint."""
    return f"tcp://127.0.0.1:{port}"
