"""The README: what it shows is run, and it says what a first reader needs."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals, says
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


def test_it_opens_with_three_lines_that_work(tmp_path: Path) -> None:
    """What an application developer needs: a record arrives."""
    lines, *_ = blocks(README)
    assert len(lines.text.splitlines()) == 3
    with Arrivals() as arrivals, Scene(tmp_path) as stage:
        text = lines.text.replace("tcp://192.168.0.1:5558", arrivals.endpoint)
        stage.play(replace(lines, text=f"{text}logging.warning('it works')\n", words=("run", "lines")))
        arrivals.wait_for(says("it works", level="WARNING"))


def test_it_goes_on_with_the_main_job() -> None:
    """Two terminals, before anything else that can be run from a shell."""
    _, first, second, *_ = blocks(README)
    assert first.scene == second.scene
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
