"""From results to Markdown."""

from __future__ import annotations

import statistics
from typing import Any

from handlers.report import _number as number
from handlers.report import _table as table
from handlers.report import median
from speed.contenders import CONTENDERS, JSON, PERL_XS, READING, RSYSLOG, C, Contender
from speed.hop import BARE, HOPS, RATE, SPOOL_LEAST

Rounds = list[dict[str, Any]]
Series = dict[str, dict[str, Rounds]]


def report(results: dict[str, Any]) -> str:
    """All tables, each with its heading."""
    throughput, about = results["throughput"], results["about"]
    parts = [_about(about, throughput)]
    for name, reason in results["absent"].items():
        parts.append(f"Left out: {name}; {reason}.")
    parts += ["### Throughput", _throughput(throughput), "### Targets", _targets(throughput, CONTENDERS)]
    if reading := results.get("reading"):
        parts += _reading(reading)
    parts += ["### Latency", _latency(results["latency"])]
    if hop := results.get("hop"):
        parts += _hop(hop)
    parts += ["### Size of a message", _series(results["sizes"], "bytes", "rate", scale=1)]
    parts += ["The same in MB/s:", _series(results["sizes"], "bytes", "rate", scale=0)]
    parts += ["Peak resident memory in MiB:", _series(results["sizes"], "bytes", "memory")]
    for name, head in (("connections", "senders"), ("filters", "filters"), ("workers", "workers")):
        found = results[name]
        parts.append(f"### Number of {head}")
        if not found:
            parts.append("Not measured: the command has no such option.")
            continue
        parts += ["Lines a second:", _series(found, head, "rate")]
        parts += ["Peak resident memory in MiB:", _series(found, head, "memory")]
    return "\n\n".join(parts)


def _about(about: dict[str, Any], throughput: dict[str, Rounds]) -> str:
    spreads = [
        (max(values) - min(values)) / statistics.median(values)
        for rounds in throughput.values()
        if len(values := [one["rate"] for one in rounds if "rate" in one]) > 1
    ]
    noise = (
        f"From a contender's slowest round to its fastest lie {min(spreads):.0%} to {max(spreads):.0%} of its "
        f"median, and for half of the contenders at most {statistics.median(spreads):.0%}."
        if spreads
        else "One round: nothing is known about the noise."
    )
    return (
        f"{about['machine']}, {about['processor']}, kernel {about['kernel']}, libzmq {about['libzmq']} "
        f"(pyzmq's own: {about['libzmq of pyzmq']}), {about['date']}. {about['count']:,} lines of "
        f"{about['line']} bytes on average, rounds: {about['rounds']}, load before {about['load before']:.2f}, "
        f"after {about['load after']:.2f}. {noise}"
    )


def ratios(one: Rounds, other: Rounds) -> list[float]:
    """How many times as fast one is as the other, round by round; nothing for a round that failed."""
    pairs = zip(one, other, strict=False)
    return [a["rate"] / b["rate"] for a, b in pairs if "rate" in a and "rate" in b]


def _throughput(found: dict[str, Rounds]) -> str:
    heads = ["", "lines", "lines/s", "lowest to highest round", "of C", "of Perl, XS", "of rsyslog",
             "CPU seconds a million lines", "peak MiB"]  # fmt: skip
    rows = []
    for name, rounds in found.items():
        rates = [one["rate"] for one in rounds if "rate" in one]
        row = [name, f"{rounds[0]['count']:,}", number(median(rounds, "rate"))]
        row.append(f"{min(rates):,.0f} to {max(rates):,.0f}" if rates else _error(rounds))
        row += [
            _ratio(ratios(rounds, found[base])) if base in found and base != name else ""
            for base in (C, PERL_XS, RSYSLOG)
        ]
        row += [number(median(rounds, "processor")), number(median(rounds, "memory"))]
        rows.append(row)
    return table(heads, rows)


def _error(rounds: Rounds) -> str:
    return str(next((one["error"] for one in rounds if "error" in one), "none"))


def _ratio(values: list[float]) -> str:
    if not values:
        return "none"
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def _targets(found: dict[str, Rounds], contenders: dict[str, Contender]) -> str:
    heads = ["", "times as fast as", "measured", "at least", "", "aim", ""]
    rows = []
    for name, contender in contenders.items():
        for base, least, aim in contender.targets:
            if base not in found or name not in found:
                values = []
                told = "left out"
            else:
                values = ratios(found[name], found[base])
                told = _ratio(values)
            rows.append([name, base, told, *_wanted(least, values), *_wanted(aim, values)])
    return table(heads, rows)


def _wanted(target: float | None, measured: list[float]) -> list[str]:
    """The target, and whether the median reaches it; in how many rounds, when they disagree."""
    if target is None:
        return ["", ""]
    if not measured:
        return [f"{target:g}", "not measured"]
    reached = sum(value >= target for value in measured)
    verdict = "met" if statistics.median(measured) >= target else "**not met**"
    if 0 < reached < len(measured):
        verdict += f" (it is in {reached} of {len(measured)} rounds)"
    return [f"{target:g}", verdict]


def _when(about: dict[str, Any]) -> str:
    load = f"load before {about['load before']:.2f}, after {about['load after']:.2f}."
    return f"{about['date']}, {about['count']:,} lines, rounds: {about['rounds']}, {load}"


def _reading(found: dict[str, Any]) -> list[str]:
    """Filters that need few fields, or none."""
    throughput = found["throughput"]
    rows = []
    for name, rounds in throughput.items():
        rates = [one["rate"] for one in rounds if "rate" in one]
        row = [name, number(median(rounds, "rate"))]
        row.append(f"{min(rates):,.0f} to {max(rates):,.0f}" if rates else _error(rounds))
        row += [_ratio(ratios(rounds, throughput[base])) if base != name else "" for base in (C, JSON)]
        rows.append([*row, number(median(rounds, "processor"))])
    heads = ["", "lines/s", "lowest to highest round", "of C", "of ours, JSON", "CPU seconds a million lines"]
    return [
        "### Filters that read few fields",
        _when(found["about"]),
        table(heads, rows),
        _targets(throughput, {name: one for name, one in READING.items() if name not in CONTENDERS}),
    ]


def _hop(found: dict[str, Any]) -> list[str]:
    """The acknowledged hops and the spool."""
    about, throughput = found["about"], found["throughput"]
    heads = ["", "lines", "lines/s", "of pyzmq, single messages", "at least", "",
             "CPU seconds a million lines, of both ends"]  # fmt: skip
    rows = []
    for name, rounds in throughput.items():
        values = ratios(rounds, throughput[BARE])
        row = [name, f"{rounds[0]['count']:,}" if "count" in rounds[0] else _error(rounds)]
        row += [number(median(rounds, "rate")), _ratio(values) if name != BARE else ""]
        rows.append([*row, *_wanted(HOPS[name].least, values), number(median(rounds, "processor"))])
    alone = []
    for name in found["spool"][0]:
        rates = [one[name]["rate"] for one in found["spool"]]
        processor = statistics.median(one[name]["of processor"] for one in found["spool"])
        alone.append([name, _ratio(rates), *_wanted(SPOOL_LEAST.get(name), rates), f"{processor:.2f}"])
    return [
        "### Acknowledged hops",
        _when(about),
        table(heads, rows),
        "The spool alone, in million messages a second:",
        table(["", "measured", "at least", "", "for each second of CPU"], alone),
        "Latency:",
        _latency({name: {str(RATE): one} for name, one in found["latency"].items()}),
    ]


def _latency(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    heads = ["from sending to the file, in µs", "lines/s", "lines", "median", "p99", "p99.9", "longest"]
    rows = []
    for rate in next(iter(found.values())):
        for name, by_rate in found.items():
            one = by_rate[rate]
            if "error" in one:
                rows.append([name, f"{int(rate):,}", one["error"], *[""] * 4])
                continue
            row = [name, f"{int(rate):,}", f"{one['count']:,}", number(one["median"])]
            # Of few lines, a high quantile would only be the longest one under another name.
            row.append(number(one["p99"]) if one["count"] >= 100 else "")
            row.append(number(one["p99.9"]) if one["count"] >= 1000 else "")
            rows.append([*row, number(one["most"])])
    return table(heads, rows)


def _series(found: Series, head: str, key: str, *, scale: int = 1) -> str:
    """A table with a column for each contender.

    Args:
        found: the rounds, by contender and place.
        head: what the places are.
        key: which figure.
        scale: 0 multiplies it by the place, for megabytes.
    """
    rows = []
    for place in next(iter(found.values())):
        row = [f"{int(place):,}"]
        for some in found.values():
            value = median(some[place], key)
            if value is not None and not scale:
                value *= int(place) / 1e6
            row.append(number(value) if value is not None else _error(some[place]))
        rows.append(row)
    return table([head, *found], rows)
