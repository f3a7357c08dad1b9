"""One measurement of one handler, in a process of its own; prints its result as JSON.

python -m handlers.measures MEASURE CONTENDER PORT FILE RECEIVER_PID
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.contenders import CONTENDERS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

BURST, FLOOD, PACED, SLOWEST, MANY, WARM_UP = 5000, 20_000, 1000, 50_000, 1_000_000, 20
LIMIT = 3.0
"""Seconds after which a run of single calls ends, though not all were made."""

MEMORY_LIMIT = 16.0
"""The same for the memory's growth, which is then that of fewer records."""

BLOCKED = 6
"""Seconds after which a call that does not return is taken to block for good."""


def burst(subject: Subject) -> dict[str, float]:
    """Added microseconds per call, one call after the other: as many as half of our queue holds."""
    return flood(subject, BURST)


def flood(subject: Subject, count: int = FLOOD) -> dict[str, float]:
    """The same for twice as many as it holds."""

    def seconds(call: Callable[[], None]) -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        return time.perf_counter() - began

    seconds(subject.baseline)  # the interpreter adapts its code to what runs often
    without = seconds(subject.baseline)
    return {"added": (seconds(subject.call) - without) / count * 1e6, "without": without / count * 1e6}


def delivered(subject: Subject) -> dict[str, float]:
    """The same flood, and time for those that send in the background; the receiver counts."""
    found = flood(subject)
    time.sleep(3)
    return found


def paced(subject: Subject) -> dict[str, float]:
    """Added microseconds per call, 1,000 calls a second."""

    def times(call: Callable[[], None], count: int) -> list[int]:
        clock, found, due = time.perf_counter_ns, [], time.perf_counter()
        for _ in range(count):
            due += 0.001
            time.sleep(max(0.0, due - time.perf_counter()))
            began = clock()
            call()
            found.append(clock() - began)
        return found

    without, with_it = times(subject.baseline, PACED // 4), times(subject.call, PACED)
    return {
        "added": (statistics.median(with_it) - statistics.median(without)) / 1000,
        "mean": (statistics.fmean(with_it) - statistics.fmean(without)) / 1000,
    }


def slowest(subject: Subject) -> dict[str, Any]:
    """Of single calls, one after the other: the slowest, and the cost of all of them."""
    clock, until = time.perf_counter_ns, time.perf_counter() + LIMIT
    found: list[int] = []

    def blocked(*_: object) -> None:
        print(json.dumps({"blocked": True, "calls": len(found)}), flush=True)
        os._exit(0)

    signal.signal(signal.SIGALRM, blocked)
    signal.setitimer(signal.ITIMER_REAL, BLOCKED)
    gc.collect()
    for number in range(SLOWEST):
        began = clock()
        subject.call()
        found.append(clock() - began)
        if not number % 100 and time.perf_counter() > until:
            break
    signal.setitimer(signal.ITIMER_REAL, 0)
    middle = statistics.fmean(found) / 1000
    return {"slowest": max(found) / 1000, "mean": middle, "calls": len(found)}


def memory(subject: Subject) -> dict[str, Any]:
    """MiB that the process grew by, after half of the records and after all."""
    before, done, half = resident(), 0, 0.0
    until = time.perf_counter() + MEMORY_LIMIT

    def blocked(*_: object) -> None:
        print(json.dumps({"blocked": True, "calls": done, "growth": resident() - before}), flush=True)
        os._exit(0)

    signal.signal(signal.SIGALRM, blocked)
    signal.setitimer(signal.ITIMER_REAL, MEMORY_LIMIT + BLOCKED)
    middle = MANY // 2
    while done < MANY and time.perf_counter() < until:
        for _ in range(1000):
            subject.call()
        done += 1000
        if done >= middle or time.perf_counter() > until - MEMORY_LIMIT / 2:
            half, middle = half or resident() - before, MANY
    return {"half": half, "growth": resident() - before, "calls": done}


def resident() -> float:
    """This process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fork(subject: Subject) -> dict[str, Any]:
    """A forked child logs five records and ends."""
    child = os.fork()
    if child == 0:
        for number in range(5):
            subject.say(logging.INFO, f"MARK-child-{number}")
        time.sleep(1)  # for those that send in the background
        signal.alarm(5)
        subject.close()
        os._exit(0)
    os.waitpid(child, 0)
    return {"marks": [f"MARK-child-{number}" for number in range(5)]}


def level(subject: Subject) -> dict[str, Any]:
    """A record of a level that the standard library does not know."""
    logging.addLevelName(25, "NOTICE")
    told = quietly(lambda: subject.say(25, "MARK-notice"))
    time.sleep(0.5)
    return {"told": told, "marks": ["MARK-notice"]}


def closed(subject: Subject) -> dict[str, Any]:
    """Calls after the handler was closed."""
    subject.close()
    return {"told": quietly(lambda: [subject.call() for _ in range(10)])}


def gone(subject: Subject) -> dict[str, Any]:
    """Calls after the receiver was killed."""
    if receiver := int(sys.argv[5]):
        os.kill(receiver, signal.SIGKILL)
        time.sleep(0.3)

    def calls() -> None:
        for _ in range(200):
            subject.call()
            time.sleep(0.002)

    return {"told": quietly(calls)}


def quietly(work: Callable[[], object]) -> str:
    """The exception that it raised, or what it wrote to standard error; empty for neither."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - that is what is asked
            return f"raises {type(error).__name__}"
    return "prints" if said.getvalue() else ""


MEASURES = {
    one.__name__: one for one in (burst, flood, delivered, paced, slowest, memory, fork, level, closed, gone)
}


def main(measure: str, name: str, port: int, path: str, receiver: int) -> None:
    """Warm up, with the receiver there if there is one; then, for stalled, stop it; then measure."""
    measure, _, state = measure.partition("-")
    subject = CONTENDERS[name][1](port, path)
    if state != "absent":
        for _ in range(WARM_UP):
            subject.call()
            time.sleep(0.02)
    if state == "stalled" and receiver:
        os.kill(receiver, signal.SIGSTOP)
    print(json.dumps(MEASURES[measure](subject)), flush=True)
    if measure in ("burst", "flood", "delivered", "paced", "slowest", "memory"):
        os._exit(0)  # their ends differ by seconds, and are not what is measured
    signal.alarm(5)
    subject.close()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
