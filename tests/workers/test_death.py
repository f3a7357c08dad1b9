"""Workers that die: started again, what is lost is counted, and no hope means the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import IO

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.testing import wait_for
from message_passing.workers.process import LARGEST_BATCH, WINDOW
from nodes import OURS, Node, lines, node, part
from support import untimed

MINE = '''
import os, pathlib, signal, time
from message_passing import Filter, option

class Who(Filter):
    """Says which process it was."""
    def filter(self, message):
        return {**message, "process": os.getpid()}

class Fragile(Filter):
    """Dies of certain messages."""
    def filter(self, message):
        if message.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        return message

class Unique(Filter):
    """Can be opened as often as there are files to take."""
    def on_open(self):
        for place in pathlib.Path("places").iterdir():
            try:
                place.rmdir()
                return
            except OSError:
                continue
        raise RuntimeError("no place is left")
    def filter(self, message):
        if message.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        return message

class Waits(Filter):
    """Takes a moment for each."""
    def filter(self, message):
        time.sleep(0.001)
        return message
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, with components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def numbered(start: int, end: int) -> bytes:
    """These messages, a line each."""
    return b"".join(b'{"n":%d}\n' % n for n in range(start, end))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def lost(told: list[str]) -> int:
    """How many messages the command says it lost in workers that died."""
    found = [re.search(r"workers \(Pool\) lost (\d+) message", line) for line in told]
    return sum(int(match[1]) for match in found if match)


def writing(*words: str) -> list[str]:
    """The words for a chain from standard input to a file."""
    return ["--input", "STDIN", *part("output", "File", filename="out"), *words]


def numbers(folder: Path) -> set[int]:
    """What has arrived."""
    return {json.loads(line)["n"] for line in lines(folder / "out")}


class Started:
    """A command that reads a file, and tells its errors to one."""

    def __init__(self, words: list[str], given: IO[bytes], folder: Path) -> None:
        self._told = folder / "told"
        with self._told.open("wb") as told:
            self._process = subprocess.Popen([*OURS, *words], stdin=given, stderr=told, cwd=folder)
        self.pid = self._process.pid

    def end(self) -> tuple[int, str]:
        """Wait for it; its status, and what it told."""
        return self._process.wait(60), self._told.read_text()

    def kill(self) -> None:
        """Whatever happens."""
        self._process.kill()
        self._process.wait()


def test_a_killed_worker_is_started_again(folder: Path) -> None:
    """Another process does the work, nothing that others had is lost, and one line tells of it."""
    with node(*writing("--filter", "+mine:Who", "--workers", "1"), cwd=folder) as started:
        started.write(numbered(0, 100))
        wait_for(lambda: len(lines(folder / "out")) == 100, timeout=20)
        (first,) = children(started.process.pid)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: first not in children(started.process.pid), timeout=20)
        started.write(numbered(100, 200))
        wait_for(lambda: len(lines(folder / "out")) == 200, timeout=20)
        (second,) = children(started.process.pid)
        assert second != first
        status, _, err = started.end()
    assert status == 0
    (report,) = [json.loads(line) for line in err.splitlines()]
    assert report["component"] == "workers"
    assert report["exception"] == (
        f"worker 1 (process {first}) was killed by SIGKILL, with 0 messages in flight; "
        "it is restarted in 0.1 s"
    )
    processes = {json.loads(line)["process"] for line in lines(folder / "out")}
    assert processes == {first, second}


def test_what_is_lost_is_what_it_held_and_is_counted(folder: Path) -> None:
    """Killed in the middle of a flood: everything else arrives once, and the number told is the number lost."""
    count = 6_000
    (folder / "given").write_bytes(numbered(0, count))
    words = writing("--filter", "+mine:Waits", "--workers", "2")
    with (folder / "given").open("rb") as given:
        killed = 0
        started = Started(words, given, folder)
        try:
            for share in (2, 3, 4):
                wait_for(lambda share=share: len(lines(folder / "out")) > count * share // 8, timeout=40)  # type: ignore[misc]
                os.kill(children(started.pid)[0], signal.SIGKILL)
                killed += 1
            status, err = started.end()
        finally:
            started.kill()
    assert status == 0
    found = [json.loads(line)["n"] for line in lines(folder / "out")]
    assert len(found) == len(set(found))
    told = err.splitlines()
    assert count - len(found) == lost(told) <= killed * WINDOW * LARGEST_BATCH
    assert len([line for line in told if "was killed by SIGKILL" in line]) == killed


def test_a_message_that_kills_is_not_dealt_again(folder: Path) -> None:
    """Otherwise it would kill one after the other. The pause grows from death to death."""
    with node(*writing("--filter", "+mine:Fragile", "--workers", "1"), cwd=folder) as started:
        for turn in range(3):
            started.write(b'{"die":true,"n":-1}\n')
            wait_for(lambda turn=turn: _reaped(started, turn), timeout=20)  # type: ignore[misc]
            started.write(numbered(turn, turn + 1))
            wait_for(lambda turn=turn: turn in numbers(folder), timeout=20)  # type: ignore[misc]
        status, _, err = started.end()
    assert status == 0
    told = untimed(err.decode()).splitlines()
    assert re.findall(r"restarted in ([\d.]+) s", err.decode()) == ["0.1", "0.2", "0.4"]
    assert told[-1] == "message-passing: workers (Pool) lost 3 messages: 3 in a worker that died"
    assert numbers(folder) == {0, 1, 2}


_seen: dict[int, set[int]] = {}


def _reaped(started: Node, turn: int) -> bool:
    """Whether so many workers and one more have come since the start."""
    seen = _seen.setdefault(started.process.pid, set())
    seen.update(children(started.process.pid))
    return len(seen) >= turn + 2


def test_no_hope_is_the_end(folder: Path) -> None:
    """Workers that cannot be started again end the command, with status 1 and the reason."""
    for number in range(2):
        (folder / "places" / str(number)).mkdir(parents=True)
    with node(*writing("--filter", "+mine:Unique", "--workers", "2"), cwd=folder) as started:
        started.write(numbered(0, 10))
        wait_for(lambda: len(numbers(folder)) == 10, timeout=20)
        started.write(b'{"die":true,"n":-1}\n')
        wait_for(lambda: len(children(started.process.pid)) < 2, timeout=20)
        started.write(b'{"die":true,"n":-1}\n')
        assert started.process.wait(30) == 1
        _, _, err = started.end()
    told = [line for line in untimed(err.decode()).splitlines() if line.startswith("message-passing: ")]
    failed = "Unique filter: on_open() of 'filter' (mine.Unique) raised RuntimeError: no place is left at "
    hopeless = f"no worker can be started: the last one failed: {failed}{folder}/mine.py:26"
    assert told == [
        "message-passing: workers (Pool) lost 2 messages: 2 in a worker that died",
        f"message-passing: workers (Pool) failed: WorkerError: {hopeless}",
    ]


def test_workers_of_which_one_cannot_be_started_again(folder: Path) -> None:
    """The other one does the work."""
    for number in range(2):
        (folder / "places" / str(number)).mkdir(parents=True)
    given = b'{"die":true,"n":-1}\n' + numbered(0, 1000)
    done = finished(
        *STDIN_TO_STDOUT, "--filter", "+mine:Unique", "--workers", "2", given=given, cwd=folder, timeout=60
    )
    assert done.status == 0
    assert len(done.out.splitlines()) == 1001 - lost(done.told)
    assert lost(done.told) >= 1
