"""The shape of the code: who may import whom, and how long files and functions may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import message_passing

ROOT = Path(message_passing.__file__).parent

ROWS = [
    "version", "clock", "abbreviation", "escaping", "errors", "metrics", "option_types", "options", "stopping",
    "failures", "graph", "onward", "lines", "wiring", "pacing", "delivery", "shares", "component", "summaries",
    "encoded", "output", "flow", "paths", "dotted", "message_fields", "scalars", "objects", "jsonable", "busy",
    "identity", "resolving", "secure_files", "codecs", "filters", "zeromq", "network", "inputs", "outputs",
    "logging", "registry", "declaration", "chain", "chain_group", "config", "event_loop", "living", "runner",
    "switch", "workers", "console", "cli", "testing", "__main__",
]  # fmt: skip
"""A module imports only from rows before its own, or from its own package."""

LATE = {
    # Every application that logs imports the handler; keys, networks and their file names cost 15 ms more.
    "logging.settings": ("from message_passing.zeromq.security import security_of",),
}
"""Imports of ours that a function may have, for the time that they take and not to hide a cycle."""

MAX_FILE, MAX_FUNCTION = 300, 60


def modules() -> dict[str, Path]:
    """Every module by its name below the package: `codecs.json`; the package itself is ``."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """Which of our modules this one imports: at the top, within functions, and for type checkers alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively (line {node.lineno})"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner.removeprefix("message_passing.") in MODULES else str(node.module))
    ours = {full.partition(".")[2] for full in found if full.split(".")[0] == "message_passing"}
    return ours - {name}


def test_the_sources_are_found() -> None:
    """A test that looks at nothing would hold everything."""
    assert {"errors", "codecs.json", "filters", ""} <= set(MODULES)
    assert "options" in imports("component")
    assert "metrics" in imports("output"), "an import for type checkers counts"


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_a_module_imports_only_from_rows_above_it(name: str) -> None:
    """The package itself gathers everything for users, so nothing inside may import from it."""
    row = name.split(".", maxsplit=1)[0]
    assert row in ROWS, f"{name} has no row yet"
    for other in imports(name):
        assert other, f"{name} imports from message_passing itself: name the module"
        above = ROWS.index(other.split(".")[0])
        assert above < ROWS.index(row) or other.split(".")[0] == row, f"{name} imports {other}"


def test_there_are_no_cycles() -> None:
    """Within a package neither."""
    finished: set[str] = set()

    def visit(name: str, on_the_way: tuple[str, ...]) -> None:
        assert name not in on_the_way, " -> ".join([*on_the_way, name])
        if name not in finished:
            for other in imports(name):
                visit(other, (*on_the_way, name))
            finished.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_files_and_functions_are_short(name: str) -> None:
    """What outgrows this has more than one purpose."""
    text = MODULES[name].read_text(encoding="utf-8")
    parts = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert len(text.splitlines()) <= MAX_FILE or len(parts) == 1, "it is longer, and not because of one class"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            # What is said of many parameters is no code: a public docstring gives each its line.
            lines -= len((ast.get_docstring(node, clean=False) or "").splitlines())
            assert lines <= MAX_FUNCTION, f"{name}.{node.name} has {lines} lines"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_function_imports_a_module_of_ours(name: str) -> None:
    """It would hide a dependency, often a cycle. A foreign package may be imported late, with a reason."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                text = ast.unparse(inner) if isinstance(inner, ast.Import | ast.ImportFrom) else ""
                if text not in LATE.get(name, ()):
                    assert "message_passing" not in text, f"{name}.{node.name}: {text}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_says_what_it_is_for(name: str) -> None:
    """Its docstring is the first thing a reader sees."""
    assert ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
