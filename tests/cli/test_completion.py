"""The completion scripts: what a real bash completes with the one, and that neither is stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT
from message_passing.cli.command import COMMANDS
from message_passing.cli.completion import SHELLS, completion
from message_passing.cli.run.run_command import MessagePassing
from message_passing.errors import ConfigError

BASH = shutil.which("bash") or ""
ZSH = shutil.which("zsh")

ASK = r"""
source "$1"
shift
COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
[ "${2-}" ] && COMP_WORDBREAKS=$2
_message_passing
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*words: str, folder: Path) -> str:
    """What a command prints."""
    done = subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(line: str, folder: Path, *word_breaks: str) -> list[str]:
    """What bash would offer at the end of a line."""
    script = folder / "completion.bash"
    script.write_text(completion("bash"))
    return run(BASH, "-c", ASK, "ask", str(script), line, *word_breaks, folder=folder).split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("message-passing --inp", ["--input", "--input_options"]),
        ("message-passing --input-", ["--input-options"]),
        ("message-pass --input STDIN --pid", ["--pid_file"]),
        ("message-passing --input Z", ["ZeroMQ"]),
        ("message-passing --input=Z", ["ZeroMQ"]),
        ("message-passing --input    Z", ["ZeroMQ"]),
        ("message-passing --input STDIN --output STD", ["STDERR", "STDOUT"]),
        ("message-passing --filter T", ["T", "Throttle", "ToLogstash"]),
        ("message-passing --encoder G", ["Gzip"]),
        ("message-passing --decoder J", ["JSON", "JSONLines"]),
        ("message-passing --error F", ["File"]),
        ("message-passing --error_encoder J", ["JSON", "JSONLines"]),
        ("message-passing --error-encoder J", ["JSON", "JSONLines"]),
        ("message-passing --describe ToL", ["ToLogstash"]),
        ("message-passing --io_priority ", ["none", "be", "rt", "idle"]),
        ("message-passing --completion z", ["zsh"]),
        ("message-passing --user roo", ["root"]),
        ("message-passing --input_options ", []),
        ("message-passing --filter Nothing", []),
        ("message-passing ch", ["check"]),
        ("message-passing  des", ["describe"]),
        ("message-passing --input STDIN ch", []),
        ("message-passing check --js", ["--json"]),
        ("message-passing check --con", ["--connect", "--control", "--configfile"]),
        ("message-passing check --timeout ", []),
        ("message-passing check --input Z", ["ZeroMQ"]),
        ("message-passing graph --format m", ["mermaid"]),
        ("message-passing graph --format=s", ["svg"]),
        ("message-passing graph --output-o", ["--output-options"]),
        ("message-passing create --format ", ["toml", "yaml", "json"]),
        ("message-passing create ZeroMQ To", ["ToLogstash"]),
        ("message-passing create --inp", []),
        ("message-passing list f", ["filters"]),
        ("message-passing describe --", ["--help", "--json"]),
        ("message-passing keys ", ["new", "allow", "list", "revoke"]),
        ("message-passing keys new --f", ["--folder"]),
        ("message-passing check-nothing --pid", ["--pid_file"]),
    ],
)
def test_bash_completes(line: str, offered: list[str], tmp_path: Path) -> None:
    """Options in both spellings, the names that fit the option, and words that it takes."""
    assert completed(line, tmp_path) == offered


def test_bash_completes_names_with_colons(tmp_path: Path) -> None:
    """Bash cuts words at colons, unless told not to, so what is on the line is not offered again."""
    assert completed("message-passing --input Sock", tmp_path) == ["Socket::UDP"]
    assert completed("message-passing --input Socket::U", tmp_path) == ["UDP"]
    assert completed("message-passing --input Socket::U", tmp_path, " \t\n") == ["Socket::UDP"]


FILES_FOLLOW = [
    "--configfile",
    "--pid_file",
    "--pid-file",
    "check",
    "check --json",
    "graph",
    "test",
    "keys new --folder",
]


@pytest.mark.parametrize("option", FILES_FOLLOW)
def test_bash_completes_files(option: str, tmp_path: Path) -> None:
    """Where a file's name is expected."""
    (tmp_path / "chain one.toml").touch()
    (tmp_path / "other").touch()
    assert completed(f"message-passing {option} ch", tmp_path) == ["chain", "one.toml"]


def test_every_command_is_offered(tmp_path: Path) -> None:
    """As the first word, before the options; and after each, its own options."""
    offered = completed("message-passing ", tmp_path)
    known = sorted([*COMMANDS, "run"])
    assert offered[: len(known)] == known
    assert "--input" in offered
    for command in COMMANDS:
        assert "--help" in completed(f"message-passing {command} --", tmp_path)


def test_every_option_is_offered(tmp_path: Path) -> None:
    """In the original's spelling, as the command itself knows them."""
    offered = set(completed("message-passing --", tmp_path))
    assert {f"--{flag}" for flag in MessagePassing.component_choices()} <= offered
    assert {"--help", "--version", "--configfile", "--daemonize"} <= offered


def test_the_line_for_a_start_up_file_works(tmp_path: Path) -> None:
    """`eval "$(message-passing --completion bash)"` completes both names of the command."""
    line = 'eval "$(message-passing --completion bash)"; complete -p message-passing message-pass'
    printed = run(BASH, "-c", line, folder=tmp_path)
    assert [text.split()[-1] for text in printed.splitlines()] == ["message-passing", "message-pass"]


@pytest.mark.program("zsh")
def test_zsh_takes_it(tmp_path: Path) -> None:
    """Its syntax is right, and it registers both names."""
    script = tmp_path / "completion.zsh"
    script.write_text(completion("zsh"))
    assert ZSH
    program = 'compdef() { print -- "$@" }; source $1'
    printed = run(ZSH, "-f", "-c", program, "ask", str(script), folder=tmp_path)
    assert printed.split() == ["_message_passing", "message-passing", "message-pass"]


ZSH_ASK = r"""
compdef() { }
source $1
shift
_arguments() { print -rl -- "$@" }
compadd() { shift; print -rl -- "$@" }
words=(message-passing "$@") CURRENT=$#words
_message_passing
"""


def zsh_arguments(folder: Path, *words: str) -> list[str]:
    """What zsh is told that may follow some words, the last of which is being typed."""
    script = folder / "completion.zsh"
    script.write_text(completion("zsh"))
    assert ZSH
    return run(ZSH, "-f", "-c", ZSH_ASK, "ask", str(script), *words, folder=folder).splitlines()


@pytest.mark.program("zsh")
def test_zsh_completes_commands(tmp_path: Path) -> None:
    """The first word, and what each command takes, each option once."""
    assert zsh_arguments(tmp_path, "")[0] == "1:command:_message_passing_commands"
    found = zsh_arguments(tmp_path, "graph", "")
    assert {
        "--format:value:(text mermaid svg)",
        "--input:input:_message_passing_input",
        "*:word:_files",
    } <= set(found)
    assert len(found) == len(set(found))
    assert zsh_arguments(tmp_path, "list", "")[-1] == "*:word:(inputs decoders filters encoders outputs)"
    assert "--input:input:_message_passing_input" in zsh_arguments(tmp_path, "--output", "STDOUT", "")
    assert "--input:input:_message_passing_input" not in zsh_arguments(tmp_path, "list", "")


def test_the_scripts_are_not_stale(tmp_path: Path) -> None:
    """They say what the declarations say: otherwise, run `python scripts/completion.py`."""
    run(sys.executable, str(ROOT / "scripts" / "completion.py"), "--check", folder=tmp_path)


def test_an_unknown_shell_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match="bash or zsh"):
        completion("fish")
    assert all(completion(shell) for shell in SHELLS)
