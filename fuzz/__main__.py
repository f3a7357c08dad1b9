"""Coverage-guided fuzzing of all that takes what others wrote.

python -m fuzz [--seconds 60] [--jobs 2] [TARGET...]    look for inputs that break a promise
python -m fuzz --again TARGET FILE                      run one input again

What is new in an input's way through the code is kept in fuzz/found/TARGET/new and built upon by the next run;
an input that breaks a promise is in fuzz/found/TARGET. The status is then 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import CORPUS, TARGETS, kept

ROOT = Path(__file__).parent.parent
FOUND = Path(__file__).parent / "found"

_LONGEST = 4096
_SHORTER = {"yaml": 1024, "receiver": 1024, "frames": 256}
"""PyYAML takes a second for a thousand brackets; and what is long is slow to send and says nothing new."""

_SLOWEST = 10
"""Seconds that an input of `_LONGEST` bytes may take. Nothing should take a hundredth of that."""

_MEMORY = 1024
"""MiB that the process may have: what unpacks to a huge message is refused, not held."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target.

    Attributes:
        tried: inputs.
        new: those that took a new way through the code.
        megabytes: the most resident memory.
        broken: the files of inputs that break a promise.
        told: the end of what was printed, when it failed.
    """

    name: str
    tried: int
    new: int
    megabytes: int
    broken: list[Path]
    told: str

    @property
    def failed(self) -> bool:
        """Whether there is something to mend."""
        return bool(self.broken or self.told)


def fuzzed(name: str, seconds: int) -> Outcome:
    """Fuzz a target for so long."""
    folder = FOUND / name
    new = folder / "new"
    new.mkdir(parents=True, exist_ok=True)
    before = _broken(folder)
    words = [
        *(sys.executable, "-m", "fuzz.instrumented", name, str(new), str(CORPUS / name)),
        *(f"-max_total_time={seconds}", f"-max_len={_SHORTER.get(name, _LONGEST)}", f"-timeout={_SLOWEST}"),
        *(f"-rss_limit_mb={_MEMORY}", f"-artifact_prefix={folder}/", "-print_final_stats=1"),
    ]
    with (folder / "log").open("wb") as log:
        done = subprocess.run(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
    text = (folder / "log").read_text(encoding="utf-8", errors="replace")
    broken = sorted(_broken(folder) - before)
    told = "" if done.returncode == 0 else _what_was_raised(text)
    return Outcome(
        name,
        _figure(text, "number_of_executed_units"),
        _figure(text, "new_units_added"),
        _figure(text, "peak_rss_mb"),
        broken,
        told,
    )


def _broken(folder: Path) -> set[Path]:
    return {path for kind in ("crash", "timeout", "oom", "leak") for path in folder.glob(f"{kind}-*")}


def _figure(text: str, name: str) -> int:
    found = re.findall(rf"stat::{name}:\s+(\d+)", text)
    return int(found[-1]) if found else 0


def _what_was_raised(text: str) -> str:
    """The traceback, or else the last lines."""
    start = text.find("Uncaught Python exception")
    lines = text[max(start, 0) :].splitlines()
    return "\n".join(lines[:40] if start >= 0 else lines[-20:])


def tell(one: Outcome) -> None:
    """Print a line of figures, and what to do about a failure."""
    print(
        f"{one.name:<10} {one.tried:>12,} inputs tried, {one.new:>5,} took a new way, {one.megabytes:>4} MiB"
        f"{'   BROKEN' if one.failed else ''}",
        flush=True,
    )
    if one.failed:
        print(one.told)
    for path in one.broken:
        print(f"the input is {path}; run it again with:")
        print(f"    {os.path.relpath(sys.executable)} -m fuzz --again {one.name} {os.path.relpath(path)}")


def main() -> int:
    """The status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time")
    parser.add_argument(
        "--again", nargs=2, metavar=("TARGET", "FILE"), help="run one input, and nothing else"
    )
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)"
    )
    options = parser.parse_args()
    if options.again:
        name, file = options.again
        TARGETS[name](Path(file).read_bytes())
        return 0
    if strange := set(options.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(strange))}")
    names = options.targets or list(TARGETS)
    inputs = sum(len(kept(name)) for name in names)
    print(f"{len(names)} targets, {options.seconds} s each, beginning with {inputs} kept inputs", flush=True)
    failed = False
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for one in pool.map(lambda name: fuzzed(name, options.seconds), names):
            tell(one)
            failed = failed or one.failed
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
