"""The page on performance says what the recorded run says, and the report says plainly what was not reached."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

BENCHMARKS = ROOT / "benchmarks"
RECORDED = BENCHMARKS / "results" / "speed.json"


@pytest.fixture(name="speed")
def fixture_speed(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmark's modules: they are no package, and are run from their own folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return {
        name: importlib.import_module(f"speed.{name}")
        for name in ("report", "plot", "__main__", "latency", "hop", "samples")
    }


def rounds(*rates: float) -> list[dict[str, Any]]:
    """Rounds of a measurement."""
    return [{"rate": rate, "processor": 1.5, "memory": 30.0, "count": 1000} for rate in rates]


@pytest.fixture(name="small")
def fixture_small() -> dict[str, Any]:
    """A result with a failed round, a contender left out, and a target that is not reached."""
    return {
        "about": {
            "machine": "2 cores", "processor": "a processor", "kernel": "6", "libzmq": "4.3.4",
            "libzmq of pyzmq": "4.3.5", "date": "2026-01-01", "count": 1000, "rounds": 2, "quick": False,
            "line": 250, "load before": 0.1, "load after": 0.2,
        },
        "absent": {"rsyslog: imczmq, omfile": "it is missing"},
        "throughput": {
            "C: libzmq and fwrite": rounds(1000.0, 500.0),
            "Perl, Cpanel::JSON::XS": rounds(10.0, 10.0),
            "ours, raw": rounds(700.0, 300.0),
            "ours, JSON": [{"error": "the file is not what was sent", "count": 1000}, *rounds(100.0)],
        },
        "sizes": {"ours, raw": {"64": rounds(2e6), "1048576": [{"error": "too large"}]}},
        "connections": {"ours, raw": {"1": rounds(500.0), "1000": rounds(400.0)}},
        "filters": {"ours": {"1": rounds(50.0), "2": rounds(40.0)}},
        "workers": {},
        "latency": {
            "ours, JSON": {
                "1": {"count": 20, "median": 150.0, "p99": 300.0, "p99.9": 300.0, "most": 301.0},
                "1000": {"error": "9 of 10 lines were seen"},
            }
        },
    }  # fmt: skip


def row(text: str, *cells: str) -> list[str]:
    """The cells of the first row that begins with these."""
    wanted = f"| {' | '.join(cells)} |"
    (found, *_) = [line for line in text.splitlines() if line.startswith(wanted)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_ratios_are_of_the_same_round(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """Not of two medians, which may come from different moments of the machine."""
    ratios = speed["report"].ratios
    found = small["throughput"]
    assert ratios(found["ours, raw"], found["C: libzmq and fwrite"]) == [0.7, 0.6]
    assert ratios(found["ours, JSON"], found["C: libzmq and fwrite"]) == [0.2]


def test_each_target_is_met_or_not(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """In words, beside the figure, and when rounds disagree, in how many; what was left out is not measured."""
    text = speed["report"].report(small)
    raw = row(text, "ours, raw", "C: libzmq and fwrite")
    assert raw[2:] == ["0.65 (0.60 to 0.70)", "0.6", "met", "0.9", "**not met**"]
    small["throughput"]["ours, raw"] = rounds(700.0, 200.0)
    raw = row(speed["report"].report(small), "ours, raw", "C: libzmq and fwrite")
    assert raw[4] == "**not met** (it is in 1 of 2 rounds)"
    beside = row(text, "ours, JSON", "Perl, Cpanel::JSON::XS")
    assert beside[2:] == ["10.00", "20", "**not met**", "", ""]
    assert row(text, "ours, JSON", "rsyslog: imczmq, omfile")[4] == "not measured"
    assert "Left out: rsyslog: imczmq, omfile; it is missing." in text


def test_what_failed_is_told(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """In the place of the figure."""
    text = speed["report"].report(small)
    assert row(text, "ours, JSON", "1,000", "9 of 10 lines were seen")
    assert row(text, "1,048,576")[1] == "too large"
    assert "### Number of workers\n\nNot measured: the command has no such option." in text


def test_few_lines_have_no_high_quantiles(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """Twenty lines say nothing about one in a thousand."""
    text = speed["report"].report(small)
    assert row(text, "ours, JSON", "1", "20")[3:] == ["150", "", "", "301"]
    ages = [1000 * age for age in range(1, 1001)]
    assert [speed["latency"].quantile(ages, share) for share in (0.5, 0.99, 0.999)] == [501, 991, 1000]


def test_plots_are_drawn_of_what_there_is(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """A failed measurement has no point, and no workers no plot."""
    drawn = speed["plot"].plots(small)
    assert "speed-workers.svg" not in drawn
    assert all(svg.startswith("<svg ") and svg.endswith("</svg>\n") for svg in drawn.values())
    assert "650" not in drawn["speed-sizes.svg"]
    assert ">500<" in drawn["speed-throughput.svg"], "the median of ours, raw"
    assert drawn["speed-sizes.svg"].count("<polyline") == 1


def test_the_page_is_not_stale(speed: dict[str, ModuleType]) -> None:
    """Its tables and plots are those of the recorded run."""
    results = json.loads(RECORDED.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert speed["__main__"].between(page, speed["report"].report(results)) == page
    for name, svg in speed["plot"].plots(results).items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == svg
        assert f"({name})" in page


def test_hops_are_compared_with_single_messages(speed: dict[str, ModuleType], small: dict[str, Any]) -> None:
    """Of the same round; with the targets, the spool alone, and the latency."""
    hop = speed["hop"]
    assert "### Acknowledged hops" not in speed["report"].report(small), "an older run has none"
    small["hop"] = {
        "about": {"date": "2026-01-01", "count": 1000, "rounds": 2, "load before": 0.1, "load after": 0.2},
        "throughput": {name: rounds(100.0, 200.0) for name in hop.HOPS}
        | {hop.HOP: rounds(300.0, 300.0), hop.SPOOLED: [{"error": "it ended"}]},
        "spool": [{"put and trim": {"rate": rate, "of processor": 2.0}} for rate in (0.7, 0.75)],
        "latency": {hop.SINGLE: {"count": 1000, "median": 9.0, "p99": 20.0, "p99.9": 30.0, "most": 31.0}},
    }
    text = speed["report"].report(small)
    assert row(text, hop.HOP)[2:6] == ["300", "2.25 (1.50 to 3.00)", "2", "met (it is in 1 of 2 rounds)"]
    assert row(text, hop.SYNCED)[3:6] == ["1.00 (1.00 to 1.00)", "1.2", "**not met**"]
    assert row(text, hop.SPOOLED, "it ended")[3:6] == ["none", "0.6", "not measured"]
    assert row(text, "put and trim")[1:4] == ["0.72 (0.70 to 0.75)", "0.8", "**not met**"]
    assert row(text, hop.SINGLE, "1,000", "1,000")[3:] == ["9.0", "20.0", "30.0", "31.0"]


@pytest.mark.parametrize("name", ["BARE", "SPOOLED", "SINGLE"])
def test_a_hop_is_measured(speed: dict[str, ModuleType], tmp_path: Path, name: str) -> None:
    """Both ends start, and what arrives is what was sent."""
    hop = speed["hop"]
    sent = speed["samples"].log_lines(tmp_path, 2000)
    found = hop.through(hop.Stage(tmp_path), hop.HOPS[getattr(hop, name)], sent)
    assert found.get("error") is None
    assert found["rate"] > 0
    assert found["count"] == 2000


def test_a_spool_alone_is_measured(speed: dict[str, ModuleType], tmp_path: Path) -> None:
    """Put and trim, and drain; nothing is left behind."""
    found = speed["hop"].spool_alone(tmp_path, 16)
    assert found.keys() >= speed["hop"].SPOOL_LEAST.keys()
    assert not [*tmp_path.iterdir()]


def test_filters_that_read_few_fields_have_targets_of_their_own(
    speed: dict[str, ModuleType], small: dict[str, Any]
) -> None:
    """Beside the others of the same run; what was not measured is said."""
    found = {
        "C: libzmq and fwrite": rounds(1000.0),
        "ours, JSON": rounds(600.0),
        "ours, JSON, Where, Redact": rounds(260.0),
    }
    about = {"date": "2026-01-01", "count": 1000, "rounds": 1, "load before": 0.1, "load after": 0.2}
    text = speed["report"].report({**small, "reading": {"throughput": found, "about": about}})
    assert "| ours, JSON, Where, Redact | C: libzmq and fwrite | 0.26 | 0.25 | met |" in text
    assert "left out | 1.25 | not measured |" in text
