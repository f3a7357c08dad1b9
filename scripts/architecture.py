"""Writes into docs/architecture.md what the code says: the picture of its storeys, and each row's sentence.

Which rows there are, in which storey and order, is the page's to say: `tests/test_layers.py` compares it with the
imports.

python scripts/architecture.py [--check]
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "src" / "message_passing"

_ROW = re.compile(r"^\| `(\w+)` \|.*$", re.MULTILINE)
_STOREY = re.compile(r"^### (.+)$", re.MULTILINE)
_PICTURE = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r"^\s*(?:from|import) message_passing\.(\w+)", re.MULTILINE)


def storeys(page: str) -> dict[str, list[str]]:
    """The rows of each storey, the lowest first."""
    parts = _STOREY.split(page)
    found = {name: _ROW.findall(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {name: rows for name, rows in found.items() if rows}


def files(row: str) -> list[Path]:
    """The modules of a row."""
    return [PACKAGE / f"{row}.py"] if (PACKAGE / f"{row}.py").exists() else [*(PACKAGE / row).rglob("*.py")]


def sentence(row: str) -> str:
    """The first one of a module's docstring, or of a package's."""
    path = PACKAGE / row / "__init__.py"
    text = ast.get_docstring(ast.parse((path if path.exists() else PACKAGE / f"{row}.py").read_text("utf-8")))
    first = re.split(r"\.(?=\s|$)", " ".join((text or "").partition("\n\n")[0].split()))[0]
    return first.replace("|", "\\|")


def picture(found: dict[str, list[str]]) -> str:
    """The storeys, the highest first, each with arrows to those it imports from, as Mermaid's text.

    An arrow is left out where others lead to the same storey.
    """
    home = {row: name for name, rows in found.items() for row in rows}
    below: dict[str, set[str]] = {}
    reached: dict[str, set[str]] = {}
    for name, rows in found.items():
        texts = [path.read_text("utf-8") for row in rows for path in files(row)]
        imported = {home[row] for text in texts for row in _IMPORT.findall(text) if row in home} - {name}
        indirect = {one for other in imported for one in reached.get(other, ())}
        below[name], reached[name] = imported - indirect, imported | indirect
    lines = ["flowchart TD"]
    for name, rows in reversed(found.items()):
        lines.append(f'    {name}["<b>{name}</b><br>{_wrapped(rows)}"]')
    for name in reversed(found):
        lines += [f"    {name} --> {other}" for other in found if other in below[name]]
    return "\n".join([*lines, ""])


def _wrapped(rows: list[str], most: int = 8) -> str:
    return "<br>".join(", ".join(rows[start : start + most]) for start in range(0, len(rows), most))


def drawn(page: str) -> str:
    """The page as the code has it now."""
    found = storeys(page)
    written = _ROW.sub(lambda row: f"| `{row[1]}` | {sentence(row[1])} |", page)
    return _PICTURE.sub(lambda _: picture(found), written)


def main(words: list[str]) -> int:
    """Write or check.

    Returns:
        The exit status.
    """
    page = PAGE.read_text("utf-8")
    if words == ["--check"]:
        if drawn(page) != page:
            print("docs/architecture.md is stale: run python scripts/architecture.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(drawn(page), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
