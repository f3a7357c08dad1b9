"""Log handlers side by side, in one run: what a call costs, its slowest, memory, and what each promises.

cd benchmarks && python -m handlers [--rounds 15] [--slow-rounds 3] [--results FILE.json]

Every measurement has a fresh process, and the contenders take turns, round by round. It prints the
tables, puts them into docs/measurements.md and draws docs/handlers.svg. It takes about 20 minutes, and
nothing else should run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.contenders import CONTENDERS
from handlers.measures import WARM_UP
from handlers.plot import draw
from handlers.receivers import TOKEN
from handlers.report import report

from message_passing.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent.parent
BEGIN, END = "<!-- begin: python -m handlers -->", "<!-- end: python -m handlers -->"
TOKENS = {"logbook ZeroMQHandler": 2}  # it sends the arguments besides the message
STATES = ("up", "stalled", "absent")
PROMISES = ("fork", "level", "closed", "gone")

Results = dict[str, dict[str, list[dict[str, Any]]]]
"""By contender, by measure: what each round gave."""


@contextlib.contextmanager
def receiver(kind: str, port: int, path: Path) -> Iterator[subprocess.Popen[bytes] | None]:
    """A receiver; None where there is none."""
    if kind == "none":
        yield None
        return
    words = [sys.executable, "-m", "handlers.receivers", kind, str(port), str(path)]
    process = subprocess.Popen(words, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout  # noqa: S101 - for the type checker
        process.stdout.readline()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def once(measure: str, name: str) -> dict[str, Any]:
    """One measurement of one contender."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        marks, log = Path(directory, "marks"), Path(directory, "subject.log")
        kind = "none" if measure.endswith("-absent") else CONTENDERS[name][0]
        with receiver(kind, port, marks) as receiving:
            pid = receiving.pid if receiving else 0
            words = ["-m", "handlers.measures", measure, name, str(port), str(log), str(pid)]
            done = subprocess.run(
                [sys.executable, *words], cwd=HERE, capture_output=True, text=True, timeout=90, check=False
            )
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            if not lines:
                return {"error": (done.stderr.strip().splitlines() or ["no result"])[-1][:200]}
            found: dict[str, Any] = json.loads(lines[-1])
            if measure == "delivered":
                found["count"] = counted(receiving, log, TOKENS.get(name, 1)) - WARM_UP
            if "marks" in found:
                found["arrived"] = arrived([marks, log], found.pop("marks"))
        return found


def counted(receiving: subprocess.Popen[bytes] | None, log: Path, tokens: int) -> int:
    """How many records arrived, each of which holds the token so many times."""
    if receiving is None:
        return log.read_bytes().count(TOKEN) // tokens
    receiving.terminate()
    return int(receiving.communicate(timeout=20)[0] or 0) // tokens


def arrived(files: list[Path], wanted: list[str]) -> str:
    """How many of these texts came through, within two seconds."""
    until, count = time.monotonic() + 2, 0
    while count < len(wanted) and time.monotonic() < until:
        text = b"".join(path.read_bytes() for path in files if path.exists())
        count = sum(mark.encode() in text for mark in wanted)
        time.sleep(0.05)
    return f"{count} of {len(wanted)}"


def run(rounds: int, slow_rounds: int) -> Results:
    """All measurements."""
    results: Results = {name: {} for name in CONTENDERS}
    plan = [("burst", rounds), ("flood", rounds), ("paced", rounds)]
    plan += [(f"slowest-{state}", slow_rounds) for state in STATES]
    plan += [("delivered", slow_rounds)]
    plan += [(promise, 1) for promise in PROMISES] + [("memory-absent", 1)]
    for measure, times in plan:
        for _ in range(times):
            for name in CONTENDERS:
                results[name].setdefault(measure, []).append(once(measure, name))
        print(f"{measure} done", file=sys.stderr)
    return results


def machine() -> str:
    """Where this ran."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_version()} ({_build()})"
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Linux, Python {python}"


def _build() -> str:
    """Whose build of Python it is: one from source without --enable-optimizations is a fifth slower."""
    if sys.base_prefix == "/usr":
        return "the distribution's"
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return "built with optimizations" if optimized else "built without optimizations"


def main() -> None:
    """Measure, print, draw; or only print and draw what a file of results says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slow-rounds", type=int, default=3)
    parser.add_argument(
        "--results", type=Path, help="read the results from here if it exists, else write them"
    )
    chosen = parser.parse_args()
    if chosen.results and chosen.results.exists():
        results = json.loads(chosen.results.read_text(encoding="utf-8"))
    else:
        load = os.getloadavg()[0]
        results = run(chosen.rounds, chosen.slow_rounds)
        print(f"load before {load:.2f}, after {os.getloadavg()[0]:.2f}", file=sys.stderr)
        if chosen.results:
            chosen.results.write_text(json.dumps(results), encoding="utf-8")
    text = f"{machine()}, {time.strftime('%Y-%m-%d', time.gmtime())}.\n\n{report(results)}"
    print(text)
    page = HERE.parent / "docs" / "measurements.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    (HERE.parent / "docs" / "handlers.svg").write_text(draw(results), encoding="utf-8")


if __name__ == "__main__":
    main()
