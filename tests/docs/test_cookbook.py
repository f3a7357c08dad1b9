"""The cookbook: short configs, on the page, without warnings, whose tests pass and would notice a change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from commands import finished
from documents import ROOT, blocks
from message_passing.cli.commands.check import COMMAND as CHECK
from message_passing.cli.commands.test import COMMAND as TEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ROOT / "examples"
RECIPES = sorted((EXAMPLES / "cookbook").iterdir())


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `http_lines.py` is, as the page demands."""
    monkeypatch.chdir(EXAMPLES)


def names() -> list[str]:
    """The files, as words of a command."""
    return [str(path) for path in RECIPES]


def test_all_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """Every file has some, and no file has anything that `check` warns of."""
    assert TEST.main(names()) == 0, capsys.readouterr().out
    tested = capsys.readouterr().out
    assert all(f"{name}:" in tested for name in names())
    assert CHECK.main(["--json", *names()]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_all_are_short_and_on_the_page() -> None:
    """At most twenty lines, none very long, and shown word for word."""
    shown = {block.words[1] for block in blocks(ROOT / "docs" / "cookbook.md") if block.way == "is"}
    assert shown == {path.relative_to(ROOT).as_posix() for path in RECIPES}
    assert len(RECIPES) >= 20
    for path in RECIPES:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), path
        assert len(lines) <= 20, path
        assert max(map(len, lines)) <= 160, path


def _without_a_filter(tables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The config with each of its filters but those that only branch replaced by one that changes nothing."""
    if "filter" in tables:
        yield {key: value for key, value in tables.items() if key not in ("filter", "filter_options")}
    for name, one in tables.get("filters", {}).items():
        if one["class"] not in ("T", "Fallback"):
            null = {key: value for key, value in one.items() if key != "options"} | {"class": "Null"}
            yield {**tables, "filters": {**tables["filters"], name: null}}


def test_each_filter_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any one of them, a test of its file fails."""
    changed = []
    for path in RECIPES:
        for number, tables in enumerate(_without_a_filter(yaml.safe_load(path.read_text(encoding="utf-8")))):
            changed.append(tmp_path / f"{path.stem}-{number}.yaml")
            changed[-1].write_text(yaml.safe_dump(tables), encoding="utf-8")
    assert len(changed) > 20
    assert TEST.main(["--json", *map(str, changed)]) == 1
    results = json.loads(capsys.readouterr().out)
    failed = {one["file"] for one in results if not one["ok"]}
    assert {path.name for path in changed if str(path) not in failed} == set()


def test_a_config_is_tried_with_other_ends(tmp_path: Path) -> None:
    """The command line takes the place of the file's input and output, as the page shows."""
    ends = ("--input", "STDIN", "--input_options", "{}", "--output", "STDOUT", "--output_options", "{}")
    config = EXAMPLES / "cookbook" / "health-checks.yaml"
    lines = b'{"path":"/pay","status":200}\n{"path":"/health","status":200}\n'
    found = finished(str(config), *ends, given=lines, cwd=tmp_path)
    assert (found.status, found.out, found.told) == (0, lines.splitlines(keepends=True)[0], [])
