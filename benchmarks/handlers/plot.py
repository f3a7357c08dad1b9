"""The plot: three bars for each contender, written as SVG by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from handlers.report import median

if TYPE_CHECKING:
    from handlers.report import Rounds

_LEFT, _WIDTH, _ROW, _TOP = 210, 460, 60, 70
_COLOURS = {"burst": "#468faf", "flood": "#01497c", "paced": "#e09f3e"}
_TITLES = {
    "burst": "in a burst of 5,000",
    "flood": "in a flood of 20,000",
    "paced": "at 1,000 records a second",
}


def draw(results: dict[str, dict[str, Rounds]]) -> str:
    """Added cost per call, by contender, as an SVG document."""
    bars = {
        name: {measure: median(found[measure], "added") or 0 for measure in _COLOURS}
        for name, found in results.items()
    }
    largest = max(max(pair.values()) for pair in bars.values()) or 1
    height = _TOP + _ROW * len(bars) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}">',
        "<style>text { font: 13px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<text x="16" y="26" style="font-size: 16px">What a handler adds to a log call, in microseconds</text>',
    ]
    for number, (measure, colour) in enumerate(_COLOURS.items()):
        parts.append(f'<rect x="{_LEFT + 165 * number}" y="40" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 165 * number + 18}" y="51">{_TITLES[measure]}</text>')
    for row, (name, pair) in enumerate(bars.items()):
        y = _TOP + _ROW * row
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 30}" text-anchor="end">{escape(name)}</text>')
        for number, (measure, value) in enumerate(pair.items()):
            width, top = max(1.0, _WIDTH * max(value, 0) / largest), y + 4 + 16 * number
            colour = _COLOURS[measure]
            parts.append(f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="14" fill="{colour}"/>')
            parts.append(f'<text x="{_LEFT + width + 6:.1f}" y="{top + 12}">{value:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])
