"""What a log call costs with a handler that sends over PUB, that is acknowledged, and that has a spool besides.

python benchmarks/handler_spool.py [--rounds 7]

Each measurement has a fresh process, and the kinds take turns. The cost is the calling thread's processor time for a
call, less that of a call to a handler that does nothing, at 1,000 calls a second and in bursts of 5,000. `p99.9` is
by the clock; that of the handler that does nothing says what the machine adds. `on disk` is how long after a lone log
call its record is there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from message_passing.logging import ZeroMQHandler
from message_passing.testing import free_port

KINDS = {"PUB": "SUB", "DEALER": "ROUTER", "DEALER with a spool": "ROUTER"}
"""Each kind, and what its receiver is."""

BURST, RATE, SECONDS = 5000, 1000, 3


class _Nothing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Nothing: what a log call costs anyhow."""


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger(name)
    log.propagate = False
    log.addHandler(handler)
    return log


def _timed(log: logging.Logger, calls: int, pause: float = 0.0) -> tuple[float, list[float]]:
    """The processor time of a call, and the times by the clock, in order; microseconds."""
    times, processor = [], 0.0
    for number in range(calls):
        begun, used = time.perf_counter(), time.thread_time()
        log.warning("request %d for %s took %.1f ms", number, "/api/v1/items", 12.5)
        processor += time.thread_time() - used
        times.append(1e6 * (time.perf_counter() - begun))
        if pause:
            time.sleep(pause)
    return 1e6 * processor / calls, sorted(times)


def _measure(kind: str, endpoint: str, folder: str) -> dict[str, float]:
    """In a process of its own."""
    given: dict[str, Any] = {"socket_type": kind.split(maxsplit=1)[0]}
    if "spool" in kind:
        given["spool"] = f"{folder}/spool"
    handler = ZeroMQHandler(endpoint, linger=10_000, **given)
    log, nothing = _logger("subject", handler), _logger("nothing", _Nothing())
    _timed(log, 1000)
    assert handler.flush(10)  # noqa: S101 - the receiver is there
    calls = RATE * SECONDS
    slow, idle = _timed(log, calls, 1 / RATE), _timed(nothing, calls, 1 / RATE)
    bursts = []
    for _ in range(10):
        bursts.append(_timed(log, BURST)[0] - _timed(nothing, BURST)[0])
        handler.flush(10)
    waits = []
    for _ in range(20 if "spool" in kind else 0):
        time.sleep(0.02)
        begun = time.perf_counter()
        log.warning("lone")
        handler.flush(10)
        waits.append(1e3 * (time.perf_counter() - begun))
    handler.close()
    return {
        "1,000/s": slow[0] - idle[0],
        "p99.9": slow[1][int(0.999 * calls)],
        "nothing's": idle[1][int(0.999 * calls)],
        "burst": statistics.median(bursts),
        **({"on disk": statistics.median(waits)} if waits else {}),
    }


def _round(kind: str) -> dict[str, float]:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        given = {"socket_bind": endpoint, "socket_type": KINDS[kind]}
        words = ["--input", "ZeroMQ", "--input_options", json.dumps(given), "--output", "Null"]
        receiving = subprocess.Popen([sys.executable, "-m", "message_passing", *words])
        try:
            time.sleep(1.5)
            measuring = [sys.executable, __file__, "--one", kind, endpoint, folder]
            done = subprocess.run(measuring, capture_output=True, text=True, check=True)
        finally:
            receiving.terminate()
            receiving.wait()
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(_measure(*given.one)))
        return
    rounds = [{kind: _round(kind) for kind in KINDS} for _ in range(given.rounds)]
    print(
        f"load {os.getloadavg()[0]:.1f}; medians and spread of {given.rounds} rounds; on disk: ms, others: us"
    )
    for kind in KINDS:
        for name in rounds[0][kind]:
            values = sorted(one[kind][name] for one in rounds)
            print(
                f"{kind:22}{name:10}{statistics.median(values):8.2f}  ({values[0]:.2f} to {values[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
