"""The words of a command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.commands import check, doctor, replay, send, tail, top
from message_passing.cli.run.arguments import Given, build_parser, parse
from message_passing.cli.run.run_command import MessagePassing
from message_passing.cli.terminal import print_out
from message_passing.errors import OpenError
from message_passing.options import Option

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

PROCESS = {
    "daemonize": Option("daemonize", bool, "", python_only=False, default=False),
    "pid_file": Option("pid_file", str, "", python_only=False, default=None),
}


def read(*words: str) -> Given:
    """What a command with an input and two options of its own reads."""
    printers = {"help": lambda _: "helped\n", "describe": lambda name: f"described {name}\n"}
    return parse(build_parser("command", ["input", "filter", "error_encoder"], PROCESS, printers), words)


def told(*words: str) -> list[str]:
    """What is wrong with them."""
    return [str(fault) for fault in read(*words).faults]


def test_only_what_was_given_is_there() -> None:
    """With the place of each, for messages."""
    assert read() == Given()
    given = read("--input", "STDIN", "--daemonize")
    assert given.values == {"input": "STDIN", "daemonize": True}
    assert given.places == {"input": "--input", "daemonize": "--daemonize"}
    assert not given.faults


@pytest.mark.parametrize("flag", ["--error_encoder_options", "--error-encoder-options"])
def test_underscores_and_dashes_are_the_same(flag: str) -> None:
    """The original's spelling and the shell's; options of components may be repeated, and mixed."""
    given = read(flag, "a=1", "--error_encoder_options=b=2", "--pid-file", "x", "--error-encoder=JSON")
    assert given.values == {
        "error_encoder_options": ["a=1", "b=2"],
        "pid_file": "x",
        "error_encoder": "JSON",
    }


def test_components_are_stacked_and_of_other_options_the_last_counts() -> None:
    """Options belong to the component named last before them."""
    assert read("--filter", "Key").values == {"filter": "Key"}
    words = ["--filter_options", "a=1", "--filter", "Key", "--filter_options", "b=2", "--filter", "T"]
    assert read(*words).values == {"filter": ["Key", "T"], "filter_options": [["a=1", "b=2"], []]}
    assert read("--pid_file", "one", "--pid_file", "two").values == {"pid_file": "two"}


def test_no_option_may_be_shortened() -> None:
    """A script that says --in would break when another option begins so."""
    assert told("--inp", "x") == ["there is no option --inp (did you mean '--input'?)"]


def test_what_is_unknown_is_told_in_full() -> None:
    """Every unknown option; not the word after it, which is most likely its value."""
    assert told("--inptu", "STDIN", "--zzz=5", "-x", "one", "two", "--pidfile") == [
        "there is no option --inptu (did you mean '--input'?)",
        "there is no option --zzz",
        "there is no option -x",
        "unexpected word 'two': every value follows its --option (quote values with spaces)",
        "there is no option --pidfile (did you mean '--pid_file'?)",
    ]


def test_a_missing_value_is_told_and_the_rest_is_read() -> None:
    """Whatever is missing because of that has been told."""
    given = read("--input_options", "a=1", "--input_options", "--input", "--pid_file", "x")
    assert [str(fault) for fault in given.faults] == [
        "--input_options needs a value",
        "--input needs a value",
    ]
    assert given.values == {"pid_file": "x"}
    assert given.already_reported == {"input", "input_options"}


def test_a_flag_may_have_a_value() -> None:
    """As the original's help has it; whether it is one is checked with all other values."""
    assert read("--daemonize=yes").values == {"daemonize": "yes"}
    assert read("--daemonize", "1", "--pid_file", "x").values == {"daemonize": "1", "pid_file": "x"}
    assert read("--daemonize", "--pid_file", "x").values == {"daemonize": True, "pid_file": "x"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--help"], "helped\n"),
        (["-h"], "helped\n"),
        (["--input", "--nonsense", "--describe", "File"], "described File\n"),
        (["--describe"], "described \n"),
    ],
)
def test_options_that_print_and_end(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else was written, status 0."""
    with pytest.raises(SystemExit) as caught:
        read(*words)
    assert (caught.value.code, capsys.readouterr().out) == (0, text)


def test_standard_output_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk is told; a closed one too."""
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(OpenError, match="standard output cannot be written: No space left on device"):
            print_out("text")
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OpenError, match="standard output cannot be written: it is closed"):
        print_out("text")
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        print_out("text")
        assert (tmp_path / "out").read_text() == "text", "at once: an end by os._exit would lose it"


@pytest.mark.parametrize("name", ["user", "pid_file", "http_token", "http", "control"])
def test_an_empty_value_of_what_protects_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A variable that was not set must not run a node as root; on the command line and in a file."""
    file, null = tmp_path / "chain.yaml", tmp_path / "null.yaml"
    file.write_text(f"input: STDIN\noutput: STDOUT\n{name}: ''\n")
    null.write_text(f"input: STDIN\noutput: STDOUT\n{name}:\n")
    spelled = name.replace("_", "-")
    for more in (
        (f"--{name}", ""),
        (f"--{name}=",),
        (f"--{spelled}=",),
        ("--configfile", str(file)),
        ("--configfile", str(null)),
    ):
        assert MessagePassing.main(["--input", "STDIN", "--output", "STDOUT", *more]) == 2
        assert f"option '{name}' must be non-empty str, not " in capsys.readouterr().err


_ZEROMQ = {"socket_bind": "tcp://127.0.0.1:*"}


@pytest.mark.parametrize(
    "more",
    [
        *({name: "a\0b"} for name in ("pid_file", "user", "control", "http", "http_token")),
        *(
            {"input": "ZeroMQ", "input_options": {**_ZEROMQ, **options}}
            for options in (
                {"plain_passwords": "a\0b"},
                {"curve_allowed_keys": "a\0b", "curve_secret_key": "x"},
                {"curve_allowed_keys": "*", "curve_secret_key": "a\0b"},
                {"curve_server_key": "a\0b"},
                {"socket_bind": "ipc:///tmp/a\0b"},
            )
        ),
        {"output": "File", "output_options": {"filename": "a\0b"}},
        {"input": "FileTail", "input_options": {"filename": "a\0b"}},
    ],
    ids=str,
)
def test_a_null_character_in_a_name_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any]
) -> None:
    """The system takes none, or what stands before it; a config file can spell one."""
    file = tmp_path / "chain.json"
    file.write_text(json.dumps({"input": "STDIN", "output": "STDOUT", **more}))
    assert MessagePassing.main(["--configfile", str(file)]) == 2
    assert "null" in (told := capsys.readouterr().err)
    assert "Traceback" not in told


@pytest.mark.parametrize("words", [("--configfile", ""), ("--configfile=",)])
def test_an_empty_name_of_the_config_file_is_an_error(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """What it would have said of users, keys and addresses must not be left out in silence."""
    assert MessagePassing.main(["--input", "STDIN", "--output", "STDOUT", *words]) == 2
    assert "option 'configfile' must be non-empty str, not ''" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--curve-secret-key", "--curve-server-key", "--plain-username"])
@pytest.mark.parametrize("command", [send, tail, doctor])
def test_an_empty_key_of_the_other_commands_is_an_error(
    capsys: pytest.CaptureFixture[str], command: ModuleType, option: str
) -> None:
    """Nothing is sent or heard without the encryption that was asked for."""
    where = ("--connect",) if command is send else ()
    assert command.COMMAND.main([*where, "tcp://127.0.0.1:9", option, ""]) == 2
    name = option.removeprefix("--").replace("-", "_")
    assert f"option '{name}' is empty (''): give a value, or omit the option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "closed", "text"),
    [
        ("top --once", ">&-", "message-passing top: standard output cannot be written: it is closed"),
        (
            "doctor tcp://127.0.0.1:1",
            ">&-",
            "message-passing doctor: standard output cannot be written: it is closed",
        ),
        (
            "tail tcp://127.0.0.1:1",
            ">&-",
            "message-passing tail: standard output is closed: there is nowhere to show messages",
        ),
        (
            "trace --input STDIN --output STDOUT",
            "<&-",
            "message-passing trace: standard input is closed, and no message is given",
        ),
    ],
)
def test_a_closed_stream_is_said_and_no_fault_of_ours(words: str, closed: str, text: str) -> None:
    """A command that needs standard input or output, and has none, says so in one sentence."""
    shell = ["sh", "-c", f'exec "$0" -m message_passing {words} {closed}', sys.executable]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (2, f"{text}\n")


def test_importing_what_a_command_needs_can_be_interrupted_silently() -> None:
    """SIGINT ends the process at once while modules are imported; afterwards Python's handler is there again."""
    code = """
import builtins, os, signal, sys
real = builtins.__import__
def slow(name, *rest):
    if name == "message_passing.cli.command":
        print("importing", signal.getsignal(signal.SIGINT) is signal.SIG_DFL, flush=True)
        if "stop" in sys.argv:
            os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest)
builtins.__import__ = slow
import message_passing.cli.main
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    for words, status, out in (
        (["stop"], -signal.SIGINT, "importing True\n"),
        ([], 0, "\nTrue\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=30
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert done.stdout.startswith("importing True\n")
        assert done.stdout.endswith(out)


@pytest.mark.parametrize(
    ("command", "words", "told"),
    [
        (check, ["--timeout", "inf", "x.toml"], "--timeout: must be a number above 0, not 'inf'"),
        (doctor, ["--timeout", "-1", "tcp://h:1"], "--timeout: must be a number above 0, not '-1'"),
        (replay, ["--to", "tcp://h:1", "--rate", "0", "x"], "--rate: must be a number above 0, not '0'"),
        (
            send,
            ["--connect", "tcp://h:1", "--linger", "nan", "x"],
            "--linger: must be a number from 0 to 999999",
        ),
        (tail, ["--count", "1.5", "tcp://h:1"], "--count: must be a whole number above 0, not '1.5'"),
        (top, ["--interval", "0"], "--interval: must be a number from 0.1 to 3600, not '0'"),
    ],
)
def test_numbers_of_commands_have_bounds(
    command: ModuleType, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which ones are allowed is in the message."""
    assert command.COMMAND.main(words) == 2
    assert told in capsys.readouterr().err
