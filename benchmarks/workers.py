"""What `--workers` brings: a filter that burns a set time for each message, with no workers and with several.

python benchmarks/workers.py [--count 100000] [--rounds 3] [--microseconds 50]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = (sys.executable, "-m", "message_passing")

BURNER = '''
import time
from message_passing import Filter, option

class Burner(Filter):
    """Burns so much processor time for each message."""
    microseconds: float = option(description="How much.", ge=0)
    def filter(self, message):
        until = time.thread_time_ns() + self.microseconds * 1000
        while time.thread_time_ns() < until:
            pass
        return message
'''


def seconds(words: list[str], given: Path, folder: Path, count: int) -> float:
    """From start to end of the command, everything delivered."""
    out = folder / "out"
    out.unlink(missing_ok=True)
    began = time.perf_counter()
    with given.open("rb") as source:
        subprocess.run([*OURS, *words], stdin=source, check=True, cwd=folder)
    took = time.perf_counter() - began
    with out.open("rb") as file:
        arrived = sum(1 for _ in file)
    if arrived != count:
        raise SystemExit(f"{arrived} of {count} messages arrived")
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--microseconds", type=float, default=50)
    chosen = parser.parse_args()
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    figures: dict[str, list[float]] = {"none": [], "1": [], "2": [], "3": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "burner.py").write_text(BURNER, encoding="utf-8")
        given = folder / "given"
        given.write_text("".join(f'{{"number":{n}}}\n' for n in range(chosen.count)), encoding="utf-8")
        burner = ["--filter", "+burner:Burner"] if chosen.microseconds else []
        burner += ["--filter_options", json.dumps({"microseconds": chosen.microseconds})] if burner else []
        words = ["--input", "STDIN", *burner, "--output", "File", "--output_options", "filename=out"]
        for _ in range(chosen.rounds):
            for workers, taken in figures.items():
                more = [] if workers == "none" else ["--workers", workers]
                taken.append(seconds([*words, *more], given, folder, chosen.count))
    alone = figures["none"]
    print(f"{'workers':>8}{'messages/s':>12}{'lowest':>10}{'highest':>10}{'times none':>12}")
    for workers, taken in figures.items():
        speeds = [chosen.count / one for one in taken]
        ratio = statistics.median(first / one for first, one in zip(alone, taken, strict=True))
        middle = statistics.median(speeds)
        print(f"{workers:>8}{middle:>12,.0f}{min(speeds):>10,.0f}{max(speeds):>10,.0f}{ratio:>12.2f}")


if __name__ == "__main__":
    main()
