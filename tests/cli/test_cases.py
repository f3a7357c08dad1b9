"""The command `message-passing test`: cases in config files, of both forms and in each format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.commands import check
from message_passing.cli.commands import test as command

if TYPE_CHECKING:
    from pathlib import Path

FLAT = """
input = "ZeroMQ"
output = "File"
filter = "Key"

[input_options]
socket_bind = "tcp://127.0.0.1:1"

[output_options]
filename = "absent/never.log"

[filter_options]
key = "level"
match = "error"
"""

CASE: dict[str, Any] = {
    "name": "errors pass",
    "input": ['{"level":"error"}', {"level": "info"}, "no JSON"],
    "output": [{"level": "error"}],
    "errors": ["malformed JSON"],
    "filtered": 1,
}

NAMED: dict[str, Any] = {
    "inputs": {
        "one": {"class": "STDIN", "output_to": "decoder"},
        "two": {"class": "ZeroMQ", "options": {"connect": "tcp://127.0.0.1:9"}, "output_to": "all"},
    },
    "decoders": {"decoder": {"class": "JSON", "output_to": "split"}},
    "filters": {
        "split": {"class": "T", "output_to": ["all", "bad"]},
        "bad": {"class": "Key", "options": {"key": "level", "match": "error"}, "output_to": "alarm"},
    },
    "encoders": {
        "all": {"class": "JSON", "output_to": "file"},
        "alarm": {"class": "JSON", "output_to": "screen"},
    },
    "outputs": {"file": {"class": "File", "options": {"filename": "x.log"}}, "screen": {"class": "STDOUT"}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flat(*cases: Any) -> dict[str, Any]:
    """A config file of the flat form."""
    return {
        "input": "STDIN",
        "output": "STDOUT",
        "filter": "Key",
        "filter_options": {"key": "level", "match": "error"},
        "tests": list(cases),
    }


def outcome(
    capsys: pytest.CaptureFixture[str], folder: Path, values: dict[str, Any], *words: str
) -> tuple[int, list[str]]:
    """The exit status, and what is on standard output."""
    (folder / "a.json").write_text(json.dumps(values))
    status = command.COMMAND.main([*words, "a.json"])
    out, err = capsys.readouterr()
    assert err == ""
    return status, out.splitlines()


def test_a_case_that_holds_opens_nothing(folder: Path) -> None:
    """In the real command: the port is one that nobody may bind, the folder is not there."""
    (folder / "a.toml").write_text(
        f"{FLAT}\n[[tests]]\nname = 'errors pass'\ninput = ['{{\"level\":\"error\"}}', {{ level = 'info' }}, 'x']\n"
        "output = [{ level = 'error' }]\nerrors = ['malformed JSON']\nfiltered = 1\n"
    )
    done = finished("test", "a.toml", cwd=folder)
    assert done == (0, b"ok      a.toml:16: errors pass\n1 test, none failed\n", "")
    assert [path.name for path in folder.iterdir()] == ["a.toml"]


def test_the_difference_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was expected and what came, in lines; the other cases are run all the same."""
    wrong = {**CASE, "name": "wrong", "output": [{"level": "warning"}], "filtered": 2, "errors": ["no such"]}
    status, lines = outcome(capsys, folder, flat(wrong, CASE))
    assert status == 1
    assert lines == [
        "FAILED  a.json:1: wrong",
        "        output: expected (-) and got (+):",
        '          - {"level":"warning"}',
        '          + {"level":"error"}',
        "        errors: none that was reported has 'no such'",
        "        errors: not expected: decoder: malformed JSON: " + lines[5].partition("malformed JSON: ")[2],
        "        filtered: 1, not 2",
        "ok      a.json:1: errors pass",
        "2 tests, 1 failed",
    ]


def test_for_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of objects."""
    status, lines = outcome(capsys, folder, flat({**CASE, "filtered": 0}, {**CASE, "name": "b"}), "--json")
    assert status == 1
    assert json.loads("\n".join(lines)) == [
        {"file": "a.json", "line": 1, "name": "errors pass", "ok": False, "problems": ["filtered: 1, not 0"]},
        {"file": "a.json", "line": 1, "name": "b", "ok": True, "problems": []},
    ]


@pytest.mark.parametrize(
    ("given", "output", "right"),
    [
        (
            ['{"level": "error", "n": 1}'],
            ['{"level":"error","n":1}'],
            False,
        ),  # a Key passes the text on as it is
        (['{"level":"error","n":1}'], ['{"level":"error","n":1}'], True),
        (['{"n": 1, "level": "error"}'], [{"level": "error", "n": 1}], True),
        ([{"level": "error"}] * 2, [{"level": "error"}], False),
        ([{"level": "error"}], [], False),
        ([], [], True),
        ([{"level": "error", "x": True}], [{"level": "error", "x": 1}], False),
        ([{"level": "error", "x": "é\n"}], [{"level": "error", "x": "é\n"}], True),
    ],
)
def test_messages_are_compared_exactly(
    folder: Path, capsys: pytest.CaptureFixture[str], given: list[Any], output: list[Any], right: bool
) -> None:
    """Texts letter by letter, objects as JSON; none too many, none too few."""
    case = {"input": given, "output": output}
    assert outcome(capsys, folder, flat(case))[0] == (not right)


def test_an_error_that_nobody_expected_fails_the_case(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be lost in silence otherwise."""
    status, lines = outcome(capsys, folder, flat({"input": ["x"], "output": []}))
    assert status == 1
    assert lines[1].startswith("        errors: not expected: decoder: malformed JSON")


def test_every_case_has_fresh_components(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that counts begins anew."""
    (folder / "counting_filter.py").write_text(
        "from message_passing import Filter\n\nclass Count(Filter):\n    seen = 0\n"
        "    def filter(self, message):\n        self.seen += 1\n        message['n'] = self.seen\n"
        "        return message\n"
    )
    case = {"input": [{}, {}], "output": [{"n": 1}, {"n": 2}]}
    values = {**flat(case, {**case, "name": "again"}), "filter": "+counting_filter:Count"}
    del values["filter_options"]
    assert outcome(capsys, folder, values)[0] == 0


def test_a_chain_of_any_shape(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several inputs, several outputs, and a place in the middle to begin at."""
    cases = [
        {
            "name": "both outputs",
            "at": "one",
            "input": [{"level": "error"}, {"level": "info"}],
            "output": {"file": [{"level": "error"}, {"level": "info"}], "screen": [{"level": "error"}]},
            "filtered": 1,
        },
        {"name": "the other input", "at": "two", "input": ["as it is"], "output": ["as it is"]},
        {
            "name": "a filter alone",
            "at": "bad",
            "input": [{"level": "error"}],
            "output": [{"level": "error"}],
        },
        {"name": "one output of two", "at": "one", "input": [{}], "output": {"screen": []}},
    ]
    status, lines = outcome(capsys, folder, {**NAMED, "tests": cases})
    assert (status, lines[-1]) == (0, "4 tests, none failed")


def test_workers_are_not_started(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What they would do is done here."""
    assert outcome(capsys, folder, {**flat(CASE), "workers": 2})[0] == 0


def test_the_chain_runs_with_its_cases_in_the_file(folder: Path) -> None:
    """Running it passes them by."""
    one_input = {"one": NAMED["inputs"]["one"]}
    for values in (flat(CASE), {**NAMED, "inputs": one_input, "tests": [{**CASE, "output": {}}]}):
        (folder / "a.json").write_text(json.dumps(values))
        done = finished("--configfile", "a.json", given=b'{"level":"error"}\n', cwd=folder)
        assert (done.status, done.out, done.err) == (0, b'{"level":"error"}\n', "")


@pytest.mark.parametrize(
    ("tests", "line"),
    [
        (5, "tests: must be a list of cases, not 5"),
        ([5], "tests.0: must be a table with name, at, input, output, errors, filtered, not 5"),
        ([{**CASE, "outptu": []}], "a case has no key 'outptu' (did you mean 'output'?)"),
        (
            [{"input": []}],
            "tests.0: a case needs one of output, errors, filtered, otherwise it checks nothing",
        ),
        ([{"output": []}], "tests.0: a case needs 'input', a list of messages"),
        ([{**CASE, "input": "x"}], "tests.0.input: must be a list of messages, not 'x'"),
        ([{**CASE, "output": 5}], "tests.0.output: must be a list of messages, not 5"),
        ([{**CASE, "errors": [5]}], "tests.0.errors: must be a list of strings, not [5]"),
        ([{**CASE, "filtered": True}], "tests.0.filtered: must be a number of messages, not True"),
        ([{**CASE, "name": 5}], "tests.0.name: must be a text, not 5"),
        (
            [{**CASE, "at": "fitler"}],
            "tests.0.at: there is no component named 'fitler' (did you mean 'filter'?)",
        ),
        ([{**CASE, "output": {"ouptut": []}}], "there is no output 'ouptut' that these messages come to"),
        ([{**CASE, "output": {"output": 5}}], "tests.0.output.output: must be a list of messages, not 5"),
        ([CASE, CASE], "tests.1.name: there is already a case named 'errors pass'"),
        ([], "it has no tests: they are the list `tests`, see message-passing test --help"),
    ],
)
def test_wrong_cases(folder: Path, capsys: pytest.CaptureFixture[str], tests: Any, line: str) -> None:
    """Status 2, with the place; `check` says the same, but that there may be none."""
    values = {**flat(), "tests": tests}
    status, lines = outcome(capsys, folder, values)
    assert status == 2
    assert len(lines) == 1
    assert line in lines[0]
    if tests:
        assert check.COMMAND.main(["a.json"]) == 2
        assert capsys.readouterr().out.splitlines() == lines


def test_wrong_cases_of_a_wrong_chain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are told; which components there are, nobody knows then."""
    values = {**flat({**CASE, "at": "nowhere", "input": 5}), "output": "STDUOT"}
    status, lines = outcome(capsys, folder, values)
    assert (status, len(lines)) == (2, 2)
    assert "there is no output 'STDUOT'" in lines[0]
    assert "tests.0.input: must be a list of messages, not 5" in lines[1]


def test_what_a_chain_of_any_shape_needs_to_be_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which input, and which output."""
    status, lines = outcome(capsys, folder, {**NAMED, "tests": [{"input": [], "output": []}]})
    assert status == 2
    assert "there are several inputs, so a case must name one in `at`: one, two" in lines[0]
    assert "must be a table of lists, one for each of the outputs file, screen" in lines[1]


@pytest.mark.parametrize("name", ["absent.toml", "wrong.json"])
def test_a_file_that_is_wrong_itself(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told as `check` tells it, also to a program."""
    (folder / "wrong.json").write_text('{"input": "STDNI"}')
    assert command.COMMAND.main([name]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert check.COMMAND.main([name]) == 2
    assert capsys.readouterr().out.splitlines() == lines
    assert command.COMMAND.main(["--json", name]) == 2
    assert [one["problems"] for one in json.loads(capsys.readouterr().out)] == [lines]


def test_a_chain_that_cannot_be_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is between the ends is real, and may fail."""
    (folder / "closed_filter.py").write_text(
        "from message_passing import Filter\nfrom message_passing.errors import OpenError\n\n"
        "class Closed(Filter):\n    def on_open(self):\n        raise OpenError('no luck today')\n"
        "    def filter(self, message):\n        return message\n"
    )
    values = {**flat(CASE), "filter": "+closed_filter:Closed", "filter_options": {}}
    status, lines = outcome(capsys, folder, values)
    assert status == 1
    assert "no luck today" in lines[1]


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with a case in it."""
    done = finished("test", "--help")
    assert (done.status, done.err) == (0, "")
    assert b"[[tests]]" in done.out
