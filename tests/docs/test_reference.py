"""The reference says what the declarations say, and its examples work."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from documents import ROOT, Block, blocks
from message_passing.cli.run.run_command import MessagePassing
from message_passing.component import Component

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "scripts" / "reference.py"
EXAMPLES = [block for path in sorted((ROOT / "docs" / "reference").glob("*.md")) for block in blocks(path)]


def check(script: Path) -> subprocess.CompletedProcess[str]:
    """`python scripts/reference.py --check`."""
    return subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_reference_is_not_stale() -> None:
    """Otherwise, run `python scripts/reference.py`."""
    done = check(SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_told(tmp_path: Path) -> None:
    """By its name, with what to do, and a status that a build notices."""
    (tmp_path / "scripts").mkdir()
    folder = tmp_path / "docs" / "reference"
    folder.mkdir(parents=True)
    script = tmp_path / "scripts" / "reference.py"
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        (folder / page.name).write_bytes(page.read_bytes())
    assert check(script).returncode == 0
    (folder / "inputs.md").write_text("old")
    (folder / "more.md").write_text("of a kind that there is no more")
    done = check(script)
    assert done.returncode == 1
    told = [line.partition(" ")[0] for line in done.stderr.splitlines()]
    assert told == ["docs/reference/inputs.md", "docs/reference/more.md"]


@pytest.mark.parametrize(
    "block", [block for block in EXAMPLES if block.language == "python"], ids=lambda block: block.place
)
def test_examples_in_python(block: Block) -> None:
    """The last line makes a component."""
    lines = block.text.splitlines()
    names: dict[str, object] = {}
    exec("\n".join(lines[:-1]), names)  # noqa: S102 - our own page
    assert isinstance(eval(lines[-1], names), Component)  # noqa: S307 - the same


@pytest.mark.parametrize(
    "block", [block for block in EXAMPLES if block.language == "sh"], ids=lambda block: block.place
)
def test_examples_on_the_command_line(block: Block) -> None:
    """With whatever else a chain needs, the command takes the words."""
    command, *words, dots = shlex.split(block.text)
    assert (command, dots) == ("message-passing", "...")
    for flag in ("--input", "--output"):
        words += [] if flag in words else [flag, "Null"]
    assert MessagePassing.read(words).prepare().chain.heads
