"""The fenced blocks of the project's documents, and how each says that it is tested.

A block is preceded by a comment that a reader of the rendered page does not see:

    <!-- test: run main -->

    run [SCENE]         run to its end; it prints what the block shows, and its status is 0
    shows SCENE         started in the background; it prints what the block shows, and ends well when told to
    typed SCENE         run to its end; the lines after the command are typed into it
    eventually SCENE    run again and again until it prints what the block shows
    prints              what the program of the `run` block before it printed
    file NAME [SCENE]   written to the scene's folder under that name, for others to use
    is PATH             word for word a file of the project
    elsewhere TEST      held by that test, `tests/file.py::test_name`
    untested REASON     by nothing, and why

Blocks of one scene share a folder, processes and ports, in the order of the document.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

WAYS = ("run", "shows", "typed", "eventually", "prints", "file", "is", "elsewhere", "untested")

_COMMENT = re.compile(r"<!-- test: (?P<words>.+?) -->")
_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w+-]*)\s*$")
_HEADING = re.compile(r"#{1,6} +(?P<title>.+?)\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        place: `docs/concepts.md:12`.
        language: what stands after the fence.
        text: what is in it.
        words: those of its test comment; empty when it has none.
    """

    place: str
    language: str
    text: str
    words: tuple[str, ...]

    @property
    def way(self) -> str:
        """How it is tested."""
        return self.words[0] if self.words else ""

    @property
    def scene(self) -> str:
        """The scene that it is part of; one of its own when it names none."""
        if self.way == "file":
            return self.words[2] if len(self.words) > 2 else self.place
        return self.words[1] if len(self.words) > 1 else self.place


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(found)


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    found: list[Block] = []
    words: tuple[str, ...] = ()
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if comment := _COMMENT.fullmatch(line.strip()):
            words = tuple(comment["words"].split())
        elif fence := _FENCE.match(line):
            inside = []
            for _, inner in lines:
                if inner.strip() == fence["fence"]:
                    break
                inside.append(inner)
            text = textwrap.dedent("\n".join([*inside, ""]))
            found.append(Block(f"{name}:{number}", fence["language"], text, words))
            words = ()
        elif line.strip():
            words = ()
    return found


def scenes(path: Path) -> dict[str, list[Block]]:
    """The blocks of a document that run or are written to files, by scene, in order."""
    found: dict[str, list[Block]] = {}
    last = ""
    for block in blocks(path):
        if block.way in ("run", "shows", "typed", "eventually", "prints", "file"):
            last = last if block.way == "prints" else block.scene
            found.setdefault(last, []).append(block)
    return found


def anchors(path: Path) -> set[str]:
    """The anchors that a document's headings make, as GitHub spells them."""
    found: set[str] = set()
    fence = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if mark := re.match(r" *(`{3,})", line):
            fence = "" if fence else mark[1]
        elif not fence and (heading := _HEADING.match(line)):
            found.add(re.sub(r"[^\w\- ]", "", heading["title"].lower()).replace(" ", "-"))
    return found


def links(path: Path) -> list[str]:
    """Where a document's links lead, those within code left out."""
    text = re.sub(r"(?ms)^ *(`{3,}).*?^ *\1", "", path.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^    .*$|`[^`\n]+`", "", text)
    return re.findall(r"\]\(([^()\s]+(?:\([^()]*\))?)\)", text)
