"""The commands `message-passing list` and `message-passing describe`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.cli.commands import describe
from message_passing.cli.commands import list as listing
from message_passing.options import declared
from message_passing.registry import PACKAGES, find, names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Main = Callable[[Sequence[str]], int]

WITHOUT_CRYPTOGRAPHY = """if True:
    import sys
    sys.modules["cryptography"] = None
    from message_passing.cli.main import main
    main()
"""


def printed(capsys: pytest.CaptureFixture[str], main: Main, *words: str) -> str:
    """What a command prints, having ended well."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


def as_json(capsys: pytest.CaptureFixture[str], main: Main, *words: str) -> Any:
    """The same for a program."""
    return json.loads(printed(capsys, main, "--json", *words))


def test_every_component_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Under its kind, with the first sentence about it, and no line too long for a terminal."""
    text = printed(capsys, listing.COMMAND.main)
    found = as_json(capsys, listing.COMMAND.main)
    assert [(one["kind"], one["name"]) for one in found] == [(k, n) for k in PACKAGES for n in names(k)]
    assert all(one["summary"] and one["needs"] is None for one in found)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "  Key         Passes a message on if one of its keys has a certain value;\n" in text


def test_one_kind_or_two(capsys: pytest.CaptureFixture[str]) -> None:
    """With or without the s."""
    assert printed(capsys, listing.COMMAND.main, "output").startswith("outputs:\n")
    assert {one["kind"] for one in as_json(capsys, listing.COMMAND.main, "Inputs", "filter")} == {
        "input",
        "filter",
    }


def test_a_missing_package_hides_nothing() -> None:
    """The component's line says what to install, and so does its description."""
    command = (sys.executable, "-c", WITHOUT_CRYPTOGRAPHY)
    done = finished("list", "--json", command=command)
    lacking = {(one["kind"], one["name"]): one["needs"] for one in json.loads(done.out) if one["needs"]}
    extra = "pip install 'message-passing[crypt]'"
    assert set(lacking) == {("decoder", "Crypt::CBC"), ("encoder", "Crypt::CBC")}
    assert all(extra in text for text in lacking.values())
    assert extra in " ".join(finished("list", command=command).out.decode().split())
    done = finished("describe", "Crypt::CBC", command=command)
    assert (done.status, done.out) == (2, b"")
    assert extra in done.err


@pytest.mark.parametrize("kind", PACKAGES)
def test_all_that_is_declared_is_described(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every component: each option with its type, default and description, and the example."""
    for name in names(kind):
        cls = find(kind, name)
        (about,) = as_json(capsys, describe.COMMAND.main, f"{kind}:{name}")
        text = " ".join(printed(capsys, describe.COMMAND.main, f"{kind}:{name}").split())
        own = {name: one for name, one in declared(cls).items() if name not in ("error", "output_to")}
        last = ["report_limit", "dead_letters"]  # every component has these
        assert [one["name"] for one in about["options"]] == [
            *(name for name in own if name not in last),
            *last,
        ]
        for one in about["options"]:
            assert f"{one['name']}: {one['type']}" in text
            assert " ".join(one["description"].split()) in text
            assert ("default" in one) != one["required"]
        if not any(own[given].python_only for given in cls.example):
            assert about["example"] == dict(cls.example)
            assert not cls.example or f"example: --{kind} {cls.name} --{kind}_options" in text


def test_bounds_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In words, and in numbers for a program."""
    (about,) = as_json(capsys, describe.COMMAND.main, "input:Socket::UDP")
    bounds = {one["name"]: one["bounds"] for one in about["options"]}
    assert bounds["port"] == {"ge": 0, "le": 65535}
    assert "port: int from 0 to 65535" in printed(capsys, describe.COMMAND.main, "Socket::UDP")


def test_a_name_of_several_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    """All are shown, unless the kind is said."""
    text = printed(capsys, describe.COMMAND.main, "zeromq")
    assert text.index("ZeroMQ input\n") < text.index("ZeroMQ output\n")
    assert "ZeroMQ output\n" not in printed(capsys, describe.COMMAND.main, "input:ZeroMQ")


def test_a_class_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its path, once though it would do for several kinds."""
    (tmp_path / "own_worker.py").write_text(
        "from message_passing import Filter\n\nclass Worker(Filter):\n"
        '    """Works hard. And long."""\n\n    hours: int = 8\n\n'
        "    def filter(self, message):\n        return message\n"
    )
    monkeypatch.chdir(tmp_path)
    (about,) = as_json(capsys, describe.COMMAND.main, "+own_worker:Worker")
    assert (about["class"], about["summary"]) == ("own_worker:Worker", "Works hard")
    assert about["name"] == "+own_worker:Worker"
    assert [(one["name"], one["default"]) for one in about["options"]] == [
        ("hours", 8),
        ("report_limit", 1024),
        ("dead_letters", False),
    ]


_OWN = """
from message_passing import Filter

class Outer:
    class Named(Filter):
        name = "Key"
        example = {"word": "it's"}
        word: str = ""
        def filter(self, message):
            return {"word": self.word}

class Unspelt(Outer.Named):
    example = {"word": b"no JSON"}
"""


@pytest.mark.parametrize("word", ["+own_named:Outer.Named", "filter:+own_named:Outer.Named", "Plugged"])
def test_the_example_runs(tmp_path: Path, word: str) -> None:
    """The component is named as a command can name it, not as its class calls itself, nor as another is called."""
    (tmp_path / "own_named.py").write_text(_OWN)
    about = tmp_path / "own_named-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-named\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[message_passing.filters]\nPlugged = own_named:Outer.Named\n")
    elsewhere = {"PYTHONPATH": str(tmp_path)} if word == "Plugged" else {}
    text = finished("describe", word, cwd=tmp_path, env=elsewhere).out.decode()
    example = shlex.split(text.partition("example: ")[2])
    done = finished(*STDIN_TO_STDOUT, *example, given=b"{}\n", cwd=tmp_path, env=elsewhere)
    assert done == (0, b'{"word":"it\'s"}\n', "")


def test_an_example_that_no_command_can_spell(tmp_path: Path) -> None:
    """It is left away."""
    (tmp_path / "own_named.py").write_text(_OWN)
    done = finished("describe", "+own_named:Unspelt", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert b"example:" not in done.out


@pytest.mark.parametrize(
    ("main", "word", "text"),
    [
        (listing.COMMAND.main, "ouptut", "there is no kind 'ouptut' (did you mean 'output'?)"),
        (
            listing.COMMAND.main,
            "x",
            "there is no kind 'x' (there are input, decoder, filter, encoder, output)",
        ),
        (describe.COMMAND.main, "ZeorMQ", "there is no component 'ZeorMQ' (did you mean 'ZeroMQ'?)"),
        (describe.COMMAND.main, "input:Key", "there is no input 'Key' (there are "),
        (describe.COMMAND.main, "+absent:Worker", "there is no module 'absent' on the path"),
    ],
)
def test_mistakes(main: Main, word: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and the nearest that there is."""
    assert main([word]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "describe"])
def test_they_are_words_of_the_command(command: str) -> None:
    """Each with a help of its own, with examples."""
    done = finished(command, "--help")
    assert (done.status, done.err) == (0, "")
    assert f"message-passing {command} --json".encode() in done.out
