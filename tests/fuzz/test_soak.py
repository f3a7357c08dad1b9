"""A short soak: every fault that there is, and books that balance; and books that do not."""

from __future__ import annotations

import json
import subprocess
import sys
from array import array
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from documents import ROOT
from soak.books import IN_FLIGHT, UNKNOWN, WITH_SENDER, to_aggregator
from soak.faults import planned
from soak.ledger import Ledger
from soak.processes import Cast, Life
from soak.samples import SETTLED, Sample, trends
from soak.sender import NUMBER

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 12
SEED = 7
"""With this one, the short soak has each kind of fault."""


def test_a_short_soak(tmp_path: Path) -> None:
    """Everything is accounted for, and the results say so in numbers."""
    words = [
        *("--seconds", str(SECONDS)),
        *("--seed", str(SEED)),
        *("--rate", "100"),
        *("--results", str(tmp_path)),
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "soak", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "soak.json").read_text())
    assert found["wrong"] == []
    assert found["events compared"] > 1
    for name in ("logs", "jobs"):
        account = found[name]
        elsewhere = sum(account["dropped"].values()) + sum(account["lost"].values())
        assert account["stamped"] == account["arrived"] + elsewhere > 0
    orders = found["orders"]
    assert orders["accepted"] == orders["arrived"] > 0
    assert orders["out of order"] == 0
    assert (tmp_path / "soak.svg").read_text().startswith("<svg")
    assert f"--seed {SEED}" in done.stdout
    assert "the books balance" in done.stdout


def test_chances_come_from_the_seed() -> None:
    """The same seed has the same faults, another one has others, and the short soak has all kinds."""
    first, again, other = (
        planned(Random(seed), SECONDS)  # noqa: S311 - the same again
        for seed in (SEED, SEED, SEED + 1)
    )
    assert first == again != other
    assert len({fault.kind for fault in first}) == 9
    assert not [one for one in first if one.kind == "kill the aggregator" and one.at > SECONDS / 2]


def lines(*numbers: int) -> bytes:
    """What one sender's messages are in the aggregator's file."""
    return b"".join(b'{"sender":"stamp-1.1","sequence":%d}\n' % number for number in numbers)


def event(**counted: object) -> bytes:
    """What Follow would say."""
    usual = {"late": 0, "duplicated": 0, "restarted": 0, "before": 0, "senders": 1, "unstamped": 0}
    return json.dumps({"event": "senders", **usual, **counted}).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (lines(1, 2, 4) + event(received=3, lost=1, lost_by_sender={"stamp-1.1": 1}), ""),
        (lines(1, 2, 4) + event(received=3, lost=0, lost_by_sender={}), "Follow says lost 0, and it is 1"),
        (lines(3, 4, 2) + event(received=3, lost=0, late=1, before=1, lost_by_sender={}), ""),
        (lines(1, 2, 2), "stamp-1.1 2 arrived twice"),
        (lines(1) + b'{"sender":', "ends within a line"),
    ],
)
def test_the_ledger_finds_what_is_wrong(content: bytes, wrong: str, tmp_path: Path) -> None:
    """Books that say otherwise than the messages, messages that came twice, and a torn line that nobody tore."""
    path = tmp_path / "aggregator.1.log"
    path.write_bytes(content)
    ledger = Ledger()
    ledger.read(path, 1)
    assert (wrong in "\n".join(ledger.wrong)) if wrong else not ledger.wrong
    assert ledger.arrived["stamp-1.1"][1:3] in (array("H", [1, 1]), array("H", [0, 1]), array("H", [1, 0]))


@pytest.mark.parametrize(
    ("came", "killed", "wrong", "lost"),
    [
        ([1, 1, 1, 1], False, "", {}),
        ([1, 0, 1, 2], False, "1 of stamp-1.1 are missing", {}),
        ([1, 0, 2, 2], False, "", {IN_FLIGHT: 1}),
        ([1, 1, 1, 0], False, "1 of stamp-1.1 are missing", {}),
        ([1, 1, 0, 0], True, "", {WITH_SENDER: 1, UNKNOWN: 1}),
        ([0, 1, 1, 1], False, "1 of stamp-1.1 are missing", {}),
        ([1, 1, 1, 1, 1], False, "more arrived than it gave", {}),
    ],
)
def test_the_books_find_what_is_missing(
    came: list[int], killed: bool, wrong: str, lost: dict[str, int], tmp_path: Path
) -> None:
    """A gap is explained by a death that lies within it, and by nothing else."""
    cast = Cast(tmp_path, 1)
    nobody = Mock(spec=subprocess.Popen)
    cast.aggregator.lives = [Life("aggregator.1", nobody, 0, killed=True), Life("aggregator.2", nobody, 9)]
    life = Life("stamp-1.1", nobody, 1, killed=killed)
    (tmp_path / "stamp-1.1.count").write_bytes(NUMBER.pack(4) * 2)
    (tmp_path / "stamp-1.1.dropped").write_bytes(b"")
    if not killed:
        told = {"given": 4, "sent": 4, "queued": 0, "dropped": {}}
        (tmp_path / "stamp-1.1.end").write_text(json.dumps(told))
    ledger = Ledger(arrived={"stamp-1.1": array("H", [0, *came])})
    account = to_aggregator(cast, cast.senders[3], life, ledger)
    assert (wrong in "\n".join(account.wrong)) if wrong else not account.wrong
    assert dict(account.lost) == lost


def test_growth_is_found() -> None:
    """Memory that rises by more than its limit in the second half is told, and a burst that passes is not."""
    steady = [Sample(at, "a", 1, 40 + 30 * (at == 150), 20, 4) for at in range(SETTLED * 2)]
    rising = [Sample(one.at, "b", 1, 40 + one.at / 5, 20, 4) for one in steady]
    found = {slot: trends([*steady, *rising], slot, SETTLED * 2) for slot in "ab"}
    assert not [one for one in found["a"] if one.grew]
    assert [one.measure for one in found["b"] if one.grew] == ["memory"]
