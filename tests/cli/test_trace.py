"""The command `message-passing trace`: the way of a message through a chain, and the rule that ended it."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.commands.trace import COMMAND
from nodes import OURS

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "inputs": {
        "pipe": {"class": "STDIN", "output_to": "json"},
        "net": {
            "class": "ZeroMQ",
            "options": {"connect": "tcp://127.0.0.1:9", "subscribe": ['{"a'], "maxmsgsize": 20},
            "output_to": "json",
        },
    },
    "decoders": {"json": {"class": "JSON", "output_to": "split"}},
    "filters": {
        "split": {"class": "T", "output_to": ["later", "errors"]},
        "later": {"class": "Delay", "options": {"delay_for": 60}, "output_to": "logstash"},
        "logstash": {"class": "ToLogstash", "output_to": "all"},
        "errors": {"class": "Key", "options": {"key": "level", "match": "error"}, "output_to": "alarm"},
    },
    "encoders": {
        "all": {"class": "JSON", "output_to": "file"},
        "alarm": {"class": "JSON", "output_to": "screen"},
    },
    "outputs": {
        "file": {"class": "File", "options": {"filename": "never.log"}},
        "screen": {"class": "STDOUT"},
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs, with a config file `app.json` that has a line for each component."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.json").write_text(json.dumps(CONFIG, indent=1))
    return tmp_path


def traced(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """The exit status, and the lines on standard output; nothing may be on standard error."""
    status = COMMAND.main(words)
    out, err = capsys.readouterr()
    assert err == ""
    return status, out.splitlines()


def steps(
    capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """The exit status, the steps of the first message by name, and all that is said of each message."""
    status = COMMAND.main(["--json", *words])
    told = json.loads(capsys.readouterr().out)
    return status, {step["name"]: step for step in told[0]["steps"]}, told


def test_a_user_asks_why_a_message_is_not_in_the_file(folder: Path) -> None:
    """In the real command: the filter that removed it, its rule, and its line; nothing is opened."""
    (folder / "a.toml").write_text(
        'input = "ZeroMQ"\noutput = "File"\nfilter = "Key"\n[input_options]\nsocket_bind = "tcp://127.0.0.1:1"\n'
        '[output_options]\nfilename = "absent/x.log"\n[filter_options]\nkey = "level"\nmatch = "error"\n'
    )
    status, out, err = finished("trace", "a.toml", '{"level":"info"}', cwd=folder)
    assert (status, err) == (1, "")
    assert out.decode().splitlines() == [
        "input (ZeroMQ input, a.toml:1)",
        "    emits:",
        '        {"level":"info"}',
        "decoder (JSON decoder)",
        "    passes it on unchanged to filter",
        "filter (Key filter, a.toml:3): key='level' match='error'",
        "    removes it",
        "not reached: encoder, output",
        "Result: removed by filter (Key filter, a.toml:3); no output receives it",
    ]
    assert [path.name for path in folder.iterdir() if path.suffix == ".log"] == []


def test_a_change_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What a filter passes on instead, in every branch of a T, without waiting for a delay."""
    status, lines = traced(capsys, "--at", "pipe", "app.json", '{"level":"error"}')
    assert status == 0
    at = next(number for number, line in enumerate(lines) if line.startswith("logstash"))
    assert lines[at + 1 : at + 3] == [
        "    passes on to all:",
        '        {"@fields":{"level":"error"},"@tags":[]}',
    ]
    assert lines[-1].startswith("Result: reaches ")
    assert "reaches file (File output, app.json:" in lines[-1]
    assert "reaches screen (STDOUT output, app.json:" in lines[-1]


def test_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Each component by name with what it received, its outcome, and where it was declared."""
    status, by_name, told = steps(capsys, "--at", "pipe", "app.json", '{"level":"info"}', "{")
    assert status == 1
    assert by_name["errors"]["outcome"] == "removed"
    assert by_name["errors"]["place"].startswith("app.json:")
    assert by_name["file"]["received"] == ['{"@fields":{"level":"info"},"@tags":[]}']
    assert (told[0]["outputs"], told[0]["ends"]) == (["file"], ["errors"])
    assert (told[1]["outputs"], told[1]["ends"]) == ([], ["json"])
    assert "malformed JSON" in told[1]["steps"][1]["reasons"][0]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"b":1}', "it begins with no prefix that is subscribed to: '{\"a'"),
        ('{"a":"0123456789012345"}', "it has 24 bytes, and maxmsgsize is 20"),
    ],
)
def test_an_input_would_not_receive_it(capsys: pytest.CaptureFixture[str], message: str, reason: str) -> None:
    """The input's own rules come before the chain's: its prefixes and its limit."""
    status, by_name, _ = steps(capsys, "--at", "net", "app.json", message)
    assert status == 1
    assert by_name["net"]["outcome"] == "refused"
    assert by_name["net"]["reasons"] == [reason]


def test_an_object_is_given_to_a_filter(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--at`, what is JSON comes to filters and encoders as an object, and anything else as bytes."""
    status, by_name, told = steps(capsys, "--at", "errors", "app.json", '{"level":"error"}', "-5 no JSON")
    assert status == 1
    assert list(by_name) == ["errors", "alarm", "screen"]
    assert by_name["screen"]["outcome"] == "output"
    assert told[1]["ends"] == ["errors"]


def test_lines_of_standard_input() -> None:
    """Each is a message, whatever bytes it has; a chain of the command line can be traced so too."""
    words = ["--input", "STDIN", "--output", "STDOUT", "--filter", "Key"]
    words += ["--filter_options", "key=level", "--filter_options", "match=error", "--workers", "2"]
    done = finished("trace", "--json", *words, given=b'{"level":"error"}\r\n\xff\n\n{"level":"info"}')
    told = json.loads(done[1])
    assert (done[0], done[2]) == (1, "")
    assert [one["outputs"] for one in told] == [["output"], [], [], []]
    assert [one["ends"] for one in told] == [[], ["decoder"], ["decoder"], ["filter"]]
    assert told[1]["message"] == "\\xff"


def test_own_code_that_fails_or_makes_many(folder: Path) -> None:
    """A filter's exception is the reason; of many messages the first are shown, with their number."""
    (folder / "own.py").write_text(
        "from message_passing import Filter\n"
        "class Many(Filter):\n"
        "    def filter_many(self, messages):\n"
        "        if messages[0].get('bad'):\n"
        "            raise KeyError('no user')\n"
        "        messages[0]['seen'] = True\n"
        "        return [{'n': n, **messages[0]} for n in range(30)]\n"
    )
    words = ["--input", "STDIN", "--output", "STDOUT", "--filter", "+own:Many"]
    message = '{"text":"a\\u001b[2Jb"}\n{"bad":1}\n'
    status, out, err = finished("trace", *words, cwd=folder, given=message.encode())
    text = out.decode()
    assert (status, err) == (1, "")
    assert "        ... and 10 more" in text
    assert "KeyError: 'no user'" in text or "no user" in text
    assert "\x1b" not in text
    assert text.count("Result: ") == 2


def test_secrets_are_not_shown() -> None:
    """A component's options that may be secret are no part of its rule."""
    pytest.importorskip("cryptography")
    options = {"encryption_key": "hidden-from-all", "encryption_cipher": "Rijndael"}
    words = ["--input", "STDIN", "--output", "STDOUT", "--encoder", "JSON", "--encoder", "Crypt::CBC"]
    words += [f"--encoder_options={name}={value}" for name, value in options.items()]
    status, out, err = finished("trace", *words, given=b'{"a":1}\n')
    assert b"hidden-from-all" not in out
    assert "hidden-from-all" not in err
    assert status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a config file"),
        (["app.json", "{}"], "there are several inputs: choose one with --at: pipe, net"),
        (["--at", "pip", "app.json", "{}"], "there is no component 'pip' (did you mean 'pipe'?)"),
        (["absent.json", "{}"], "absent.json"),
    ],
)
def test_what_a_user_may_get_wrong(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    """A sentence on standard error, and status 2."""
    assert COMMAND.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_a_chain_that_cannot_be_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What opening one of its filters finds is the result, and no message has passed."""
    values = {**CONFIG, "inputs": {"pipe": CONFIG["inputs"]["pipe"]}}
    values["filters"] = {
        **CONFIG["filters"],
        "later": {"class": "Regexp", "options": {"regexfile": "absent"}, "output_to": "logstash"},
    }
    (folder / "app.json").write_text(json.dumps(values))
    status, lines = traced(capsys, "app.json", "{}")
    assert status == 1
    assert "cannot be run" in lines[-1]
    assert "absent" in lines[-1]


def test_a_reader_that_goes_away() -> None:
    """`trace ... | head` ends in silence."""
    command = subprocess.run(  # noqa: S602 - a pipeline, as a user types it
        f"yes '{{}}' | head -200 | {shlex.join(OURS)} trace --input STDIN --output STDOUT | head -1",
        shell=True,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert command.stdout == b"input (STDIN input)\n"
    assert command.stderr == b""
