"""The first words of a command line: a config file, `run`, or something that is neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from commands import finished
from message_passing.cli.command import COMMANDS
from message_passing.cli.run.run_command import MessagePassing
from message_passing.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = 'input = "STDIN"\noutput = "STDOUT"\n'
ALL = ", ".join(sorted([*COMMANDS, "run"]))
KNOWN = f": the commands are {ALL}; a config file's name ends in .json, .toml, .yaml or .yml"
STRAY = "every value follows its --option (quote values with spaces)"
LATE = ["a command comes first: message-passing check ..."]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files and folders that may be taken for something else."""
    monkeypatch.chdir(tmp_path)
    for name in ("ok.toml", "other.toml", "plain", "check", "chain.ini", "STDIN"):
        (tmp_path / name).write_text(CHAIN)
    for name in ("folder", "conf.toml"):
        (tmp_path / name).mkdir()
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What is wrong with these words."""
    assert MessagePassing.main(words) == 2
    return [line.removeprefix("message-passing: ") for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    "words",
    ["chain.json", "run chain.json", "run --configfile chain.json", "--filter Null chain.json"],
)
def test_a_config_file_is_run(tmp_path: Path, words: str) -> None:
    """Bare or behind `run`, before or behind options."""
    (tmp_path / "chain.json").write_text(json.dumps({"input": "STDIN", "output": "STDOUT"}))
    assert finished(*words.split(), given=b'{"a":1}\n', cwd=tmp_path) == (0, b'{"a":1}\n', "")


@pytest.mark.parametrize(
    "words",
    [
        ["ok.toml"],
        ["run", "./ok.toml"],
        ["--daemonize", "ok.toml"],
        ["ok.toml", "--daemonize"],
        ["run", "--daemonize", "ok.toml"],
        ["--control", "ok.toml", "--daemonize"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_options_stand_on_either_side(words: list[str]) -> None:
    """A flag does not take a config file for its value; a reload reads the same words again."""
    script = MessagePassing.read(words)
    assert script.given.faults == []
    assert script.configfile[0].endswith("ok.toml")
    assert script.daemonize == ("--daemonize" in words)
    assert script.control == ("default" if "--control" in words else "")
    assert script.changed() is None
    assert script.build().heads


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ("tial", [f"there is no command 'tial' (did you mean 'tail'?){KNOWN}"]),
        ("chekc ok.toml --nonsense 5 more", [f"there is no command 'chekc' (did you mean 'check'?){KNOWN}"]),
        ("CHECK ok.toml", [f"there is no command 'CHECK' (did you mean 'check'?){KNOWN}"]),
        ("rnu ok.toml", [f"there is no command 'rnu' (did you mean 'run'?){KNOWN}"]),
        ("help", [f"there is no command 'help' (did you mean '--help'?){KNOWN}"]),
        ("xyzzy", [f"there is no command 'xyzzy'{KNOWN}"]),
        ("absent.ini", [f"there is no command 'absent.ini'{KNOWN}"]),
        (
            "ZeroMQ STDOUT",
            [
                (
                    "there is no command 'ZeroMQ': it is a component: write --input ZeroMQ or --output ZeroMQ; "
                    "`message-passing describe ZeroMQ` tells more"
                )
            ],
        ),
        (
            "good:Good",
            [
                (
                    "there is no command 'good:Good' (did you mean --filter '+good:Good'? "
                    "A class of your own is named with a +)"
                )
            ],
        ),
        ("run", ["name a config file, or give the options of a chain; see --help"]),
        ("--json check ok.toml", LATE),
        ("--filter Null check ok.toml", LATE),
        ("ok.toml check", LATE),
        ("run ok.toml stray", [f"unexpected word 'stray': {STRAY}"]),
        ("--bogus ok.toml", ["there is no option --bogus"]),
        ("--deamonize ok.toml", ["there is no option --deamonize (did you mean '--daemonize'?)"]),
        ("--configfile", ["--configfile needs a value"]),
        ("--inptu STDIN --output STDOUT", ["there is no option --inptu (did you mean '--input'?)"]),
        (
            "-input STDIN -output STDOUT",
            [f"there is no option -{one} (did you mean '--{one}'?)" for one in ("input", "output")],
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_word_that_is_no_command(capsys: pytest.CaptureFixture[str], words: str, faults: list[str]) -> None:
    """Every command and the nearest one; what follows from that is no other error."""
    assert told(capsys, *words.split()) == faults


EMPTY = "no file in it ends in .json, .toml, .yaml or .yml"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("absent.toml", "absent.toml: cannot be read: No such file or directory"),
        ("run absent", "absent: cannot be read: No such file or directory"),
        ("run tail", "tail: cannot be read: No such file or directory"),
        ("run check", "check: its name must end in .json, .toml, .yaml or .yml"),
        ("./check", "./check: its name must end in .json, .toml, .yaml or .yml"),
        ("chain.ini", "chain.ini: its name must end in .json, .toml, .yaml or .yml"),
        ("plain", "plain: its name must end in .json, .toml, .yaml or .yml"),
        ("STDIN", "STDIN: its name must end in .json, .toml, .yaml or .yml"),
        ("folder", f"folder: {EMPTY}"),
        ("conf.toml", f"conf.toml: {EMPTY}"),
        ("run ./folder", f"./folder: {EMPTY}"),
        ("-", "a config file is not read from standard input: name a file"),
        ("run -", "a config file is not read from standard input: name a file"),
        ("--configfile -", "a config file is not read from standard input: name a file"),
        ("ok.toml absent.toml", "absent.toml: cannot be read: No such file or directory"),
        ("run ok.toml --configfile plain", "plain: its name must end in .json, .toml, .yaml or .yml"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_no_config_file(capsys: pytest.CaptureFixture[str], words: str, fault: str) -> None:
    """One error, and nothing of the components that would have been in it."""
    assert told(capsys, *words.split()) == [fault]


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said why, in one line."""

    def refuse(*_: object, **__: object) -> tuple[bytes, object]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("message_passing.config.parsing.read_file", refuse)
    with pytest.raises(UserError, match=r"\Aok.toml: cannot be read: Permission denied\Z"):
        MessagePassing.read([str(folder / "ok.toml")[len(str(folder)) + 1 :]]).prepare()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("good:Good", "+good:Good"),
        ("my.filters:Good", "+my.filters:Good"),
        ("good.py:Good", "+good:Good"),
        ("./my/good.py:Good", "+my.good:Good"),
    ],
)
@pytest.mark.parametrize("kind", ["input", "decoder", "filter", "encoder", "output"])
def test_a_path_without_its_plus(capsys: pytest.CaptureFixture[str], kind: str, name: str, path: str) -> None:
    """The path that was meant, for each kind of component."""
    words = {"input": "STDIN", "output": "STDOUT"} | {kind: name}
    found = told(capsys, *(word for flag, value in words.items() for word in (f"--{flag}", value)))
    hint = f"(did you mean {path!r}? A class of your own is named with a +)"
    assert found == [f"--{kind}: there is no {kind} {name!r} {hint}"]


@pytest.mark.parametrize("command", ["create", "describe"])
def test_a_path_without_its_plus_elsewhere(command: str) -> None:
    """The commands that take names of components say it too."""
    done = finished(command, "good:Good")
    assert done.status == 2
    assert "(did you mean '+good:Good'? A class of your own is named with a +)" in done.err
