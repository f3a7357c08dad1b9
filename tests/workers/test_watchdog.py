"""Where a worker's time goes, which it looks for while its parent is watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import zmq

from message_passing.testing import wait_for
from message_passing.workers.process import Worker
from message_passing.workers.wire import WorkerSpec

if TYPE_CHECKING:
    from pathlib import Path

WATCHED_FOR_A_WHILE = """
import os, sys, threading, time
from message_passing.testing import wait_for
from message_passing.workers import watchdog

class Part:
    def work(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

watchdog._LEASE, watchdog._TELL, watchdog._PARENT_INTERVAL = 2.0, 0.3, 0.05
told, part, other = [], Part(), Part()
reading, writing = os.pipe()
watch = watchdog.ParentWatchdog(os.getppid(), reading, "no folder")
watch.begin({id(part): "part", id(other): "other"}, lambda busy: told.append(busy))
part.work(0.5)
assert not told, "nobody watches"
os.write(writing, watchdog.ASK)
part.work(1.8)
wait_for(lambda: {} in told)
assert told[0]["part"] > 0.8 and told[0]["other"] == 0, told
assert told.index({}) == len(told) - 1 > 0, told
watch.end()
os.write(writing, watchdog.ASK)
part.work(0.5)
assert told[-1] == {}, "it tells nothing more"
print("as promised", flush=True)
os.close(writing)
time.sleep(30)
"""


def test_it_looks_while_somebody_watches_and_leaves_with_its_parent() -> None:
    """It tells shares while it is asked, then once that none are known, and at the end of the pipe it ends."""
    words = [sys.executable, "-c", WATCHED_FOR_A_WHILE]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=25)
    assert (found.stdout, found.stderr, found.returncode) == ("as promised\n", "", 1)


def test_a_worker_that_stands_still_stops_nobody_who_asks(tmp_path: Path) -> None:
    """Once its pipe is full, what is written there is lost, and nothing waits."""
    with zmq.Context() as context:
        worker = Worker(1, WorkerSpec(1, str(tmp_path), [], {}, []), context, background=True)
        try:
            process = worker.described()["pid"]
            os.kill(process, signal.SIGSTOP)
            wait_for(lambda: os.waitpid(process, os.WUNTRACED | os.WNOHANG)[0])
            began = time.monotonic()
            for _ in range(200_000):
                worker.look()
            assert time.monotonic() - began < 10
        finally:
            worker.kill()
            worker.release()
