"""Jobs for slow workers, from a sender of ours and from the original's: neither drops any."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from interop.test_pairings import PERL_APPLICATION
from message_passing.testing import free_port, wait_for
from nodes import OURS, lines, node, part

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 4000

SLOW = '''
import time
from message_passing import Filter

class Slow(Filter):
    """A job takes a while."""
    def filter(self, message):
        time.sleep(0.0005)
        return message
'''


@pytest.mark.perl
@pytest.mark.parametrize("sender", ["ours", "Perl"])
def test_every_job_is_done(tmp_path: Path, sender: str) -> None:
    """Four thousand, two slow workers with short queues, which stand still for longer than a log would wait."""
    (tmp_path / "mine.py").write_text(SLOW)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    to = {"socket_bind": endpoint, "socket_type": "PUSH", "socket_hwm": 10}
    at = {"connect": endpoint, "socket_type": "PULL", "socket_hwm": 10}
    done = [tmp_path / "first", tmp_path / "second"]
    workers = [
        [
            *part("input", "ZeroMQ", **at),
            "--filter",
            "+mine:Slow",
            *part("output", "File", filename=path.name),
        ]
        for path in done
    ]
    command: tuple[str, ...]
    if sender == "ours":
        command, words = OURS, ["--input", "STDIN", *part("output", "ZeroMQ", **to)]
    else:
        command, words = ("perl", "-e", PERL_APPLICATION), [json.dumps(to)]
    text = "x" * 1000
    jobs = "".join(json.dumps({"n": n, "text": text}) + "\n" for n in range(COUNT)).encode()
    with (
        node(*workers[0], cwd=tmp_path) as first,
        node(*workers[1], cwd=tmp_path) as second,
        node(*words, command=command) as started,
    ):
        started.write(jobs[: len(jobs) // 4])
        wait_for(lambda: any(map(lines, done)), timeout=20)
        for one in (first, second):
            one.signal(signal.SIGSTOP)
        time.sleep(1.5)  # not a wait for anything: so long nothing is taken
        for one in (first, second):
            one.signal(signal.SIGCONT)
        started.write(jobs[len(jobs) // 4 :])
        wait_for(lambda: sum(len(lines(path)) for path in done) == COUNT, timeout=60)
        if sender == "ours":
            assert started.end() == (0, b"", b"")
        assert [one.stop()[::2] for one in (first, second)] == [(0, b"")] * 2
    numbers = [json.loads(line)["n"] for path in done for line in lines(path)]
    assert sorted(numbers) == [*range(COUNT)]
