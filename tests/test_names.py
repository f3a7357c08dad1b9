"""A name means one thing: no two modules define the same one at their top level, and no file name is used twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import message_passing

ROOT = Path(message_passing.__file__).parent

ALLOWED = {
    "main": "every command and program has one",
    "COMMAND": "every command's declaration",
}
"""Names that several modules may define, since they mean the same thing in each."""

MOST_PRIVATE = 0.065
"""The share of all top-level names that are private to a module and have a namesake in another."""


def defined(path: Path) -> set[str]:
    """The names that a module defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                names |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
    return {name for name in names if not (name.startswith("__") and name.endswith("__"))}


def definitions() -> dict[str, list[str]]:
    """Every top-level name, and the modules that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for name in defined(path):
            found[name].append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def test_definitions_of_every_kind_are_found() -> None:
    """A test that finds nothing would hold everything."""
    found = definitions()
    assert found["Component"] == ["component"]
    assert found["open_all"] == ["graph"]
    assert found["REQUIRED"] == ["options"]
    assert any(name.startswith("_") for name in found)


def test_no_public_name_is_defined_in_two_modules() -> None:
    """Whoever reads or searches for a name finds one thing."""
    found = definitions()
    twice = {
        name: modules
        for name, modules in found.items()
        if len(modules) > 1 and not name.startswith("_") and name not in ALLOWED
    }
    assert twice == {}


def test_few_private_names_are_defined_in_two_modules() -> None:
    """A module may call its own helper as another does; where many do, the names say too little."""
    found = definitions()
    twice = [name for name, modules in found.items() if len(modules) > 1 and name.startswith("_")]
    assert len(twice) <= MOST_PRIVATE * len(found), sorted(twice)


def test_no_file_name_is_used_twice_within_a_package() -> None:
    """`git grep`, a traceback and an editor's list of files show the last part of a path first."""
    for package in sorted(path for path in ROOT.iterdir() if path.is_dir()):
        found: dict[str, list[str]] = defaultdict(list)
        for path in sorted(package.rglob("*.py")):
            if path.name != "__init__.py":
                found[path.name].append(str(path.relative_to(ROOT)))
        assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
