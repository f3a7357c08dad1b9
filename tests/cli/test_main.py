"""The command itself: its names, its help, its config files."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing import registry
from message_passing.cli.run.run_command import MessagePassing
from message_passing.options import declared
from message_passing.version import __version__
from nodes import OURS

SCRIPTS = Path(sys.executable).parent


def write(folder: Path, ending: str, values: dict[str, Any]) -> str:
    """A config file of these values, in one of the formats: JSON is YAML too, and nearly TOML."""
    path = folder / f"chain.{ending}"
    if ending == "toml":
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in values.items()))
    else:
        path.write_text(json.dumps(values))
    return str(path)


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize(
    "command",
    [OURS, (str(SCRIPTS / "message-passing"),), (str(SCRIPTS / "message-pass"),)],
    ids=lambda c: c[-1],
)
def test_the_names_of_the_command(command: tuple[str, ...]) -> None:
    """All three are the same."""
    assert shutil.which(command[0])
    done = finished(*STDIN_TO_STDOUT, given=b'{"foo":"bar"}\n', command=command)
    assert done == (0, b'{"foo":"bar"}\n', "")
    assert finished("--version", command=command) == (0, f"message-passing {__version__}\n".encode(), "")


def test_a_filter_in_the_working_directory(tmp_path: Path) -> None:
    """The installed command finds it too, in both spellings, and does not take its own folder for that."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "filters.py").write_text("""if True:
        from message_passing import Filter
        class Loud(Filter):
            def filter(self, message):
                return {key.upper(): value for key, value in message.items()}
    """)
    for name in ("+mine.filters:Loud", "+mine.filters.Loud"):
        words = [*STDIN_TO_STDOUT, "--filter", name]
        done = finished(*words, given=b'{"a":1}', command=(str(SCRIPTS / "message-pass"),), cwd=tmp_path)
        assert done == (0, b'{"A":1}\n', "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_fits_a_screen(flag: str) -> None:
    """24 lines of 80 columns, with every option and the examples at its end."""
    done = finished(flag)
    assert (done.status, done.err) == (0, "")
    shown = done.out.decode().splitlines()
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80
    text = "\n".join(shown)
    flags = {*MessagePassing.component_choices(), *declared(MessagePassing), *MessagePassing.printers()}
    assert [flag for flag in flags if not re.search(rf"--{flag}\b", text)] == []
    assert "Examples:" in shown
    assert shown[-1].startswith("      --")
    assert all(name in text for kind in ("input", "output", "encoder") for name in registry.names(kind))
    assert "..." in text, "filters are too many for a screen"


def test_the_help_fits_a_screen_with_many_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those there is no room for are shown by --describe."""
    monkeypatch.setattr(
        "message_passing.cli.run.run_command.names", lambda _kind: [f"Component{n}" for n in range(50)]
    )
    shown = MessagePassing.help_text().splitlines()
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80
    assert any(line.endswith("... (see --describe)") for line in shown)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--describe", "Nul"], "there is no component 'Nul' (did you mean 'Null'?)"),
        (["--completion", "fish"], "--completion takes bash or zsh, not 'fish'"),
    ],
)
def test_what_cannot_be_printed_is_the_only_thing_told(words: list[str], problem: str) -> None:
    """A missing --input is no fault there."""
    assert finished(*words) == (2, b"", f"message-passing: {problem}\n")


FLAT = {
    "input": "STDIN",
    "output": "STDOUT",
    "filter": "Key",
    "filter_options": {"key": "n", "match": 2},
    "encoder_options": '{"pretty": true, }',
    "decoder": "Message::Passing::Filter::Decoder::JSON",
    "error_encoder": "Message::Passing::Filter::Encoder::JSON",
    "daemonize": False,
}


@pytest.mark.parametrize("ending", ["json", "toml", "yaml", "yml"])
def test_the_flat_form(tmp_path: Path, ending: str) -> None:
    """As in the original, with its full class names, and options as JSON text."""
    done = finished("--configfile", write(tmp_path, ending, FLAT), given=b'{"n":1}\n{"n":2}\n')
    assert done == (0, b'{\n   "n": 2\n}\n', "")


def test_the_command_line_wins_key_by_key(tmp_path: Path) -> None:
    """What it does not say is as the file says."""
    words = ["--configfile", write(tmp_path, "toml", FLAT)]
    words += ["--encoder_options", "pretty=false", "--filter-options", "key=n", "--filter-options", "match=1"]
    assert finished(*words, given=b'{"n":1}\n{"n":2}\n') == (0, b'{"n":1}\n', "")
    words += ["--filter", "Null", "--filter_options", "{}", "--pid_file", "absent/pid"]
    done = finished(*words)
    assert (done.status, len(done.told)) == (2, 2), "the options are one value: those of Key are still there"


NAMED = {
    "error_log": "report",
    "inputs": {
        "in": {"class": "STDIN", "output_to": "decoder"},
        "beside": {"class": "Message::Passing::Input::FileTail", "output_to": "split",
                   "options": {"filename": "beside", "start": "beginning", "raw": True}},
    },
    "decoders": {"decoder": {"class": "JSON", "output_to": "split"}},
    "filters": {"split": {"class": "T", "output_to": ["all", "some"]},
                "some": {"class": "Key", "options": {"key": "n", "match": 2}, "output_to": "second"}},
    "encoders": {"all": {"class": "JSON", "output_to": "first"},
                 "second": {"class": "JSON", "output_to": "out"},
                 "report": {"class": "JSON", "output_to": "errors"},
                 "spare": {"class": "Gzip", "output_to": "out"}},
    "outputs": {"first": {"class": "File", "options": {"filename": "first"}},
                "errors": {"class": "File", "options": {"filename": "errors"}},
                "out": {"class": "STDOUT"}},
}  # fmt: skip


@pytest.mark.parametrize("ending", ["json", "toml", "yaml"])
def test_the_named_form(tmp_path: Path, ending: str) -> None:
    """Two inputs, two outputs, an error chain, and something unused, which is a warning."""
    named = {**NAMED, "inputs": {"in": NAMED["inputs"]["in"]}}  # type: ignore[index]
    done = finished(
        "--configfile", write(tmp_path, ending, named), given=b'{"n":1}\nx\n{"n":2}\n', cwd=tmp_path
    )
    assert (done.status, done.out) == (0, b'{"n":2}\n')
    assert done.told == [
        "message-passing: warning: unused encoder 'spare' in the chain: nothing outputs to it",
        "message-passing: decoder (JSON) lost 1 message: 1 failed",
    ]
    assert (tmp_path / "first").read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert len((tmp_path / "errors").read_bytes().splitlines()) == 1


def test_several_inputs_in_the_named_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are built with the same output, whichever format they were written in."""
    monkeypatch.chdir(tmp_path)
    for ending in ("json", "toml", "yaml"):
        script = MessagePassing.read(["--configfile", write(tmp_path, ending, NAMED)])
        prepared = script.prepare()
        heads = prepared.chain.heads
        assert [head.label for head in heads] == ["STDIN input", "FileTail input"]
        assert prepared.identity is None
        first, second = (head.outputs()[0] for head in heads)
        assert first.outputs()[0] is second


def test_the_commands_own_options_in_a_file(tmp_path: Path) -> None:
    """They are checked there as on the command line, in either form of the file."""
    for values, other in (
        ({**FLAT, "daemonize": 5, "io_priority": "high"}, "io_priority: option 'io_priority' must be "),
        ({**NAMED, "daemonize": "x", "user": 5}, "user: option 'user' must be non-empty str, not 5"),
    ):
        name = write(tmp_path, "json", values)
        done = finished("--configfile", name, cwd=tmp_path)
        *_, first, second = done.told
        assert first.startswith(f"message-passing: {name}: daemonize: option 'daemonize' must be bool, not ")
        assert second.startswith(f"message-passing: {name}: {other}")
        assert (done.status, done.out) == (2, b"")


def test_a_command_that_needs_a_module_that_python_lacks_says_so() -> None:
    """A Python may have been built without SQLite."""
    program = "import sys; sys.modules['sqlite3'] = None; from message_passing.cli.main import main; main()"
    done = finished("losses", command=(sys.executable, "-c", program))
    reason = (
        "this needs Python's module 'sqlite3', which is missing here: build or install a Python that has it"
    )
    assert (done.status, done.told) == (2, [f"message-passing losses: {reason}"])
