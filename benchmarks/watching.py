"""What being watched costs a node: the same lines without the console, with it unasked, and while a page is open.

cd benchmarks && python -m watching [--rounds 7] [--count 4000000]

First the share of a core that the console takes, which a noisy machine changes little; then the rates.
What a page asks: each second /state, /senders and /history, and a live tail of 200 messages a second; besides,
somebody scrapes /metrics each second. Nothing else should run.
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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregators import OURS
from speed.contenders import HERE, TAGGER, Contender, ours
from speed.machine import compile_all, touch_memory
from speed.measures import TICKS, Stage
from speed.series import Plan

from message_passing.console.client import Node
from message_passing.errors import OpenError
from message_passing.testing import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAINS: dict[str, Sequence[str]] = {"JSON": (), "JSON, a user's filter": TAGGER}
WAYS = ("without the console", "with it, unasked", "watched")


class Page:
    """Asks what the page asks, until it is closed."""

    def __init__(self, port: int) -> None:
        self.answers = self.messages = 0
        self._node = Node(f"http://127.0.0.1:{port}")
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._poll), threading.Thread(target=self._tail)]
        for thread in self._threads:
            thread.start()

    def _poll(self) -> None:
        while not self._closed.wait(1.0):
            with suppress(OpenError):
                for path in ("/state", "/senders", "/history", "/metrics"):
                    if path == "/metrics":
                        with self._node.stream(path) as stream, suppress(OpenError):
                            stream.whole()
                    else:
                        self._node.get(path)
                    self.answers += 1

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
def watched(port: int) -> Iterator[Page]:
    """A page that is open."""
    page = Page(port)
    try:
        yield page
    finally:
        page.close()


def threads_of(pid: int) -> dict[str, float]:
    """The processor seconds of each thread of a process so far (proc(5))."""
    found = {}
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        words = stat.read_text(encoding="ascii").rpartition(")")[2].split()
        found[stat.parent.name] = (int(words[11]) + int(words[12])) / TICKS
    return found


def shares(lines: Path, words: Sequence[str], seconds: float = 4.0) -> tuple[float, float]:
    """The shares of a core that the chain's thread and the console's take while lines flow in and a page is open."""
    port = free_port()
    command = [
        *OURS,
        "--input",
        "STDIN",
        "--output",
        "File",
        "--output_options",
        "filename=/dev/null",
        *words,
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with (
        subprocess.Popen(["cat", *[str(lines)] * 50], stdout=subprocess.PIPE) as source,
        subprocess.Popen(
            [*command, "--http", f"127.0.0.1:{port}"], stdin=source.stdout, env=environment
        ) as node,
    ):
        try:
            wait_for(Node(f"http://127.0.0.1:{port}").alive, 20)
            with watched(port):
                time.sleep(1)
                before, began = threads_of(node.pid), time.monotonic()
                time.sleep(seconds)
                after, took = threads_of(node.pid), time.monotonic() - began
        finally:
            node.kill()
            source.kill()
    taken = {thread: (after[thread] - spent) / took for thread, spent in before.items() if thread in after}
    chain = taken.pop(str(node.pid))
    return chain, sum(taken.values())


def figures(plan: Plan, words: Sequence[str], way: str, count: int) -> tuple[float, float]:
    """Lines a second, and the node's processor seconds a million lines."""
    port = free_port()
    console = () if way == WAYS[0] else ("--http", f"127.0.0.1:{port}")
    contender = Contender(ours(*words, *console), filtered=bool(words))
    measure = partial(plan._one, contender, count)  # noqa: SLF001 - one of its measurements, with another contender
    if way == WAYS[2]:
        with watched(port) as page:
            found = measure()
        if not page.answers or not page.messages:
            raise SystemExit("nobody was answered")
    else:
        found = measure()
    return float(found["rate"]), float(found["processor"])


def main() -> None:
    """Measure in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=4_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        stage = Stage(Path(folder))
        compile_all(stage.folder)
        touch_memory(stage.folder)
        plan = Plan(stage, given.count, given.rounds)
        print("| | chain's thread | console's thread |\n|---|---|---|")
        for name, words in CHAINS.items():
            for _ in range(3):
                chain, console = shares(plan.lines(given.count).path, words)
                print(f"| {name} | {chain:.1%} | {console:.1%} |", flush=True)
        results: dict[tuple[str, str], list[tuple[float, float]]] = {
            (name, way): [] for name in CHAINS for way in WAYS
        }
        for number in range(-1, given.rounds):
            for (name, way), found in results.items():
                value = figures(plan, CHAINS[name], way, given.count)
                if number >= 0:
                    found.append(value)
    print("| | lines/s | of the one without | CPU seconds a million lines | of the one without |")
    print("|---|---|---|---|---|")
    for (name, way), found in results.items():
        rates, processor = zip(*found, strict=True)
        rates_without, processor_without = zip(*results[name, WAYS[0]], strict=True)
        rate, spent = statistics.median(rates), statistics.median(processor)
        print(
            f"| {name}, {way} | {rate:,.0f} | {_ratios(rates, rates_without)} "
            f"| {spent:.2f} | {_ratios(processor, processor_without)} |"
        )


def _ratios(some: Sequence[float], others: Sequence[float]) -> str:
    ratios: list[Any] = [one / other for one, other in zip(some, others, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


if __name__ == "__main__":
    main()
