"""Throughput and start-up beside the Perl original, in one run: ZeroMQ -> JSON -> Null -> JSON -> File.

python benchmarks/against_perl.py [--count 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aggregators import OURS, PERL, PERL_PP, seconds_for
from sample import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENDERS = {"ours": OURS, "Perl, Cpanel::JSON::XS": PERL, "Perl, JSON::PP": PERL_PP}


def measure(rounds: int, once: Callable[[Sequence[str]], float]) -> dict[str, list[float]]:
    """Each contender's figures; they take turns, so that a slow moment of the machine meets them all."""
    figures: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, command in CONTENDERS.items():
            figures[name].append(once(command))
    return figures


def start_up(command: Sequence[str]) -> float:
    """Seconds from start to end of a chain whose input is empty, with the ZeroMQ output loaded."""
    words = ["--input", "STDIN", "--output", "ZeroMQ", "--output_options", '{"connect":"tcp://127.0.0.1:9"}']
    began = time.perf_counter()
    subprocess.run([*command, *words], stdin=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def table(title: str, unit: str, figures: dict[str, list[float]], *, more_is_better: bool) -> None:
    """Print medians, spreads, and how ours compares, round by round."""
    print(f"\n{title}\n{'':28}{'median':>12}{'lowest':>12}{'highest':>12}   {unit}")
    for name, values in figures.items():
        print(f"{name:28}{_text(statistics.median(values))}{_text(min(values))}{_text(max(values))}")
    for name, values in figures.items():
        if name != "ours":
            pairs = zip(figures["ours"], values, strict=True)
            ratios = [ours / theirs for ours, theirs in pairs]
            word = "times as fast as" if more_is_better else "times the start-up of"
            middle = statistics.median(ratios)
            print(f"ours is {middle:.2f} {word} {name} ({min(ratios):.2f} to {max(ratios):.2f})")


def _text(value: float) -> str:
    return f"{value:>12,.0f}" if value > 100 else f"{value:>12.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    sample = lines(chosen.count)
    size = sum(map(len, sample)) / len(sample)
    print(
        f"{chosen.count} lines of {size:.0f} bytes, {chosen.rounds} rounds; {platform.python_version()},",
        end=" ",
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "arrived.log"
        throughput = measure(
            chosen.rounds, lambda command: len(sample) / seconds_for(command, sample, target)
        )
    table("Throughput", "lines/s", throughput, more_is_better=True)
    table("Start-up", "s", measure(chosen.rounds, start_up), more_is_better=False)


if __name__ == "__main__":
    main()
