"""The command `message-passing graph`: chains of every shape as text, as Mermaid's text and as SVG."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from documents import ROOT
from message_passing.cli.commands import graph as command
from message_passing.cli.graph.model import Graph, graph_of
from message_passing.cli.graph.svg import as_svg
from message_passing.cli.graph.text import as_lines, as_mermaid, as_plain
from message_passing.cli.run.run_command import check_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"

FLAT: dict[str, Any] = {
    "input": "STDIN",
    "filter": ["Key", "Null"],
    "output": "File",
    "output_options": {"filename": "x.log"},
    "filter_options": [{"key": "level", "match": "error"}, {}],
}

SHAPES: dict[str, Any] = {
    "inputs": {
        "one": {"class": "STDIN", "output_to": "split"},
        "two": {"class": "Null", "output_to": "late"},
    },
    "filters": {
        "split": {"class": "T", "output_to": ["a", "late", "own"], "error": "own"},
        "late": {"class": "Null", "output_to": "a"},
        "alone": {"class": "Null", "output_to": "a"},
    },
    "encoders": {"a": {"class": "JSON", "output_to": "out"}, "errors": {"class": "JSON", "output_to": "end"}},
    "outputs": {"out": {"class": "STDOUT"}, "own": {"class": "STDERR"}, "end": {"class": "Null"}},
    "error_log": "errors",
}

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
SECRETIVE = {
    "input": "ZeroMQ",
    "input_options": {
        "connect": ['ipc:///tmp/"<&>', "ipc:///tmp/b#`"],
        "curve_server_key": KEY,
        "curve_secret_key": KEY,
    },
    "output": "STDOUT",
    "workers": 3,
}


def graph(folder: Path, values: dict[str, Any]) -> Graph:
    """What is drawn of a config file."""
    path = folder / "a.json"
    path.write_text(json.dumps(values))
    looked = check_file(str(path))
    assert looked.chain, list(map(str, looked.diagnostics))
    return graph_of(looked.chain)


def arrows(drawn: Graph) -> Iterator[tuple[str, str]]:
    """Every arrow, by what its ends are called."""
    names = {number: node.name or node.label for number, node in drawn.nodes.items()}
    for start, ends in drawn.after.items():
        yield from ((names[start], names[end]) for end in ends)


def test_a_row_as_text(tmp_path: Path) -> None:
    """A line for each component, in order, and what fails below it."""
    assert as_lines(graph(tmp_path, FLAT)).splitlines() == [
        "● STDIN input",
        "│",
        "● JSON decoder",
        "│",
        "● Key filter  key=level match=error",
        "│",
        "● Null filter (filter 2)",
        "│",
        "● JSON encoder",
        "│",
        "● File output  filename=x.log",
        "",
        "what fails anywhere:",
        "○ JSON encoder (error_encoder)",
        "│",
        "○ STDERR output (error)",
    ]


def test_any_shape_as_text(tmp_path: Path) -> None:
    """Branches, several inputs, what was drawn above already, an error chain of one's own, what is not used."""
    assert as_lines(graph(tmp_path, SHAPES)).splitlines() == [
        "● STDIN input (one)",
        "│",
        "● T filter (split)",
        "├─● JSON encoder (a)",
        "│ │",
        "│ ● STDOUT output (out)",
        "├─● Null filter (late)",
        "│ │",
        "│ ↑ JSON encoder (a), see above",
        "└─● STDERR output (own)",
        "",
        "● Null input (two)",
        "│",
        "↑ Null filter (late), see above",
        "",
        "what fails in T filter (split):",
        "↑ STDERR output (own), see above",
        "",
        "what fails everywhere else:",
        "○ JSON encoder (errors)",
        "│",
        "○ Null output (end)",
        "",
        "not used: Null filter (alone)",
    ]


def test_every_arrow_of_the_chain_is_there(tmp_path: Path) -> None:
    """And no other, whatever its shape."""
    assert sorted(arrows(graph(tmp_path, SHAPES))) == sorted([
        ("one", "split"), ("two", "late"), ("split", "a"), ("split", "late"), ("split", "own"),
        ("late", "a"), ("alone", "a"), ("a", "out"), ("errors", "end"),
    ])  # fmt: skip


def test_workers(tmp_path: Path) -> None:
    """What they run is drawn where it stands in the chain, and marked."""
    drawn = graph(tmp_path, SECRETIVE)
    assert [name for name, _ in arrows(drawn)][:4] == [
        "ZeroMQ input",
        "JSON decoder",
        "Null filter",
        "JSON encoder",
    ]
    assert as_lines(drawn).count("  [3 workers]\n") == 3
    assert 'subgraph workers["3 workers"]' in as_mermaid(drawn)
    assert ">3 workers</text>" in as_svg(drawn)


@pytest.mark.parametrize("values", [FLAT, SHAPES, SECRETIVE], ids=["flat", "shapes", "workers"])
def test_mermaid(values: dict[str, Any], tmp_path: Path) -> None:
    """Every line is a box or an arrow between boxes that there are, and special letters are spelt out."""
    drawn = graph(tmp_path, values)
    first, *lines = as_mermaid(drawn).splitlines()
    assert first == "flowchart LR"
    boxes, found = set(), []
    for line in lines:
        box = re.fullmatch(r' +(n\d+|all)(\(\["[^"`&]+"\]\)|\["[^"`&]+"\])', line)
        arrow = re.fullmatch(r" +(n\d+|all) (?:-->|-\. failed \.->) (n\d+)", line)
        assert box or arrow or re.fullmatch(r' +(end|subgraph workers\["3 workers"\])', line), line
        if box:
            boxes.add(box[1])
        if arrow:
            found.append((arrow[1], arrow[2]))
    assert boxes == {f"n{number}" for number in drawn.nodes} | {"all"}
    assert {name for arrow in found for name in arrow} <= boxes
    assert len(found) == len(list(arrows(drawn))) + len(drawn.failed) + 1


@pytest.mark.parametrize("values", [FLAT, SHAPES, SECRETIVE], ids=["flat", "shapes", "workers"])
def test_svg(values: dict[str, Any], tmp_path: Path) -> None:
    """Well-formed, a title on everything, light and dark, nothing from outside, and no box on another."""
    drawn = graph(tmp_path, values)
    text = as_svg(drawn)
    root = ET.fromstring(text)  # noqa: S314 - our own text
    assert root.tag == f"{SVG}svg"
    groups = root.findall(f"{SVG}g")
    assert all((group.findtext(f"{SVG}title") or "").strip() for group in [root, *groups])
    titles = [group.findtext(f"{SVG}title") for group in groups]
    assert all(str(node) in titles for node in drawn.nodes.values())
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:href|src|url\()[^#\s]", text) == []
    dashed = [path for path in root.iter(f"{SVG}path") if path.get("class") == "arrow failed"]
    assert len(dashed) == len(drawn.failed) + 1
    _, _, width, height = map(int, str(root.get("viewBox")).split())
    boxes = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") != "group"]
    assert len(boxes) == len(drawn.nodes) + 1
    corners = [(int(rect.get("x", "")), int(rect.get("y", ""))) for rect in boxes]
    for number, (x, y) in enumerate(corners):
        assert 0 <= x <= width - 200
        assert 0 <= y <= height - 54
        assert all(abs(x - to_x) >= 200 or abs(y - to_y) >= 54 for to_x, to_y in corners[:number])


def test_arrows_lead_to_the_right(tmp_path: Path) -> None:
    """A component stands in a later column than all that it comes from."""
    drawn = graph(tmp_path, SHAPES)
    root = ET.fromstring(as_svg(drawn))  # noqa: S314 - our own text
    columns = {}
    for group in root.findall(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            columns[group.findtext(f"{SVG}title")] = int(rect.get("x", ""))
    for start, ends in drawn.after.items():
        for end in ends:
            if drawn.nodes[start].name != "alone":  # nothing leads to it, so it stands below all others
                assert columns[str(drawn.nodes[start])] < columns[str(drawn.nodes[end])]


def test_the_picture_in_the_guide_is_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the guide says that it is: `message-passing graph --format svg examples/config/named.toml`."""
    monkeypatch.chdir(ROOT)
    looked = check_file("examples/config/named.toml")
    assert looked.chain
    assert (ROOT / "docs" / "graph.svg").read_text(encoding="utf-8") == as_svg(graph_of(looked.chain))


def test_no_secret_is_drawn(tmp_path: Path) -> None:
    """A graph is shown around."""
    drawn = graph(tmp_path, SECRETIVE)
    for text in (as_lines(drawn), as_mermaid(drawn), as_svg(drawn)):
        assert KEY[:8] not in text


def test_letters_that_xml_does_not_have(tmp_path: Path) -> None:
    """A file's name may hold any."""
    values = {"input": "STDIN", "output": "File", "output_options": {"filename": "a\x01]]>\ufffe\ud800b"}}
    (tmp_path / "a.json").write_text(json.dumps(values))
    looked = check_file(str(tmp_path / "a.json"))
    assert looked.chain
    ET.fromstring(as_svg(graph_of(looked.chain)).encode())  # noqa: S314 - our own text


def test_the_words_of_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for running it."""
    assert command.COMMAND.main(["--input", "STDIN", "--output", "STDOUT"]) == 0
    assert capsys.readouterr().out.startswith("● STDIN input\n│\n● JSON decoder\n")
    (tmp_path / "a.json").write_text(json.dumps(FLAT))
    assert (
        command.COMMAND.main(
            ["--configfile", str(tmp_path / "a.json"), "--input", "Null", "--format", "mermaid"]
        )
        == 0
    )
    assert '"Null input"' in capsys.readouterr().out


def test_a_terminal_without_these_letters(tmp_path: Path) -> None:
    """Has a drawing all the same."""
    done = finished(
        "graph", "--input", "STDIN", "--output", "STDOUT", env={"PYTHONIOENCODING": "ascii"}, cwd=tmp_path
    )
    assert (done.status, done.err) == (0, "")
    assert done.out.decode().startswith("* STDIN input\n|\n* JSON decoder\n")
    assert as_plain("├─└↑") == "+-+^"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["absent.toml"], "absent.toml: cannot be read"),
        (
            ["--input", "STDNI", "--output", "STDOUT"],
            "--input: there is no input 'STDNI' (did you mean 'STDIN'?)",
        ),
        ([], "message-passing graph: name one config file"),
        (["a.toml", "b.toml"], "b.toml: cannot be read: No such file or directory"),
        (["--format", "png", "a.toml"], "argument --format: invalid choice: 'png'"),
    ],
)
def test_mistakes(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, told on standard error, and nothing is drawn."""
    assert command.COMMAND.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with examples."""
    done = finished("graph", "--help")
    assert (done.status, done.err) == (0, "")
    assert b"message-passing graph --format svg app.toml > app.svg" in done.out


def test_routes(tmp_path: Path) -> None:
    """Each arrow has its condition, in all formats; what has no route is said."""
    routes = [{"when": 'level >= "ERROR"', "to": "bad"}, {"when": "a < b", "to": "bad"}, {"else": "all"}]
    values: dict[str, Any] = {
        "inputs": {"in": {"class": "STDIN", "output_to": "read"}},
        "decoders": {"read": {"class": "JSON", "output_to": routes}},
        "outputs": {"bad": {"class": "Null"}, "all": {"class": "Null"}},
    }
    drawn = graph(tmp_path, values)
    assert as_lines(drawn).splitlines()[4:7] == [
        "● Route filter (read routes)",
        '├─ level >= "ERROR"; or a < b: ● Null output (bad)',
        "└─ all others: ● Null output (all)",
    ]
    assert '-->|"level #gt;= #quot;' in as_mermaid(drawn)
    assert "level &gt;= " in as_svg(drawn)
    several = [{"when": "a == 1", "to": ["bad", "all"]}, {"else": "all"}]
    values["decoders"]["read"]["output_to"] = several
    assert as_lines(graph(tmp_path, values)).splitlines()[4:7] == [
        "● Route filter (read routes)",
        "├─ a == 1: ● Null output (bad)",
        "└─ a == 1; or all others: ● Null output (all)",
    ]
    values["decoders"]["read"]["output_to"] = routes
    routes.pop()
    values["outputs"].pop("all")
    assert "● Route filter (read routes)  all others are filtered out" in as_lines(graph(tmp_path, values))
