"""What JSON Lines frames and zstd save: bytes on the wire, and what making them costs.

python benchmarks/compression.py [--count 100000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

from sample import lines

from message_passing.codecs.gzip import GzipEncoder
from message_passing.codecs.jsonlines import JSONLinesEncoder
from message_passing.codecs.zstd import ZstdEncoder
from message_passing.outputs.test import TestOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH = 1000
"""Messages that are ready at the same time; the input takes no more at once."""

FRAME_HEAD = 9
"""Bytes that ZMTP puts before a message of more than 255; before a shorter one it is 2."""

WAYS: dict[str, Callable[[Any], Any]] = {
    "one message a line": lambda end: end,
    "one message a line, Zstd": lambda end: ZstdEncoder(output_to=end),
    "JSONLines": lambda end: JSONLinesEncoder(output_to=end),
    "JSONLines, Zstd level 1": lambda end: JSONLinesEncoder(output_to=ZstdEncoder(level=1, output_to=end)),
    "JSONLines, Zstd (level 3)": lambda end: JSONLinesEncoder(output_to=ZstdEncoder(output_to=end)),
    "JSONLines, Zstd level 9": lambda end: JSONLinesEncoder(output_to=ZstdEncoder(level=9, output_to=end)),
    "JSONLines, Gzip (level 6)": lambda end: JSONLinesEncoder(output_to=GzipEncoder(output_to=end)),
}


def on_the_wire(messages: Sequence[bytes]) -> int:
    """Bytes that ZeroMQ sends for these messages."""
    return sum(len(message) + (FRAME_HEAD if len(message) > 255 else 2) for message in messages)


def measured(make: Callable[[Any], Any], sample: Sequence[bytes]) -> tuple[int, int, float]:
    """How many messages, how many bytes, and microseconds a line, the best of three."""
    took = []
    for _ in range(3):
        end = TestOutput()
        head = make(end)
        began = time.process_time()
        for start in range(0, len(sample), BATCH):
            head.consume_many(list(sample[start : start + BATCH]))
        took.append(time.process_time() - began)
        head.close()
    return len(end.messages), on_the_wire(end.messages), min(took) / len(sample) * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    sample = lines(parser.parse_args().count)
    size = statistics.fmean(map(len, sample))
    print(f"{len(sample)} lines of {size:.0f} bytes, {BATCH} at a time\n")
    print(
        "| encoders | messages | bytes a line | relative to single lines | µs a line |\n|---|---|---|---|---|"
    )
    whole = on_the_wire(sample)
    for name, make in WAYS.items():
        count, total, micros = measured(make, sample)
        print(f"| {name} | {count:,} | {total / len(sample):.1f} | {total / whole:.1%} | {micros:.2f} |")


if __name__ == "__main__":
    main()
