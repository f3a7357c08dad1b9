"""The README: what it shows is run, and it says what a first reader needs."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from documents import ROOT, Block, blocks, links, scenes
from scenes import Scene

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
SCENES = scenes(README)


@pytest.mark.parametrize("scene", SCENES.values(), ids=list(SCENES))
def test_what_it_shows_is_what_happens(scene: list[Block], tmp_path: Path) -> None:
    """The commands and programs of a scene do what the page says, in order."""
    with Scene(tmp_path) as stage:
        for block in scene:
            stage.play(block)
        stage.finish()


def test_its_first_program_ships_info_by_three_lines() -> None:
    """What an application developer needs, right after the installation, where he sees the record arrive."""
    shown, lines = SCENES["first-record"]
    setup, _, call = lines.text.partition("\n\n")
    assert len(setup.splitlines()) == 3
    assert "logging.info" in call
    assert '"message":"it works"' in shown.text
    assert blocks(README).index(shown) <= 3, "after no more than the picture and two ways to install"


def test_its_first_screen_sets_everything_up() -> None:
    """What it is, the two commands, and a picture."""
    text = README.read_text(encoding="utf-8")
    first = "\n".join(text.splitlines()[:60])
    for part in (
        "Ship logs",
        "```text",
        "make demo",
        "make test",
        "pip install",
        "pipx",
        "uv ",
        "logging.info",
    ):
        assert part in first, part
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo:", "test:"} <= set(makefile.split())


def test_it_goes_on_with_the_main_job() -> None:
    """Two terminals and a shell."""
    first, second = SCENES["main-job"]
    assert "--input ZeroMQ" in first.text
    assert "--output ZeroMQ" in second.text


def test_the_originals_three_examples_are_there() -> None:
    """Each as a command or a program, and all of them run."""
    assert {"application", "by-hand", "distributor"} <= set(SCENES)


def test_every_extra_is_named() -> None:
    """Those of the package, for users; the others are for the project's own work."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = README.read_text(encoding="utf-8")
    for extra in set(project["optional-dependencies"]) - {"test", "dev"}:
        assert re.search(rf"\b{extra}\b", text), extra


def test_it_leads_to_every_page() -> None:
    """A page that nothing links to is not read."""
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    pages = set((ROOT / "docs").glob("*.md")) | {ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"}
    assert pages <= linked, sorted(str(path) for path in pages - linked)
