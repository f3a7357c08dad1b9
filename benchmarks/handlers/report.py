"""From results to Markdown."""

from __future__ import annotations

import statistics
from typing import Any

Rounds = list[dict[str, Any]]


def median(rounds: Rounds, key: str) -> float | None:
    """The median over the rounds that have this figure."""
    values = [one[key] for one in rounds if key in one]
    return statistics.median(values) if values else None


def report(results: dict[str, dict[str, Rounds]]) -> str:
    """All tables."""
    return "\n\n".join([_costs(results), _slowest(results), _promises(results)])


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _costs(results: dict[str, dict[str, Rounds]]) -> str:
    heads = ["added to a log call, in µs", "in a burst of 5,000", "lowest to highest round",
             "in a flood of 20,000", "lowest to highest round", "at 1,000 records/s",
             "lowest to highest round", "mean at 1,000 records/s",
             "of a flood of 20,000 arrive"]  # fmt: skip
    rows = []
    for name, found in results.items():
        row = [name]
        for measure in ("burst", "flood", "paced"):
            values = [one["added"] for one in found[measure] if "added" in one]
            row += [_number(median(found[measure], "added"))]
            row += [f"{min(values):.1f} to {max(values):.1f}" if values else _error(found[measure])]
        counts = [one["count"] for one in found.get("delivered", []) if "count" in one]
        share = f"{min(counts):,} to {max(counts):,}" if counts else "none"
        rows.append([*row, _number(median(found["paced"], "mean")), share])
    return _table(heads, rows)


def _error(rounds: Rounds) -> str:
    return str(next((one["error"] for one in rounds if "error" in one), "none"))


def _slowest(results: dict[str, dict[str, Rounds]]) -> str:
    heads = ["slowest call, in ms", "receiver up", "stalled", "absent", "mean of all calls, in µs: up", "stalled",
             "absent", "MiB after records with nobody there"]  # fmt: skip
    rows = []
    for name, found in results.items():
        states = [found[f"slowest-{state}"] for state in ("up", "stalled", "absent")]
        row = [name]
        for rounds in states:
            blocked = next((one for one in rounds if one.get("blocked")), None)
            worst = median(rounds, "slowest")
            row.append(
                f"**blocks** at call {blocked['calls']:,}"
                if blocked
                else _number(worst / 1000 if worst else None)
            )
        row += [_number(median(rounds, "mean")) for rounds in states]
        rows.append([*row, _memory(found["memory-absent"][0])])
    return _table(heads, rows)


def _memory(found: dict[str, Any]) -> str:
    if "growth" not in found:
        return str(found.get("error", "none"))
    text = f"{found['growth']:.0f} after {found['calls']:,}"
    return f"{text}, then **blocks**" if found.get("blocked") else text


def _promises(results: dict[str, dict[str, Rounds]]) -> str:
    heads = ["", "never blocks", "a forked child's records arrive", "a level of one's own", "closed: no harm",
             "receiver killed: no harm", "bounded memory"]  # fmt: skip
    rows = []
    for name, found in results.items():
        fork, level = found["fork"][0], found["level"][0]
        told = "".join([level.get("told", ""), "" if level.get("arrived") == "1 of 1" else " lost"])
        rows.append(
            [
                name,
                _never_blocks(found),
                _verdict("" if fork.get("arrived") == "5 of 5" else f"{fork.get('arrived', '?')}"),
                _verdict(told),
                _verdict(found["closed"][0].get("told", "?")),
                _verdict(found["gone"][0].get("told", "?")),
                _bounded(found["memory-absent"][0]),
            ]
        )
    return _table(heads, rows)


def _never_blocks(found: dict[str, Rounds]) -> str:
    for state in ("stalled", "absent"):
        rounds = found[f"slowest-{state}"]
        if any(one.get("blocked") for one in rounds):
            return _verdict(f"{state}: for good")
        if (worst := median(rounds, "slowest") or 0) > 100_000:
            return _verdict(f"{state}: {worst / 1e6:.1f} s")
    return _verdict("")


def _bounded(found: dict[str, Any]) -> str:
    if "growth" not in found or found.get("blocked"):
        return _verdict("blocks instead" if found.get("blocked") else "?")
    late = found["growth"] - found["half"]
    return _verdict(
        "" if late < 5 or late < 0.1 * found["growth"] else f"{found['growth']:.0f} MiB and growing"
    )


def _verdict(trouble: str) -> str:
    return f"**no** ({trouble.strip()})" if trouble else "yes"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
