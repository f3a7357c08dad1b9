"""The page's own files: short, and without any way for strangers' content to become markup or code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import message_passing

STATIC = Path(message_passing.__file__).parent / "console" / "static"
FILES = sorted(STATIC.iterdir())
FORBIDDEN = {
    ".js": r"(inner|outer|insertAdjacent)HTML|document\.write|\beval\(|new Function|ContextualFragment|DOMParser",
    ".html": r"<script(?! type=\"module\" src=\"/static/)|\son\w+=|\sstyle=|javascript:",
    ".css": r"@import|url\(",
}


def test_the_files_are_found() -> None:
    """A test that looks at nothing would hold everything."""
    assert {"index.html", "main.js", "style.css"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_becomes_markup_or_code(file: Path) -> None:
    """Elements are made by dom.js, of text alone; and no address but the node's is named."""
    text = file.read_text(encoding="utf-8")
    assert re.findall(FORBIDDEN[file.suffix], text) == []
    addresses = {
        one for one in re.findall(r"https?://[^\s\"'`]+", text) if not one.startswith("http://www.w3.org/")
    }
    assert addresses == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_are_short(file: Path) -> None:
    """As the others are; and each says at its top what it is for, but for the page, which shows it."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert file.suffix == ".html" or text.startswith(("// ", "/* "))


def test_everything_the_page_names_is_there() -> None:
    """Style sheets, modules and what those import."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    named = set(re.findall(r"\"/static/([\w.]+)\"", text)) | set(re.findall(r"from \"\./([\w.]+)\"", text))
    assert named | {"index.html"} == {file.name for file in FILES} | {
        "vocabulary.js"
    }  # that is made of tables


def test_every_element_that_a_module_asks_for_is_in_the_page() -> None:
    """A misspelt id would be found when it is used only."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    there = set(re.findall(r"\bid=\"([\w-]+)\"", page))
    asked = {
        one for file in FILES for one in re.findall(r"byId\(\"([\w-]+)\"\)", file.read_text(encoding="utf-8"))
    }
    assert len(asked) > 40
    assert asked <= there
