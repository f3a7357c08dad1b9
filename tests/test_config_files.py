"""Several config files, and a directory of them, as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from message_passing.cli.commands import test as test_command
from message_passing.cli.run.run_command import MessagePassing, check_words
from message_passing.config.files import MOST_FILES, ConfigFiles

IN = {"inputs": {"in": {"class": "STDIN", "output_to": "read"}}}
READ = {"decoders": {"read": {"class": "JSON", "output_to": "out"}}}
OUT = {"outputs": {"out": {"class": "Test"}}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    Path("conf.d").mkdir()
    return tmp_path


def write(**files: Any) -> None:
    """Files of the directory, by their names without an ending."""
    for name, values in files.items():
        Path(f"conf.d/{name}.json").write_text(values if isinstance(values, str) else json.dumps(values))


def said(*words: str) -> list[str]:
    """What `check` says."""
    return [str(one) for one in check_words(words).diagnostics]


@pytest.mark.parametrize(
    "words",
    [
        ["conf.d"],
        ["run", "conf.d/"],
        ["--config", "conf.d"],
        ["--configfile", "conf.d/c.json", "--config=conf.d/a.json", "conf.d/b.json"],
        ["conf.d/a.json", "conf.d/b.json", "conf.d", "./conf.d/c.json"],
    ],
)
def test_they_are_one_chain(words: list[str]) -> None:
    """In any order, each once, with the options of all; what is hidden, in a folder or no config file is none."""
    write(a={**IN, "quiet": True}, b=READ, c={**OUT, "error_log": "out"})
    write(**{".hidden": "{"})
    Path("conf.d/a.json~").write_text("{")
    Path("conf.d/more.json").mkdir()
    script = MessagePassing.read(words)
    assert script.given.faults == []
    assert script.quiet
    assert {*script.build().components} == {"in", "read", "out"}
    assert script.changed() is None


def test_the_command_line_wins() -> None:
    """Over each of them; parts of the flat form may be in several."""
    write(a={"input": "STDIN", "quiet": True}, b={"output": "File", "output_options": {"filename": "x"}})
    script = MessagePassing.read(["conf.d", "--output_options", "filename=y", "--quiet", "0"])
    made: Any = script.build().components["output"]
    assert (made.filename, script.quiet) == ("y", False)


def test_a_name_in_two_files_is_an_error_at_both_places() -> None:
    """Of components, options and the flat form's parts; each with its file, line and column."""
    write(
        a={**IN, **READ, "quiet": True}, b={**OUT, "quiet": True}, c={"filters": {"out": {"class": "Null"}}}
    )
    assert said("conf.d")[:2] == [
        "conf.d/b.json:1:41: 'quiet' is in 'conf.d/a.json' already, and only one file can have it",
        "conf.d/c.json:1:14: there is already a component named 'out': the output in 'conf.d/b.json'",
    ]
    write(a={"input": "STDIN"}, b={"input": "STDIN", "output": "STDOUT"}, c={})
    (first,) = said("conf.d")
    assert first.startswith("conf.d/b.json:1:2: 'input' is in 'conf.d/a.json' already")
    write(a=IN, b={"output": "STDOUT"}, c=READ)
    text = "output: conf.d/a.json names its components itself, so conf.d/b.json: output cannot be combined with it"
    assert f"conf.d/b.json:1:2: {text}" in said("conf.d")


def test_one_that_cannot_be_read_hides_no_error_of_another() -> None:
    """And what is missing may well be in it."""
    write(a=IN, b={"decoders": {"read": {"class": "JSN", "output_to": "out"}}}, c="{")
    assert said("conf.d") == [
        "conf.d/b.json:1:24: decoders.read.class: there is no decoder 'JSN' (did you mean 'JSON'?)",
        "conf.d/c.json:1:2: malformed JSON: Expecting property name enclosed in double quotes",
    ]


def test_a_target_that_is_named_twice() -> None:
    """In a list of names and in a route: each message would arrive twice."""
    split = {"filters": {"split": {"class": "T", "output_to": ["out", "out"]}}}
    routed = {
        "decoders": {"read": {"class": "JSON", "output_to": [{"when": "a", "to": ["out", "split", "out"]}]}}
    }
    write(a=IN, b=routed, c={**split, **OUT})
    found = [one for one in said("conf.d") if "names 'out' twice: it would get each message twice" in one]
    assert [one.partition(":")[0] for one in found] == ["conf.d/b.json", "conf.d/c.json"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["empty"], "empty: no file in it ends in .json, .toml, .yaml or .yml"),
        (["conf.d", "nope.json"], "nope.json: cannot be read: No such file or directory"),
        (["conf.d", "-"], "a config file is not read from standard input: name a file"),
        (["conf.d", "--config", ""], "--configfile: option 'configfile' must be non-empty str, not ''"),
    ],
)
def test_what_is_no_config(words: list[str], problem: str) -> None:
    """In words that say which."""
    Path("empty").mkdir()
    write(a={**IN, **READ, **OUT})
    assert said(*words) == [problem]


def test_the_most_files() -> None:
    """At the bound they are read, and beyond it refused."""
    write(**{f"f{number:03}": {} for number in range(MOST_FILES)})
    assert len(ConfigFiles.read(["conf.d"]).names) == MOST_FILES
    write(one_more={})
    (fault,) = ConfigFiles.read(["conf.d"]).faults
    assert str(fault) == "conf.d: more than 200 config files"


def test_a_reload_finds_new_files() -> None:
    """And those that are gone; what has moved to another file has not changed."""
    write(a=IN, b=READ, c=OUT)
    script = MessagePassing.read(["conf.d"])
    before = script.build()
    write(b={}, c={**OUT, **READ})
    assert script.changed() is None
    write(d={"outputs": {"other": {"class": "Test"}}})
    changed = script.changed()
    assert changed is not None
    after = changed.build()
    assert after.unchanged(before) == {"in", "read", "out"}
    assert {*after.components} == {"in", "read", "out", "other"}
    Path("conf.d/d.json").unlink()
    assert script.changed() is None


def test_the_tests_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with the file and line where it stands."""
    write(
        a={**IN, **READ, **OUT, "tests": [{"name": "one", "input": [{"x": 1}], "filtered": 0}]},
        b={"tests": [{"name": "two", "input": [{"x": 1}], "output": []}]},
    )
    assert test_command.COMMAND.main(["conf.d"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ok      conf.d/a.json:1: one"
    assert told[1] == "FAILED  conf.d/b.json:1: two"
    write(b={"tests": [{"inptu": [], "filtered": 0}]})
    assert any(one.startswith("conf.d/b.json:1:13: a case has no key 'inptu'") for one in said("conf.d"))
