"""How fast lines come from ZeroMQ into a file: ours beside C, Perl, rsyslog and a plain loop, in one run.

cd benchmarks && python -m speed [--rounds 5] [--count 1000000] [--quick] [--only hop|reading] [--results FILE.json]

It compiles the sender and the C receiver (Debian: gcc libc6-dev libzmq3-dev), measures, and writes the results
and the tables to benchmarks/results/, the plots to docs/, and the tables into docs/performance.md. It takes
about half an hour, and nothing else should run. --quick tries everything once, in less than a
minute, and writes nothing outside of benchmarks/results/quick.*. With --only hop, it measures acknowledged
hops alone; with --only reading, filters that read few fields. With --results, it only writes what such a file says.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from speed.contenders import HERE
from speed.machine import MissingError, compile_all, touch_memory
from speed.measures import Stage
from speed.plot import plots
from speed.report import report
from speed.series import Plan

BEGIN, END = "<!-- begin: python -m speed -->", "<!-- end: python -m speed -->"
RESULTS, DOCS = HERE.parent / "results", HERE.parent.parent / "docs"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


def chosen() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m speed", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of the throughput (default 5)")
    parser.add_argument("--count", type=int, default=1_000_000, help="lines (default 1,000,000)")
    parser.add_argument("--quick", action="store_true", help="everything once, with few lines")
    parser.add_argument(
        "--only",
        choices=["hop", "reading"],
        help="measure this, and keep what results/speed.json has of the others",
    )
    parser.add_argument("--results", type=Path, help="measure nothing; write what this file says")
    parser.add_argument(
        "--directory",
        type=Path,
        default=MEMORY if MEMORY.is_dir() else None,
        help="where lines are written to: a file system in memory by default, so that no disk is measured",
    )
    found = parser.parse_args()
    if found.rounds < 1 or found.count < 1000:
        parser.error("at least 1 round and 1,000 lines")
    return found


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything.

    Raises:
        MissingError: the C programs cannot be compiled.
    """
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        stage = Stage(Path(name))
        compile_all(stage.folder)
        if options.quick:
            return Plan(stage, min(options.count, 20_000), 1, quick=True).run()
        touch_memory(stage.folder)
        plan = Plan(stage, options.count, options.rounds)
        if options.only:
            kept: dict[str, Any] = json.loads((RESULTS / "speed.json").read_text(encoding="utf-8"))
            return {**kept, options.only: getattr(plan, options.only)()}
        return plan.run()


def between(page: str, text: str) -> str:
    """A page with `text` between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Measure, print, write and draw."""
    options = chosen()
    if options.results:
        results = json.loads(options.results.read_text(encoding="utf-8"))
    else:
        try:
            results = measured(options)
        except MissingError as error:
            print(f"python -m speed: {error}", file=sys.stderr)
            return 2
    text, drawn = report(results), plots(results)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    stem = "quick" if results["about"]["quick"] else "speed"
    (RESULTS / f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{stem}.md").write_text(f"{text}\n", encoding="utf-8")
    if not results["about"]["quick"]:
        page = DOCS / "performance.md"
        page.write_text(between(page.read_text(encoding="utf-8"), text), encoding="utf-8")
        for name, svg in drawn.items():
            (DOCS / name).write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
