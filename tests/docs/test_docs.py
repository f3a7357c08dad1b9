"""Every block of the documents is tested in the way that it names, and every link leads somewhere."""

from __future__ import annotations

import ast
import json
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml

from documents import ROOT, WAYS, Block, anchors, blocks, documents, links, scenes
from scenes import Scene, matches

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = documents()
BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]
SCENES = [
    pytest.param(scene, id=f"{path.relative_to(ROOT)}-{name.rpartition(':')[2]}")
    for path in DOCUMENTS
    if path.name != "README.md" or path.parent != ROOT
    for name, scene in scenes(path).items()
]


def test_the_documents_are_found() -> None:
    """A test of nothing would hold everything."""
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "docs/concepts.md", "docs/from-perl.md", "examples/distributor/README.md"} <= names
    assert len(SCENES) > 10


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_block_names_how_it_is_tested(block: Block) -> None:
    """Text that nobody runs is text that is soon wrong; what is only looked at is marked `text`."""
    if block.language != "text" or block.words:
        assert block.way in WAYS, f"{block.place}: write <!-- test: ... --> above it (see tests/documents.py)"
        assert len(block.words) > 1 or block.way in ("run", "prints"), f"{block.place}: {block.way} what?"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_block_is_well_formed(block: Block) -> None:
    """Whatever language it says it is in, it is."""
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "console":
        assert block.text.startswith("$ ")
    else:
        assert block.language in ("sh", "text", "ini", "csv", "mermaid"), (
            f"{block.place}: {block.language or 'no'} language"
        )


@pytest.mark.parametrize("scene", SCENES)
def test_what_a_document_shows_is_what_happens(scene: list[Block], tmp_path: Path) -> None:
    """The commands and programs of a scene do what the page says, in order."""
    with Scene(tmp_path) as stage:
        for block in scene:
            stage.play(block)
        stage.finish()


@pytest.mark.parametrize(
    "block", [one for one in BLOCKS if one.way in ("is", "elsewhere")], ids=lambda one: one.place
)
def test_what_a_block_refers_to_is_there(block: Block) -> None:
    """The file has the same text; the test exists."""
    name, _, function = block.words[1].partition("::")
    text = (ROOT / name).read_text(encoding="utf-8")
    if block.way == "is":
        assert block.text == text, f"{block.place} is not what {name} says"
    else:
        functions = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
        assert function in functions


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """To a file of the project, and to a heading in it."""
    for link in links(path):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{link}: there is no {target}"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_dots_stand_for_any_text() -> None:
    """And everything else for itself."""
    assert matches("a b c\n", "a ... c")
    assert matches("one\ntwo\n", "one\n...")
    assert not matches("a b d\n", "a ... c")
    assert not matches("a\nb\n", "a\n")


def test_a_block_without_its_comment_is_found(tmp_path: Path) -> None:
    """The comment belongs to the block right below it, and to no other."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- test: run -->\n```sh\ntrue\n```\n```sh\nfalse\n```\n<!-- test: run -->\nWords.\n```sh\n:\n```\n"
    )
    assert [(block.text, block.way) for block in blocks(page)] == [
        ("true\n", "run"),
        ("false\n", ""),
        (":\n", ""),
    ]


def test_a_scene_fails_when_the_page_is_wrong(tmp_path: Path) -> None:
    """What is printed must be what is shown."""
    with Scene(tmp_path) as stage:
        stage.play(Block("page.md:1", "console", "$ echo yes\nyes\n", ("run",)))
        with pytest.raises(AssertionError, match="printed"):
            stage.play(Block("page.md:2", "console", "$ echo yes\nno\n", ("run",)))
        with pytest.raises(AssertionError, match="status 1"):
            stage.play(Block("page.md:3", "sh", "false\n", ("run",)))
