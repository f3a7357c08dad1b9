"""The page on the architecture says what the code is like: its storeys, the contract, and the walks."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import walks
from documents import ROOT
from test_layers import MODULES, ROWS

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "scripts" / "architecture.py"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def section(title: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no heading {title!r}"
    return found[1]


def test_the_page_is_not_stale() -> None:
    """Otherwise, run `python scripts/architecture.py`."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_module_has_one_row() -> None:
    """And every row is a module or a package."""
    assert sorted(ROWS) == sorted({name.split(".")[0] for name in MODULES} - {""})


def test_the_contract_can_be_read_in_order() -> None:
    """Every module of that storey has its place."""
    listed = re.findall(r"^\d+\. `(\w+)`", section("The contract, in the order to read it"), re.MULTILINE)
    assert sorted(listed) == sorted(re.findall(r"^\| `(\w+)` \|", section("Contract"), re.MULTILINE))


def test_what_the_page_names_is_there() -> None:
    """Every module by its path, and every room of the command."""
    package = ROOT / "src" / "message_passing"
    paths = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert [path for path in paths if not (package / path).exists() and not (ROOT / path).exists()] == []
    lines = re.findall(r"^- (`.+?):", section("The rooms of the command"), re.MULTILINE)
    rooms = [room for line in lines for room in re.findall(r"`(\w+)`", line)]
    assert set(rooms) == {name.split(".")[1] for name in MODULES if name.startswith("cli.")}


@pytest.mark.parametrize("title", walks.WALKS)
def test_a_walk_leads_where_the_page_says(title: str, tmp_path: Path) -> None:
    """The modules that are handed what travels are those of the table, and the functions that it names are called."""
    trace = walks.Trace()
    walks.WALKS[title](trace, tmp_path)
    text = section(title)
    rows = dict(re.findall(r"^\| `([\w/]+\.py)` \|(.*)\|$", text, re.MULTILINE))
    assert set(rows) == trace.modules
    assert int(re.findall(r"\d+", text)[0]) == len(rows), "the number of modules in the first sentence"
    for module, said in rows.items():
        called = {name for home, name in trace.called if home.replace(".", "/") + ".py" == module}
        for name in re.findall(r"`((?:[A-Z]\w+\.)?[a-z_]+)`", said):
            if "." in name or name not in ("key=value", "queue_bytes"):
                assert any(f".{name}." in f".{one}." for one in called), f"{module}: {name}"
