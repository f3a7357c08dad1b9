"""The plot of a soak, written as SVG by hand: a row for each measure, a line for each process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from soak.samples import DESCRIPTORS, MEMORY, THREADS

if TYPE_CHECKING:
    from soak.samples import Sample

_COLOURS = ("#01497c", "#9e2a2b", "#e09f3e", "#468faf", "#9a9a9a")
_LEFT, _WIDTH, _HEIGHT, _GAP = 60, 640, 130, 50
_TITLES = {MEMORY: "resident memory, MiB", DESCRIPTORS: "descriptors", THREADS: "threads"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn.

    Attributes:
        samples: of all processes.
        slots: those that are drawn.
        deaths: when the aggregator was killed.
        seconds: how long the soak took.
    """

    samples: list[Sample]
    slots: list[str]
    deaths: list[float]
    seconds: float


def plotted(title: str, shown: Shown) -> str:
    """The picture."""
    height = 70 + len(_TITLES) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 30} {height}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="22" style="font-size: 15px">{escape(title)}</text>',
    ]
    for row, name in enumerate(shown.slots):
        x, colour = _LEFT + 130 * row, _COLOURS[row % len(_COLOURS)]
        parts.append(f'<rect x="{x}" y="36" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="42">{escape(name)}</text>')
    for row, (measure, text) in enumerate(_TITLES.items()):
        top = 80 + row * (_HEIGHT + _GAP)
        parts += _row(measure, text, top, shown)
    below = 80 + len(_TITLES) * (_HEIGHT + _GAP) - _GAP + 18
    parts.append(f'<text x="{_LEFT}" y="{below}">0 s</text>')
    parts.append(f'<text x="{_LEFT + _WIDTH}" y="{below}" text-anchor="end">{shown.seconds:,.0f} s</text>')
    parts.append(
        f'<text x="{_LEFT + _WIDTH / 2}" y="{below}" text-anchor="middle">grey: the aggregator is killed</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _row(measure: str, text: str, top: int, shown: Shown) -> list[str]:
    samples = [one for one in shown.samples if one.slot in shown.slots]
    most = max((float(getattr(one, measure)) for one in samples), default=1.0)
    ceiling = next(s * 10.0**p for p in range(9) for s in (1, 2, 5) if s * 10.0**p >= most)
    parts = [f'<text x="{_LEFT}" y="{top - 6}">{text}</text>']
    for share in (0, 0.5, 1):
        y = top + _HEIGHT * (1 - share)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{ceiling * share:g}</text>')
    parts += [
        f'<path d="M{_LEFT + _WIDTH * at / shown.seconds:.1f} {top}v{_HEIGHT}" stroke="#bbbbbb"/>'
        for at in shown.deaths
    ]
    for index, name in enumerate(shown.slots):
        for life in sorted({one.life for one in samples if one.slot == name}):
            line = " ".join(
                f"{_LEFT + _WIDTH * min(one.at / shown.seconds, 1):.1f},"
                f"{top + _HEIGHT * (1 - getattr(one, measure) / ceiling):.1f}"
                for one in samples
                if one.slot == name and one.life == life
            )
            colour = _COLOURS[index % len(_COLOURS)]
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return parts
