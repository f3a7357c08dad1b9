"""Environment variables in config files: `${NAME}`, and `env:NAME` for secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.run.run_command import MessagePassing, check_file
from message_passing.config.variables import LARGEST_FILE_VALUE, expand_variables
from message_passing.declaration import UnreadText

if TYPE_CHECKING:
    from pathlib import Path

SET = {"HOST": "logs.example.org", "EMPTY": "", "LOG_KEY": "secret", "PORT": "5558"}
NEAR = "set it, or write"


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some that are set, and some that are not."""
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    for name in ("ABSENT", "QQQ", "WWW"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tcp://${HOST}:${PORT}", "tcp://logs.example.org:5558"),
        ("${EMPTY}x", "x"),
        ("${EMPTY:-x}", "x"),
        ("${ABSENT:-x y}", "x y"),
        ("${ABSENT:-}", ""),
        ("${EMPTY:-${HOST}}", "logs.example.org"),
        ("${ABSENT:-${EMPTY:-${PORT}}}/${HOST:-${QQQ}}", "5558/logs.example.org"),
        ("{{{ ${ABSENT:-a} ${HOST} }}}", "{{{ a logs.example.org }}}"),
        ("${ABSENT:-$${HOST}}", "${HOST}"),
        ("$${HOST}", "${HOST}"),
        ("$${A:-${PORT}}", "${A:-5558}"),
        ("$HOST ${} ${1} ${a b} %{HOST} \\d+$", "$HOST ${} ${1} ${a b} %{HOST} \\d+$"),
    ],
)
def test_what_a_text_means(text: str, meant: str) -> None:
    """Set variables, defaults, and what is none of that stays as it is."""
    assert expand_variables({"a": [{"b": text}], "n": 5}, "c.toml") == ({"a": [{"b": meant}], "n": 5}, [])


def test_what_is_not_set() -> None:
    """Each with its place, and what to do; the tests of a file are left alone."""
    given = {"a": ["${QQQ} ${WWW}"], "${QQQ}": 1, "tests": [{"input": ["${QQQ}"]}]}
    values, faults = expand_variables(given, "c.toml", but="tests")
    assert values == given
    assert isinstance(values["a"][0], UnreadText)
    assert list(map(str, faults)) == [
        f"c.toml: a.0: the environment variable '{name}' is not set: {NEAR} ${{{name}:-default}}, "
        f"or $${{{name}}} for this text"
        for name in ("QQQ", "WWW")
    ]


FLAT = """
input = "ZeroMQ"
output = "ZeroMQ"
filter = "Nul"
encoder = "${QQQ}"
http = "0.0.0.0:5601"
http_token = "env:WWW"
pid_file = "${QQQ}/pid"
error_options = "${QQQ}"

[input_options]
socket_bind = "tcp://*:${PORT}"
curve_secret_key = "env:QQQ"
curve_allowed_keys = "*"
sockt_hwm = 1

[output_options]
connect = ["tcp://${QQQ}:5558"]
plain_username = "x"
plain_password = "env:EMPTY"
linger = "long"
"""

NAMED = """
error_log: ${QQQ}
inputs:
  in:
    class: ZeroMQ
    output_to: ${QQQ}
    options: {connect: "tcp://h:${PORT}"}
outputs:
  out:
    class: File
    error: ${WWW}
    options: {filename: "${QQQ}", appnd: true}
  other: {class: File, options: {filename: "${QQQ}", appnd: true}}
  wrong: {class: "${WWW}"}
"""


def unset(name: str) -> str:
    """What is said of a variable that is not set."""
    return f"the environment variable '{name}' is not set: {NEAR} ${{{name}:-default}}, or $${{{name}}} for this text"


def test_all_errors_of_a_file_at_once(tmp_path: Path) -> None:
    """With line and column, beside all others, and nothing that only follows from them."""
    (tmp_path / "c.toml").write_text(FLAT)
    found = [
        str(one).removeprefix(f"{tmp_path}/") for one in check_file(str(tmp_path / "c.toml")).diagnostics
    ]
    assert found == [
        "c.toml:4:1: filter.class: there is no filter 'Nul' (did you mean 'Null'?)",
        f"c.toml:5:1: encoder: {unset('QQQ')}",
        "c.toml:7:1: option 'http_token': the environment variable 'WWW' is not set",
        f"c.toml:8:1: pid_file: {unset('QQQ')}",
        f"c.toml:9:1: error_options: {unset('QQQ')}",
        "c.toml:13:1: ZeroMQ input: option 'curve_secret_key': the environment variable 'QQQ' is not set",
        "c.toml:15:1: ZeroMQ input has no option 'sockt_hwm' (did you mean 'socket_hwm'?)",
        f"c.toml:18:12: output_options.connect.0: {unset('QQQ')}",
        "c.toml:20:1: ZeroMQ output: option 'plain_password': the environment variable 'EMPTY' is empty",
        "c.toml:21:1: ZeroMQ output: option 'linger' must be int from 0 to 2147483647, not 'long'",
    ]


def test_the_same_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many errors, each once."""
    (tmp_path / "c.toml").write_text(FLAT)
    assert MessagePassing.main([str(tmp_path / "c.toml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert all("c.toml: " in line for line in lines)


def test_the_named_form(tmp_path: Path) -> None:
    """Names of components and classes; of what cannot be made for that, nothing more is said."""
    (tmp_path / "c.yaml").write_text(NAMED)
    found = check_file(str(tmp_path / "c.yaml")).diagnostics
    assert [(one.line, one.where, one.text.partition(":")[0]) for one in found] == [
        (line, where, text.partition(":")[0])
        for line, where, text in (
            (2, "error_log", unset("QQQ")),
            (6, "inputs.in.output_to", unset("QQQ")),
            (11, "outputs.out.error", unset("WWW")),
            (12, "outputs.out.options.filename", unset("QQQ")),
            (13, "outputs.other.options.filename", unset("QQQ")),
            (13, "outputs.other.options.appnd", "File output has no option 'appnd' (did you mean 'append'?)"),
            (14, "outputs.wrong.class", unset("WWW")),
        )
    ]


@pytest.mark.parametrize("words", [["--http_token", "env:QQQ"], ["--http-token=env:QQQ"]])
def test_on_the_command_line(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """The shell replaces what it knows; a secret's variable is ours."""
    more = ["--input", "STDIN", "--output", "File", "--http", "0.0.0.0:1", *words]
    assert MessagePassing.main([*more, "--output_options", "filename=${QQQ}", "--filter", "Nul"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "message-passing: --http_token: option 'http_token': the environment variable 'QQQ' is not set",
        "message-passing: --filter: there is no filter 'Nul' (did you mean 'Null'?)",
    ]


def test_they_are_replaced_where_a_file_has_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers too, JSON text within a file, and a file that `@` names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text('{"filename": "${HOST}.log", "append": "${EMPTY:-false}"}')
    (tmp_path / "c.json").write_text(
        '{"input": "Socket::UDP", "input_options": {"port": "${PORT}"}, "output": "File", '
        '"encoder_options": "{\\"pretty\\": ${WWW:-true}}", "output_options": "@o.json"}'
    )
    made: dict[str, Any] = dict(MessagePassing.read(["c.json"]).build().components)
    assert (made["input"].port, made["encoder"].pretty) == (5558, True)
    assert (made["output"].filename, made["output"].append) == ("logs.example.org.log", False)
    (tmp_path / "o.json").write_text('{"filename": "${QQQ}.log"}')
    (diagnostic,) = check_file("c.json").diagnostics
    assert diagnostic.text.startswith("the environment variable 'QQQ' is not set")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "${HOST-x}",
            "'${HOST-x}' is none of ${HOST}, ${HOST:-default} and ${file:PATH}: write $${ for this text",
        ),
        ("${HOST:?x}", "is none of"),
        ("${HOST:+x}", "is none of"),
        ("a ${HOST", "'${HOST' has no }"),
        ("${ABSENT:-${HOST}", "has no }"),
        ("${ABSENT:-${QQQ}}", "'QQQ' is not set"),
        ("${ABSENT:-" * 12 + "x" + "}" * 12, "nested deeper than 10 levels"),
    ],
)
def test_what_a_shell_knows_and_this_does_not(text: str, problem: str) -> None:
    """It is an error, and not left as it is."""
    _, faults = expand_variables({"a": text}, "c.toml")
    assert [problem in fault.text for fault in faults] == [True], faults


def test_a_value_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line ends at its end, also as part of a text; nothing in it is replaced."""
    path = tmp_path / "secret"
    path.write_bytes(b"\xef\xbb\xbfpa ss${HOST}\r\n\n")
    path.chmod(0o600)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    warnings: list[str] = []
    given = {"a": "${file:${FOLDER}/secret}", "b": ["x-${file:" + str(path) + "}-${PORT}"], "c": "$${file:x}"}
    values, faults = expand_variables(given, "c.toml", warnings=warnings)
    assert values == {"a": "pa ss${HOST}", "b": ["x-pa ss${HOST}-5558"], "c": "${file:x}"}
    assert (faults, warnings) == ([], [])
    path.chmod(0o644)
    expand_variables(given, "c.toml", warnings=warnings)
    assert len(warnings) == 1
    assert "can be read by everybody (its mode is 0644)" in warnings[0]


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (None, 0, "cannot be read: No such file or directory"),
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"\xff", 0o600, "it is not UTF-8"),
        (b"x" * (LARGEST_FILE_VALUE + 1), 0o600, "is too large: it may have 65,536 bytes"),
        (b"x", 0o602, "can be written by everybody (its mode is 0602): run `chmod o-w "),
    ],
)
def test_a_file_that_gives_no_value(content: bytes | None, mode: int, problem: str, tmp_path: Path) -> None:
    """Each says which file, and what to do, at the place of the key."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    values, (fault,) = expand_variables({"a": "${file:" + str(path) + "}"}, "c.toml")
    assert f"the file {str(path)!r}" in fault.text
    assert problem in fault.text
    assert fault.where == "c.toml: a"
    assert isinstance(values["a"], UnreadText)


def test_the_largest_value_and_a_folder(tmp_path: Path) -> None:
    """At the bound it is read; what is no file is not."""
    path = tmp_path / "secret"
    path.write_bytes(b"x" * LARGEST_FILE_VALUE)
    assert expand_variables({"a": "${file:" + str(path) + "}"}, "c")[0] == {"a": "x" * LARGEST_FILE_VALUE}
    _, (fault,) = expand_variables({"a": "${file:" + str(tmp_path) + "}"}, "c")
    assert "is a folder" in fault.text or "directory" in fault.text
