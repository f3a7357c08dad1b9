"""The log files of containers: parts joined, and no position that passes a part of an unfinished line."""

from __future__ import annotations

import functools
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from message_passing.cli.run.run_command import check_file
from message_passing.errors import OptionError
from message_passing.inputs import _compressed_file
from message_passing.inputs._containers import ContainerLine, ContainerLines
from message_passing.inputs.file_tail import FileTailInput
from message_passing.testing import TestOutput, capture, running, wait_for
from nodes import lines, node, part

FAST = 0.01
TIME = "2026-11-26T08:00:00.123456789Z"


def cri(text: str, tag: str = "F", stream: str = "stdout") -> bytes:
    """A line as Kubernetes writes it."""
    return f"{TIME} {stream} {tag} {text}\n".encode()


def docker(text: str, stream: str = "stdout", **more: Any) -> bytes:
    """A line as Docker writes it."""
    return json.dumps({"log": text, "stream": stream, "time": TIME, **more}).encode() + b"\n"


def tail(path: Path, form: str = "cri", **given: Any) -> tuple[FileTailInput, TestOutput]:
    """A fast tail with a position file beside what it follows, and what it emits."""
    options = {"start": "beginning", "interval": FAST, "find_interval": FAST, "format": form, **given}
    if options.pop("keeps", True):
        options["position_file"] = str(path.parent / "positions")
    component = FileTailInput(filename=str(path), error=TestOutput(), **options)
    return component, capture(component)


def append(path: Path, *data: bytes) -> None:
    """Add to a file."""
    with path.open("ab") as file:
        file.write(b"".join(data))


def texts(arrived: TestOutput) -> list[str]:
    """The text of each message."""
    return [one["message"] for one in arrived.messages]


def waits(component: FileTailInput) -> bool:
    """Whether a part has come whose line is not complete."""
    (file,) = component._files
    return bool(file._container and file._container.waits)


def saved(path: Path) -> int:
    """The saved position."""
    return int(json.loads((path.parent / "positions").read_bytes())["place"]["position"])


def test_fields_of_kubernetes(tmp_path: Path) -> None:
    """A message has the text, the stream and the time that the container's runtime wrote."""
    path = tmp_path / "0.log"
    append(
        path, cri("one"), cri("", stream="stderr"), f"{TIME} stdout F\n".encode(), cri("two words ", "F:x")
    )
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: arrived.message_count == 4)
    found = [(one["message"], one["stream"], one["time"]) for one in arrived.messages]
    assert found == [
        ("one", "stdout", TIME),
        ("", "stderr", TIME),
        ("", "stdout", TIME),
        ("two words ", "stdout", TIME),
    ]
    assert "truncated" not in arrived.messages[0]
    assert component.error.messages == []


def test_fields_of_docker(tmp_path: Path) -> None:
    """Likewise, and the labels that Docker was told to add."""
    path = tmp_path / "x-json.log"
    append(path, docker("one\r\n"), docker("tw", attrs={"tag": "web"}), docker("o\n"), b"no object\n")
    component, arrived = tail(path, "docker")
    with running(component):
        wait_for(lambda: arrived.message_count == 3)
    assert texts(arrived) == ["one", "two", "no object"]
    assert arrived.messages[1]["attrs"] == {"tag": "web"}
    assert "stream" not in arrived.messages[2]
    (report,) = component.error.messages
    assert "has lines that are not of the format docker: they are passed on whole" in report["exception"]


def test_parts_are_joined(tmp_path: Path) -> None:
    """Each stream's for itself; also if the file is renamed between two parts; and `raw` has only the text."""
    path = tmp_path / "0.log"
    append(path, cri("a", "P"), cri("x", "P", "stderr"), cri("b", "P"), cri("y", "F", "stderr"))
    component, arrived = tail(tmp_path / "*.log", raw=True)
    with running(component):
        wait_for(lambda: arrived.messages == [b"xy"])
        path.rename(tmp_path / "0.log.20261126-080000")
        append(path, cri("c"), cri("next"))
        wait_for(lambda: arrived.messages == [b"xy", b"abc", b"next"])


def test_a_position_does_not_pass_a_part(tmp_path: Path) -> None:
    """A new run has the whole line, also if its file was renamed meanwhile; what is complete comes once."""
    path = tmp_path / "0.log"
    begin = cri("done")
    append(path, begin, cri("a", "P"), cri("b", "P"))
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: texts(arrived) == ["done"])
        wait_for(lambda: saved(path) == len(begin))
    path.rename(tmp_path / "0.log.1")
    append(path, cri("c"), cri("last"))
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: texts(arrived) == ["abc", "last"])
        wait_for(lambda: saved(path) == path.stat().st_size)
    component, arrived = tail(path)
    with running(component):
        append(path, cri("more"))
        wait_for(lambda: texts(arrived) == ["more"])


def test_the_rest_that_does_not_come(tmp_path: Path) -> None:
    """After `join_timeout`, and where the file is emptied, what there is is passed on, and marked."""
    path = tmp_path / "0.log"
    append(path, cri("a", "P"))
    component, arrived = tail(path, join_timeout=0.05)
    with running(component):
        wait_for(lambda: texts(arrived) == ["a"])
        wait_for(lambda: saved(path) == path.stat().st_size)
        append(path, cri("b", "F"))
        wait_for(lambda: texts(arrived) == ["a", "b"])
    assert [one.get("truncated") for one in arrived.messages] == [True, None]
    component, arrived = tail(path)
    with running(component):
        append(path, cri("c", "P"))
        wait_for(functools.partial(waits, component))
        os.truncate(path, 0)
        wait_for(lambda: texts(arrived) == ["c"])
    assert arrived.messages[0]["truncated"]


def test_at_the_stop(tmp_path: Path) -> None:
    """Without a position file, parts are passed on, marked; with one, they are left for the next run."""
    path = tmp_path / "0.log"
    append(path, cri("a", "P"), cri("half")[:-1])
    component, arrived = tail(path, keeps=False)
    with running(component):
        wait_for(functools.partial(waits, component))
    assert [(one["message"], one.get("truncated")) for one in arrived.messages] == [("ahalf", None)]


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    """At `max_line` bytes; its other parts are left out, and the next line is whole."""
    path = tmp_path / "0.log"
    append(path, cri("x" * 60, "P"), cri("y" * 60, "P"), cri("z" * 60), cri("next"), cri("w" * 200))
    component, arrived = tail(path, max_line=150)
    with running(component):
        wait_for(lambda: arrived.message_count == 2)
        wait_for(lambda: component.metrics.failed == 1)
    assert texts(arrived) == ["x" * 60 + "y" * 60 + "z" * 30, "next"]
    assert arrived.messages[0]["truncated"]
    parts = ContainerLines("cri", 5, 1)
    assert parts.add(cri("abc", "P")[:-1], 0, 0) is None
    assert parts.add(cri("def", "P")[:-1], 40, 0) is None
    assert parts.begins_at(100) == 0
    assert parts.add(cri("ghi", "P")[:-1], 80, 0) is None
    assert parts.begins_at(200) == 80  # what is left out need not be read again
    assert parts.add(cri("j")[:-1], 120, 0) == ContainerLine(
        {"stream": "stdout", "time": TIME, "truncated": True}, b"abcde"
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("ab é", max_size=4), st.booleans()),
        max_size=20,
    ),
)
def test_any_parts(written: list[tuple[str, str, bool]]) -> None:
    """The lines are what each stream's parts are together, and reading begins where the first incomplete one does."""
    parts = ContainerLines("cri", 1000, 1)
    expected: dict[str, str] = {}
    complete = []
    position = 0
    for stream, text, goes_on in written:
        line = cri(text, "P" if goes_on else "F", stream)
        found = parts.add(line[:-1], position, 0)
        begun = expected.get(stream, "")
        position += len(line)
        expected[stream] = begun + text
        if goes_on:
            assert found is None
        else:
            assert found == ContainerLine({"stream": stream, "time": TIME}, expected.pop(stream).encode())
            complete.append(found)
        assert (parts.begins_at(position) == position) == (not expected)
    assert {one.fields["stream"]: one.text.decode() for one in parts.end_all()} == expected


@pytest.mark.parametrize("form", ["lines", "cri", "docker"])
def test_the_commands_of_the_guide(tmp_path: Path, form: str) -> None:
    """Patterns and formats, as a user types them."""
    name, line = {
        "lines": ("srv/deep/app.log", b"hello\n"),
        "cri": ("pods/web-1_default_web-0123.log", cri("hel", "P") + cri("lo")),
        "docker": ("docker/0123/0123-json.log", docker("hello\n")),
    }[form]
    options: dict[str, dict[str, Any]] = {
        "lines": {"filename": ["log/*.log", "srv/**/*.log"], "exclude": ["*debug*"]},
        "cri": {"filename": "pods/*.log", "format": "cri"},
        "docker": {"filename": "docker/*/*-json.log", "format": "docker"},
    }
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    append(path, line)
    given = json.dumps({**options[form], "start": "beginning", "position_file": "logs.pos"})
    words = ["--input", "FileTail", "--input_options", given, *part("output", "File", filename="out")]
    with node(*words, cwd=tmp_path) as tailing:
        (message,) = wait_for(lambda: lines(tmp_path / "out"), timeout=20)
        assert tailing.stop()[0] == 0
    found = json.loads(message)
    assert (found["filename"], found["message"]) == (str(path), "hello")


@pytest.mark.parametrize("form", ["cri", "docker"])
def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """They are valid, and read logs and compressed ones, when pointed at another folder."""
    monkeypatch.setattr(_compressed_file, "SETTLED", 0.0)
    name, root, path, (hello, before) = {
        "cri": ("kubernetes", "/var/log/pods", "default_web_0123/web/0.log", (cri("hello"), cri("before"))),
        "docker": (
            "docker",
            "/var/lib/docker/containers",
            "0123/0123-json.log",
            (docker("hello\n"), docker("before\n")),
        ),
    }[form]
    example = Path(f"examples/config/{name}.yaml")
    assert not check_file(str(example)).diagnostics
    given = yaml.safe_load(example.read_text())["input_options"]
    assert all(one.startswith(f"{root}/") for one in given["filename"])
    given["filename"] = [str(tmp_path) + one.removeprefix(root) for one in given["filename"]]
    log = tmp_path / path
    log.parent.mkdir(parents=True)
    append(log, hello)
    log.with_name(f"{log.name}.20261126-100000.gz").write_bytes(gzip.compress(before))
    component = FileTailInput(**{**given, "position_file": str(tmp_path / "pos"), "error": TestOutput()})
    arrived = capture(component)
    with running(component):
        wait_for(lambda: arrived.message_count == 2, timeout=20)
    assert sorted(one["message"] for one in arrived.messages) == ["before", "hello"]


def test_options() -> None:
    """Such files are UTF-8."""
    with pytest.raises(OptionError, match="'encoding': files of the format 'cri' are always utf-8"):
        FileTailInput(filename="x", format="cri", encoding="latin-1")
    with pytest.raises(OptionError, match="'format' must be 'lines' or 'cri' or 'docker'"):
        FileTailInput(filename="x", format="crio")  # type: ignore[arg-type]
