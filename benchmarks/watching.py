"""What being watched costs a node: in one flow of lines, a page is opened and closed again and again.

cd benchmarks && python -m watching [--pairs 40]

What a page asks: each second /state, /senders and /history, and a live tail of 200 messages a second; besides,
somebody scrapes /metrics each second. Told are the share of a core that the console takes, which a noisy machine
changes little, and the rate while watched as a part of the rate in the stretches before and after it. The node has
one core to itself, so that what the page, `cat` and this program do is not taken for a cost of the node. Nothing
else should run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aggregators import OURS
from speed.contenders import HERE, TAGGER
from speed.machine import compile_all, touch_memory
from speed.measures import TICKS, Stage
from speed.series import Plan

from message_passing.console.client import NodeClient
from message_passing.errors import OpenError
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAINS: dict[str, Sequence[str]] = {"JSON": (), "JSON, a user's filter": TAGGER}
STRETCH, SETTLE = 2.0, 0.5
"""Seconds that a rate is taken over, and that pass between opening or closing the page and that."""


class Page:
    """Asks what the page asks, until it is closed."""

    def __init__(self, port: int) -> None:
        self.answers = self.messages = 0
        self._node = NodeClient(f"http://127.0.0.1:{port}")
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._poll), threading.Thread(target=self._tail)]
        for thread in self._threads:
            thread.start()

    def _poll(self) -> None:
        while not self._closed.is_set():
            with suppress(OpenError):
                for path in ("/state", "/senders", "/history", "/metrics"):
                    if path == "/metrics":
                        with self._node.stream(path) as stream, suppress(OpenError):
                            stream.whole()
                    else:
                        self._node.get(path)
                    self.answers += 1
            self._closed.wait(1.0)

    def _tail(self) -> None:
        while not self._closed.wait(0.05):
            with suppress(OpenError), self._node.stream("/tail", limit=200) as stream:
                for line in stream:
                    self.messages += "message" in line
                    if self._closed.is_set():
                        return

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def watched(port: int) -> Iterator[None]:
    """A page is open.

    Raises:
        SystemExit: nobody answered it.
    """
    page = Page(port)
    try:
        yield
    finally:
        page.close()
    if not page.answers or not page.messages:
        raise SystemExit("nobody was answered")


def threads_of(pid: int) -> dict[str, float]:
    """The processor seconds of each thread of a process so far (proc(5))."""
    found = {}
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        words = stat.read_text(encoding="ascii").rpartition(")")[2].split()
        found[stat.parent.name] = (int(words[11]) + int(words[12])) / TICKS
    return found


def bytes_read(pid: int) -> int:
    """How much a process has read so far (proc(5)): asks the kernel, and not the node, which would be watching it."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/io").read_text("ascii").splitlines() if line.startswith("rchar")
    ]
    return int(line.split()[1])


class Flow:
    """A node through which lines flow from a file, on a core of its own, for as long as this is open."""

    def __init__(self, lines: Path, words: Sequence[str]) -> None:
        self.port = free_port()
        console = ("--http", f"127.0.0.1:{self.port}")
        ends = ("--input", "STDIN", "--output", "File", "--output_options", "filename=/dev/null")
        self._size = lines.stat().st_size / sum(1 for _ in lines.open("rb"))
        self._source = subprocess.Popen(["cat", *[str(lines)] * 1000], stdout=subprocess.PIPE)
        self._node = subprocess.Popen(
            [*OURS, *ends, *words, *console],
            stdin=self._source.stdout,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        self.pid = self._node.pid
        os.sched_setaffinity(self.pid, {0})

    def __enter__(self) -> Self:
        wait_for(NodeClient(f"http://127.0.0.1:{self.port}").alive, 20)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._node, self._source):
            process.kill()
            process.communicate()

    def rate(self) -> float:
        """Lines a second, in a stretch that begins soon."""
        time.sleep(SETTLE)
        before, began = bytes_read(self._node.pid), time.monotonic()
        time.sleep(STRETCH)
        return (bytes_read(self._node.pid) - before) / (time.monotonic() - began) / self._size

    def shares(self, seconds: float = 4.0) -> tuple[float, float]:
        """The shares of a core that the chain's thread and the console's take."""
        time.sleep(SETTLE)
        before, began = threads_of(self._node.pid), time.monotonic()
        time.sleep(seconds)
        after, took = threads_of(self._node.pid), time.monotonic() - began
        taken = {one: (after[one] - spent) / took for one, spent in before.items() if one in after}
        chain = taken.pop(str(self._node.pid))
        return chain, sum(taken.values())


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    given = parser.parse_args()
    os.sched_setaffinity(0, set(range(1, os.cpu_count() or 1)) or {0})
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        stage = Stage(Path(folder))
        compile_all(stage.folder)
        touch_memory(stage.folder)
        lines = Plan(stage, 1_000_000, 1).lines(1_000_000).path
        print("| | chain's thread | console's thread | lines/s, unwatched | watched, relative to that |")
        print("|---|---|---|---|---|", flush=True)
        for name, words in CHAINS.items():
            with Flow(lines, words) as flow:
                with watched(flow.port):
                    chain, console = flow.shares()
                print(
                    f"| {name} | {chain:.1%} | {console:.1%} | {_in_turns(flow, given.pairs)} |", flush=True
                )


def _in_turns(flow: Flow, pairs: int) -> str:
    """The rate while nobody watches, and what part of it is left while somebody does."""
    alone, ratios = [flow.rate()], []
    for _ in range(pairs):
        with watched(flow.port):
            seen = flow.rate()
        alone.append(flow.rate())
        ratios.append(seen / statistics.mean(alone[-2:]))
    low, middle, high = statistics.quantiles(ratios, n=4)
    # Of the median's own uncertainty: 1.253 standard errors, by the spread that half of the values have.
    error = 1.253 * (high - low) / 1.349 / pairs**0.5
    return f"{statistics.median(alone):,.0f} | {middle:.3f} ± {2 * error:.3f} (half of them {low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
