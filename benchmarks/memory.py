"""The aggregator's memory over five million messages.

python benchmarks/memory.py [--count 5000000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from aggregators import OURS, Flood, aggregator, resident_megabytes
from sample import lines

from message_passing.testing import free_port


def main() -> None:
    """Measure and print a line for each tenth of the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000_000)
    count = parser.parse_args().count
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "arrived.log"
        with aggregator(OURS, port, target) as process:
            flood = Flood(port, lines(10_000), count)
            flood.start()
            began, readings = time.monotonic(), []
            for tenth in range(1, 11):
                while flood.sent < count * tenth // 10:
                    time.sleep(0.01)
                readings.append(resident_megabytes(process.pid))
                print(
                    f"{flood.sent:>10,} sent after {time.monotonic() - began:5.1f} s: {readings[-1]:6.1f} MiB"
                )
            flood.join()
    print(f"growth from the first tenth to the last: {readings[-1] - readings[0]:.1f} MiB")


if __name__ == "__main__":
    main()
