"""Soaking: mixed load, faults at random, and books that balance at the end.

python -m soak [--seconds 1800] [--seed N] [--rate 500] [--results DIRECTORY]

It starts an aggregator, a distributor with two workers, and seven senders; beside them two senders and a receiver
of an acknowledged hop, which may lose nothing. It kills, stops, floods and bothers them as
the seed says; and accounts for every message. The status is 1 when something is not accounted for, or when memory,
descriptors or threads have grown. Results go to DIRECTORY: soak.json, soak.csv (the samples) and soak.svg.
"""

from __future__ import annotations

import argparse
import json
import platform
import secrets
import sys
import tempfile
from dataclasses import asdict, astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak.books import Account, to_aggregator, to_workers
from soak.ledger import Ledger
from soak.plot import Shown, plotted
from soak.samples import Sample, trends
from soak.stage import Stage

RESULTS = Path(__file__).parent / "results"
_JUDGED = ("aggregator", "distributor", "hop-receiver", "hop-sender-0")


def chosen() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1800, help="how long there is load (default 1800)")
    parser.add_argument("--seed", type=int, help="of all chances (default: another one each time, printed)")
    parser.add_argument(
        "--rate", type=int, default=500, help="messages a second of each sender (default 500)"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help=f"where they go (default {RESULTS.name})"
    )
    found = parser.parse_args()
    if found.seconds < 5 or found.rate < 1:
        parser.error("at least 5 seconds and 1 message a second")
    return found


def audited(stage: Stage) -> tuple[Account, Account, list[str]]:
    """The account of what went to the aggregator, of what went to the workers, and all that is wrong."""
    logs = Account()
    for slot in stage.cast.senders:
        for life in slot.lives:
            logs.add(to_aggregator(stage.cast, slot, life, stage.ledger))
    logs.balance("all senders")
    done = Ledger()
    files = [(life, slot) for slot in stage.cast.workers for life in slot.lives]
    for number, (life, slot) in enumerate(files, 1):
        path = slot.folder / f"{life.name}.log"
        if path.exists():
            done.read(path, number, torn=life.killed)
    jobs = to_workers(stage.cast, done, stage.worker_deaths)
    wrong = [*stage.wrong, *stage.ledger.wrong, *done.wrong, *logs.wrong, *jobs.wrong]
    if not stage.ledger.events:
        wrong.append("Follow has said nothing at all")
    return logs, jobs, wrong


def results(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """All that is written down."""
    logs, jobs, wrong = audited(stage)
    found = [trend for slot in _JUDGED for trend in trends(stage.samples, slot, options.seconds)]
    for trend in found:
        if trend.grew:
            wrong.append(
                f"{trend.slot}: {trend.measure} grew from {trend.first:.1f} to {trend.last:.1f} "
                f"(at most {trend.limit} more)"
            )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "seconds": options.seconds,
        "seed": options.seed,
        "rate": options.rate,
        "faults": dict(stage.done),
        "logs": logs.described(),
        "jobs": jobs.described(),
        "orders": {
            "accepted": sum(orders.count for orders in stage.cast.orders),
            "arrived": stage.audit.total() + sum(map(len, stage.audit.beyond.values())),
            "duplicates": stage.audit.duplicates,
            "torn lines": stage.audit.torn,
            "out of order": stage.audit.disordered,
        },
        "unstamped": stage.ledger.unstamped,
        "events compared": stage.ledger.events,
        "lives": {slot.name: len(slot.lives) for slot in stage.cast.all},
        "trends": [asdict(trend) for trend in found],
        "wrong": wrong,
    }


def report(found: dict[str, Any]) -> None:
    """Print the figures."""
    print("faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(found["faults"].items())))
    for name in ("logs", "jobs"):
        account = found[name]
        print(
            f"{name}: {account['stamped']:,} stamped ({account['stamped'] / found['seconds']:,.0f} a second)"
        )
        print(f"    {account['arrived']:>12,} arrived")
        for what in ("dropped", "lost"):
            for reason, count in account[what].items():
                print(f"    {count:>12,} {what}: {reason}")
    print("orders: " + ", ".join(f"{count:,} {what}" for what, count in found["orders"].items()))
    print(
        f"{found['events compared']:,} events of Follow compared; {found['unstamped']:,} unstamped messages"
    )
    for trend in found["trends"]:
        judged = "not judged" if trend["limit"] is None else f"at most {trend['limit']:g} more"
        print(
            f"{trend['slot']}, {trend['measure']}: {trend['first']:.1f}, then {trend['last']:.1f} ({judged})"
        )
    for text in found["wrong"][:20]:
        print(f"WRONG: {text}")
    print("the books do not balance" if found["wrong"] else "the books balance")


def main() -> int:
    """The status."""
    options = chosen()
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 32)
    print(f"soaking for {options.seconds:g} s with --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        stage = Stage(Path(name), options.seconds, options.seed, options.rate)
        stage.run()
        found = results(stage, options)
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1)
    (options.results / "soak.json").write_text(text + "\n", encoding="utf-8")
    rows = [",".join(map(str, astuple(one))) for one in stage.samples]
    heads = ",".join(one.name for one in fields(Sample))
    (options.results / "soak.csv").write_text("\n".join([heads, *rows, ""]), encoding="utf-8")
    title = f"A soak of {options.seconds:g} s, seed {options.seed}"
    slots = ["aggregator", "distributor", "worker-1", "handler-narrow", "hop-receiver", "hop-sender-0"]
    shown = Shown(stage.samples, slots, stage.aggregator_deaths, options.seconds)
    (options.results / "soak.svg").write_text(plotted(title, shown), encoding="utf-8")
    report(found)
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
