"""The command `message-passing create`: what it prints is right as it stands, whatever is asked for."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.commands import create as command
from message_passing.cli.create.config_text import FORMATS
from message_passing.cli.create.kinds import choose
from message_passing.cli.create.layout import laid_out, needed, spelt_options
from message_passing.cli.run.run_command import check_file
from message_passing.config.parsing import load_file
from message_passing.registry import PACKAGES, find, names

if TYPE_CHECKING:
    from pathlib import Path

    from message_passing.options import Option

PYTHON_ONLY = {"Callback", "IO::Handle"}
SPELT = {kind: [name for name in names(kind) if name not in PYTHON_ONLY] for kind in PACKAGES}


def chains() -> list[list[str]]:
    """Every input with every output, and with them in turn every decoder, filter and encoder."""
    ends = list(itertools.product(SPELT["input"], SPELT["output"]))
    middles = [itertools.cycle(SPELT[kind]) for kind in ("decoder", "filter", "encoder")]
    found = []
    for first, last in ends:
        decoder, middle, encoder = map(next, middles)
        found.append([f"input:{first}", f"decoder:{decoder}", f"filter:{middle}", f"encoder:{encoder}"])
        found[-1].append(f"output:{last}")
    return found


def created(folder: Path, words: list[str], form: str) -> Path:
    """The file that is made of some words."""
    path = folder / f"chain.{form}"
    path.write_text(FORMATS[form](laid_out(choose(words))), encoding="utf-8")
    return path


def uncommented(path: Path) -> Path:
    """The same with every option that is commented out."""
    path.write_text(re.sub(r"(?m)^( *)#(?! )", r"\1", path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def needs_a_value(one: Option) -> bool:
    """Whether its default is that it is not given, which cannot be spelt."""
    default = None if one.required else one.make_default()
    return default is not None and not default and bool(one.limits.get("min_length"))


def mistakes(path: Path) -> list[str]:
    """What `check` says of it, but for warnings."""
    return [str(one) for one in check_file(str(path)).diagnostics if not one.warning]


def test_the_chains_have_every_component() -> None:
    """A test of a part would hold less than it says."""
    words = {word for chain in chains() for word in chain}
    assert words == {f"{kind}:{name}" for kind, group in SPELT.items() for name in group}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("words", chains(), ids=" ".join)
def test_it_is_right_as_it_stands(words: list[str], form: str, tmp_path: Path) -> None:
    """And when every option that it shows is set to what it is anyway."""
    path = created(tmp_path, words, form)
    assert mistakes(path) == []
    before = load_file(str(path))
    assert mistakes(uncommented(path)) == []
    assert load_file(str(path)) != before


def options_of(path: Path, kind: str, name: str) -> Any:
    """The options that a file has for the one component of this name."""
    tables = load_file(str(path))[f"{kind}s"].values()
    (options,) = [table.get("options") or {} for table in tables if table["class"] == name]
    return options


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", PACKAGES)
def test_it_shows_every_option(kind: str, form: str, tmp_path: Path) -> None:
    """That a file can spell: what is needed is set as in the example, the rest to its default."""
    for name in SPELT[kind]:
        path = created(tmp_path, [f"{kind}:{name}"], form)
        cls = find(kind, name)
        options = options_of(path, kind, name)
        assert options == needed(cls)
        shown = options_of(uncommented(path), kind, name)
        spelt = [one for one in spelt_options(cls) if one.name in options or not needs_a_value(one)]
        assert list(shown) == [one.name for one in spelt]
        text = path.read_text(encoding="utf-8")
        for one in spelt_options(cls):
            if one not in spelt:
                assert re.search(rf'(?m)^ *# "?{one.name}"?(?: =|:) \[?"\.\.\."', text)
        for one in spelt:
            default = None if one.required else one.make_default()
            if one.name not in options and default is not None:
                assert shown[one.name] == default


def kinds(*words: str) -> list[str]:
    """How words are read."""
    return [one.kind for one in choose(words)]


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("ZeroMQ JSON Key File", "input decoder filter output"),
        ("ZeroMQ JSON Key JSON ZeroMQ", "input decoder filter encoder output"),
        ("ZeroMQ ZeroMQ", "input output"),
        ("STDIN Null STDOUT", "input filter output"),
        ("JSON", "decoder"),
        ("Zstd JSONLines Key JSONLines Zstd", "decoder decoder filter encoder encoder"),
        ("STDIN JSONLines Zstd ZeroMQ", "input decoder encoder output"),
        ("ZeroMQ JSON Gzip Zstd STDOUT", "input decoder encoder encoder output"),
        ("ZeroMQ Gzip JSONLines STDOUT", "input decoder decoder output"),
        ("encoder:JSON", "encoder"),
        ("STDIN output:ZeroMQ STDOUT", "input output output"),
        ("zeromq socket::udp file", "input input output"),
    ],
)
def test_names_are_read_in_the_order_of_a_chain(words: str, read: str) -> None:
    """So that there is one input and one output where that can be."""
    assert kinds(*words.split()) == read.split()


def test_what_a_chain_needs_is_added() -> None:
    """Both ends, and the codecs as the command has them; said of each."""
    tables = laid_out(choose(["Key"]))
    assert [(one.name, one.chosen.word, one.chosen.added) for one in tables] == [
        ("input", "STDIN", True), ("decoder", "JSON", True), ("filter", "Key", False),
        ("encoder", "JSON", True), ("output", "STDOUT", True),
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [[], ["T"]])
def test_several_outputs_are_behind_a_t(asked: list[str], tmp_path: Path) -> None:
    """After the encoder; its own one when it is named."""
    path = created(tmp_path, ["ZeroMQ", "Socket::UDP", "Key", *asked, "File", "output:STDOUT"], "toml")
    values = load_file(str(path))
    assert {one["output_to"] for one in values["inputs"].values()} == {"decoder"}
    assert values["encoders"]["encoder"]["output_to"] == "split"
    assert values["filters"]["split"]["output_to"] == ["output", "output_2"]
    assert list(values["filters"]) == ["filter", "split"]
    assert mistakes(path) == []


def test_a_class_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its path, with its options; and one that cannot be made still has its file."""
    (tmp_path / "own_maker.py").write_text(
        "from message_passing import Filter\n\nclass Worker(Filter):\n    hours: int | None = None\n"
        "    tags: list[str] = ['a \"b\" é']\n\n    def filter(self, message):\n        return message\n\n"
        "class Broken(Worker):\n    def on_init(self):\n        raise RuntimeError('no luck')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert command.COMMAND.main(["STDIN", "+own_maker:Worker", "STDOUT", "--format", "yaml"]) == 0
    path = tmp_path / "own.yaml"
    path.write_text(capsys.readouterr().out)
    assert mistakes(uncommented(path)) == []
    worker = load_file(str(path))["filters"]["filter"]
    assert worker["options"] == {"hours": 1, "tags": ['a "b" é'], "report_limit": 1024, "dead_letters": False}
    assert command.COMMAND.main(["+own_maker:Broken"]) == 0
    assert "+own_maker:Broken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ZeorMQ", "Nothing"], ["there is no component 'ZeorMQ' (did you mean 'ZeroMQ'?)", "'Nothing'"]),
        (["STDOUT", "STDIN"], ["name them in the order of a chain, input, ", "(STDOUT: output; STDIN: input)"]),
        (["STDIN", "Callback"], ["Callback output can be used from Python only: its option 'cb' takes an object"]),
        (["IO::Handle"], ["its option 'fh' takes an object"]),
        (["STDIN", "STDIN", "STDOUT"], ["only one component can use standard input"]),
        (["Key", "--format", "ini"], ["argument --format: invalid choice: 'ini'"]),
        ([], ["the following arguments are required: NAME"]),
    ],
)  # fmt: skip
def test_mistakes(words: list[str], told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, all at once, and nothing is printed."""
    assert command.COMMAND.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(text in err for text in told)


@pytest.mark.parametrize("form", FORMATS)
def test_from_create_to_a_running_chain(form: str, tmp_path: Path) -> None:
    """In the real command: created, checked, run."""
    made = finished("create", "STDIN", "Key", "STDOUT", "--format", form)
    assert made.status == 0
    (tmp_path / f"a.{form}").write_bytes(made.out)
    checked = finished("check", f"a.{form}", cwd=tmp_path)
    assert (checked.status, checked.out.decode()) == (0, f"a.{form}: no errors\n")
    given = b'{"level":"ERROR"}\n{"level":"INFO"}\n'
    done = finished("--configfile", f"a.{form}", given=given, cwd=tmp_path)
    assert done == (0, b'{"level":"ERROR"}\n', "")


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with examples."""
    done = finished("create", "--help")
    assert (done.status, done.err) == (0, "")
    assert b"message-passing create ZeroMQ Key File > app.toml" in done.out
