"""Words that the original's command takes, in its own spellings."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from commands import STDIN_TO_STDOUT, finished
from documents import ROOT, blocks
from message_passing.cli.run.run_command import MessagePassing
from message_passing.testing import wait_for
from nodes import OURS, lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("word", ["1", "true"])
def test_daemonize_takes_a_one(word: str, tmp_path: Path) -> None:
    """`--daemonize 1`, as the original's help has it."""
    (tmp_path / "given").write_text("x\n")
    words = [
        "--input",
        "FileTail",
        "--input_options",
        '{"filename":"given","start":"beginning"}',
        "--decoder",
        "Null",
    ]
    words += [
        "--output",
        "File",
        "--output_options",
        "filename=out",
        "--pid_file",
        "pid",
        "--daemonize",
        word,
    ]
    # It keeps what is redirected, so nobody may wait for the end of that.
    done = finished(
        "-c", f"{shlex.join([*OURS, *words])} > told 2>&1 < /dev/null", command=("sh",), cwd=tmp_path
    )
    try:
        assert (done.status, (tmp_path / "told").read_text()) == (0, "")
        wait_for(lambda: b'"message":"x"' in b"".join(lines(tmp_path / "out")))
    finally:
        finished("-c", "kill $(cat pid)", command=("sh",), cwd=tmp_path)
        wait_for(lambda: not (tmp_path / "pid").exists())


@pytest.mark.parametrize("word", ["0", "false"])
def test_daemonize_takes_a_zero(word: str) -> None:
    """It says no."""
    assert not MessagePassing.read([*STDIN_TO_STDOUT, "--daemonize", word]).daemonize


def test_daemonize_takes_no_other_word() -> None:
    """A word that does not belong there is told."""
    done = finished(*STDIN_TO_STDOUT, "--daemonize", "out.log")
    assert done == (2, b"", "message-passing: --daemonize: option 'daemonize' must be bool, not 'out.log'\n")


@pytest.mark.parametrize("word", ["IDLE", "Idle", "idle"])
@pytest.mark.parametrize("form", ["command line", "config file"])
def test_a_priority_in_capital_letters(word: str, form: str, tmp_path: Path) -> None:
    """As the original takes it."""
    (tmp_path / "c.json").write_text(json.dumps({"io_priority": word}))
    words = ["--io_priority", word] if form == "command line" else ["--configfile", str(tmp_path / "c.json")]
    command = MessagePassing.read([*STDIN_TO_STDOUT, *words])
    assert (command.io_priority, command.given.faults) == ("idle", [])


FILE = {
    "input": "STDIN",
    "filter": "Key",
    "filter_options": {"key": "a", "match": "1"},
    "output": "File",
    "output_options": {"filename": "out", "escape": False},
}


def test_another_filter_over_a_file_that_has_options(tmp_path: Path) -> None:
    """What it has no use for is left out, as there, and that is said."""
    (tmp_path / "c.json").write_text(json.dumps(FILE))
    done = finished("--configfile", "c.json", "--filter", "Null", given=b'{"a":2}\n', cwd=tmp_path)
    assert (done.status, (tmp_path / "out").read_bytes()) == (0, b'{"a":2}\n')
    text = "--filter says Null, which has no 'key', 'match': what c.json says of 'Key' is left out"
    assert done.told == [f"message-passing: warning: {text}"]


def test_options_that_both_have_are_taken(tmp_path: Path) -> None:
    """As there: an output that can do what the file asks for does it."""
    (tmp_path / "c.json").write_text(
        json.dumps({**FILE, "decoder": "Null", "filter": "Null", "filter_options": {}})
    )
    done = finished("--configfile", "c.json", "--output", "STDOUT", given=b"a\x0bb\n", cwd=tmp_path)
    assert (done.status, done.out) == (0, b"a\x0bb\n")
    assert "'filename': what c.json says of 'File' is left out" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "changes", "problem"),
    [
        (
            ["--filter", "Key"],
            {"filter_options": {"kye": "a", "match": "1"}},
            "Key filter has no option 'kye'",
        ),
        (
            ["--filter", "Delay"],
            {"filter_options": {"key": "a"}},
            "Delay filter needs the option 'delay_for'",
        ),
        (["--filter_options", "match=1"], {}, "Key filter needs the option 'key'"),
        (["--filter", "Nul"], {}, "there is no filter 'Nul'"),
    ],
    ids=["misspelt", "required", "options of the command line's", "no such filter"],
)
def test_what_stays_wrong(words: list[str], changes: dict[str, object], problem: str, tmp_path: Path) -> None:
    """A misspelt option where both name the same component, what is missing, and what does not exist."""
    (tmp_path / "c.json").write_text(json.dumps({**FILE, **changes}))
    done = finished("--configfile", "c.json", *words, cwd=tmp_path)
    assert done.status == 2
    assert problem in done.err


def test_options_of_a_file_that_names_no_component(tmp_path: Path) -> None:
    """They are meant for the one that the command line names."""
    (tmp_path / "c.json").write_text(json.dumps({"filter_options": {"key": "a", "match": "1"}}))
    words = [*STDIN_TO_STDOUT, "--configfile", "c.json"]
    done = finished(*words, "--filter", "Key", given=b'{"a":1}\n{"a":2}\n', cwd=tmp_path)
    assert done == (0, b'{"a":1}\n', "")


CONFIGS = {
    "node.conf": "input = STDIN\noutput = STDOUT\n<encoder_options>\n  pretty = 1\n</encoder_options>\n",
    "node.pl": "{ input => 'STDIN', output => 'STDOUT', encoder_options => { pretty => 1 } }\n",
}


@pytest.mark.perl("Config::Any", "Config::General")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_file_of_the_original_is_converted(name: str, tmp_path: Path) -> None:
    """By the command that the page for its users has; then it runs here."""
    (command,) = (block.text for block in blocks(ROOT / "docs/from-perl.md") if block.language == "sh")
    converting, _, checking = command.partition("\nmessage-passing ")
    (tmp_path / name).write_text(CONFIGS[name])
    made = finished("-c", converting.replace("node.conf", name), command=("sh",), cwd=tmp_path)
    assert made.status == 0, made.err
    assert finished(*checking.split(), cwd=tmp_path).status == 0
    assert finished("node.json", given=b'{"a":1}\n', cwd=tmp_path).out == b'{\n   "a": 1\n}\n'
