"""What a log record costs in its two parts: taking it in the log call, and encoding and keeping it afterwards.

python benchmarks/log_calls.py [ROUNDS]

Both run in the main thread, 200 records at a time, with nobody to receive them and no thread of the handler's. It
prints the shortest of all rounds, and the twentieth part of them that is shortest, so that what else runs on the
machine matters little. In microseconds for a record.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time

from message_passing.logging import ZeroMQHandler

COUNT = 200


def main(rounds: int) -> None:
    """Measure and print."""
    threading.Thread.start = lambda _: None  # type: ignore[method-assign, assignment]
    handler = ZeroMQHandler("tcp://127.0.0.1:9", socket_hwm=0, report_interval=0)
    shipper, clock = handler._shipper, time.thread_time  # noqa: SLF001 - what callers do is called alone
    text, values = "request %d for %s took %.1f ms", (7, "/index", 12.5)
    record = logging.LogRecord("x", logging.INFO, __file__, 7, text, values, None)
    handler.emit(record)
    shipper.since, shipper.due, shipper.crowded, shipper.limit = 0.0, 1e18, float("inf"), float("inf")
    taking, keeping = [], []
    gc.disable()
    for number in range(rounds):
        began = clock()
        for _ in range(COUNT):
            handler.emit(record)
        taken = clock()
        shipper.worker.help(COUNT)
        keeping.append(clock() - taken)
        taking.append(taken - began)
        if number % 50 == 0 and shipper.worker.transmitter:
            list(shipper.worker.transmitter._kept.drain())  # noqa: SLF001 - as above
    for name, found in (("taken", sorted(taking)), ("encoded and kept", sorted(keeping))):
        print(f"{name}: {found[0] / COUNT * 1e6:.2f} ({found[rounds // 20] / COUNT * 1e6:.2f})")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(*sys.argv[1:2] or ["1000"]))
