"""The plots, written as SVG by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from handlers.report import median

if TYPE_CHECKING:
    from speed.report import Rounds, Series

_COLOURS = ("#9a9a9a", "#e09f3e", "#468faf", "#01497c", "#9e2a2b")
_LEFT, _WIDTH, _ROW = 230, 420, 26


def bars(title: str, rounds: dict[str, Rounds]) -> str:
    """The median rate of each contender, with a line from its lowest round to its highest."""
    found = {name: [one["rate"] for one in some if "rate" in one] for name, some in rounds.items()}
    most = max((max(values) for values in found.values() if values), default=1)
    parts = _head(title, _LEFT + _WIDTH + 100, 50 + _ROW * len(found))
    for row, (name, values) in enumerate(found.items()):
        y = 44 + _ROW * row
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        if not values:
            continue
        middle = median(rounds[name], "rate") or 0
        colour = _COLOURS[3] if name.startswith("ours") else _COLOURS[0]
        low, high, width = (_WIDTH * value / most for value in (min(values), max(values), middle))
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>')
        parts.append(
            f'<path d="M{_LEFT + low:.1f} {y + 9}H{_LEFT + high:.1f}" stroke="#e09f3e" stroke-width="2"/>'
        )
        parts.append(f'<text x="{_LEFT + high + 6:.1f}" y="{y + 13}">{middle:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def curves(title: str, across: str, up: str, found: dict[str, list[tuple[float, float]]]) -> str:
    """A curve for each contender, both axes logarithmic."""
    left, top, width, height = 70, 50 + 18 * len(found), 480, 280
    points = [point for some in found.values() for point in some if min(point) > 0]
    parts = _head(title, left + width + 30, top + height + 60)
    if not points:
        return "\n".join([*parts, "</svg>", ""])
    first, last = (pick(math.log10(x) for x, _ in points) for pick in (min, max))
    ticks = _ticks([y for _, y in points])
    lowest, highest = math.log10(ticks[0]), math.log10(ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        right = (math.log10(x) - first) / ((last - first) or 1)
        high = (math.log10(y) - lowest) / ((highest - lowest) or 1)
        return left + width * right, top + height * (1 - high)

    for tick in ticks:
        _, y = place(10**first, tick)
        parts.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>')
    for value in sorted({x for x, _ in points}):
        x, _ = place(value, ticks[0])
        parts.append(f'<text x="{x:.1f}" y="{top + height + 18}" text-anchor="middle">{_short(value)}</text>')
    parts.append(
        f'<text x="{left + width}" y="{top + height + 40}" text-anchor="end">{escape(across)}</text>'
    )
    parts.append(f'<text x="{left}" y="{top - 8}">{escape(up)}</text>')
    for row, (name, some) in enumerate(found.items()):
        colour = _COLOURS[row % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*one) for one in some if min(one) > 0))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<rect x="{left}" y="{34 + 18 * row}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 20}" y="{40 + 18 * row}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _ticks(values: list[float]) -> list[float]:
    """1, 2 and 5 times powers of ten: from the last that is not above all values to the first not below."""
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    steps = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    first = max(step for step in steps if step <= min(values))
    last = min(step for step in steps if step >= max(values))
    return [step for step in steps if first <= step <= last]


def _head(title: str, width: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="22" style="font-size: 15px">{escape(title)}</text>',
    ]


def _short(value: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def series(found: Series) -> dict[str, list[tuple[float, float]]]:
    """The points of a series: place and median rate."""
    return {
        name: [(float(at), rate) for at, some in by_place.items() if (rate := median(some, "rate"))]
        for name, by_place in found.items()
    }


def delays(found: dict[str, dict[str, dict[str, Any]]]) -> dict[str, list[tuple[float, float]]]:
    """The points of the latencies: rate and median."""
    return {
        name: [(float(rate), one["median"]) for rate, one in by_rate.items() if "median" in one]
        for name, by_rate in found.items()
    }


def plots(results: dict[str, Any]) -> dict[str, str]:
    """Every plot, by the name of its file."""
    drawn = {
        "speed-throughput.svg": bars(
            "Lines a second into a file (median, and all rounds)", results["throughput"]
        ),
        "speed-sizes.svg": curves(
            "Throughput by the size of a message", "bytes a message", "messages/s", series(results["sizes"])
        ),
        "speed-connections.svg": curves(
            "Throughput by the number of senders", "senders", "lines/s", series(results["connections"])
        ),
        "speed-filters.svg": curves(
            "Throughput by the number of filters", "a user's filters", "lines/s", series(results["filters"])
        ),
        "speed-latency.svg": curves(
            "Median time from sending to the file", "lines/s", "microseconds", delays(results["latency"])
        ),
    }
    if results["workers"]:
        drawn["speed-workers.svg"] = curves(
            "Throughput by the number of workers", "workers", "lines/s", series(results["workers"])
        )
    return drawn
