"""Many files followed by one input: those that a pattern matches, now and later."""

from __future__ import annotations

import functools
import glob
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.inputs._discovery import FilePatterns
from message_passing.inputs.file_tail import FileTailInput
from message_passing.testing import TestOutput, capture, running, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

FAST = 0.01


def tail(*names: Path, positions: Path | None = None, **given: Any) -> tuple[FileTailInput, TestOutput]:
    """A fast, raw tail of some names from the beginning, and what it emits."""
    options = {"raw": True, "start": "beginning", "interval": FAST, "find_interval": FAST, **given}
    if positions:
        options["position_file"] = str(positions)
    component = FileTailInput(filename=[*map(str, names)], error=TestOutput(), **options)
    return component, capture(component)


def append(path: Path, *texts: str) -> None:
    """Add lines."""
    with path.open("a") as file:
        file.write("".join(f"{text}\n" for text in texts))


def has(arrived: TestOutput, count: int) -> bool:
    """Whether so many messages have come."""
    return arrived.message_count == count


def searched_again(component: FileTailInput) -> None:
    """Wait until what there is now has been found."""
    before = component._find_at
    wait_for(lambda: component._find_at > before + FAST)


def saved(positions: Path) -> dict[str, int]:
    """The saved position of each name."""
    if not positions.exists():
        return {}
    files = json.loads(positions.read_bytes()).get("files", [])
    return {Path(one["filename"]).name: one["place"]["position"] for one in files}


def read_once(names: Sequence[Path], *expected: str, positions: Path, **given: Any) -> list[str]:
    """A run that reads exactly this, in any order; what it reported."""
    component, arrived = tail(*names, positions=positions, **given)
    with running(component):
        wait_for(lambda: arrived.message_count >= len(expected))
    assert sorted(arrived.messages) == sorted(text.encode() for text in expected)
    return [report["exception"] for report in component.error.messages]


def test_files_that_are_there_and_come_later(tmp_path: Path) -> None:
    """All that match are read, new ones from their beginning; what is excluded is not."""
    for name in ("a.log", "b.log", "b-debug.log", "c.txt", "d.log.gz"):
        append(tmp_path / name, f"old {name}")
    (tmp_path / "folder.log").mkdir()
    component, arrived = tail(
        tmp_path / "*.log", tmp_path / "**" / "*.gz", start="end", exclude=["*-debug.log"], raw=False
    )
    with running(component):
        append(tmp_path / "a.log", "one")
        append(tmp_path / "c.log", "two")
        append(tmp_path / "b-debug.log", "not this")
        wait_for(lambda: arrived.message_count == 2)
        append(tmp_path / "b.log", "three")
        wait_for(lambda: arrived.message_count == 3)
        assert (component.info()["files"], component.info()["open_files"]) == (4, 3)
    found = {(Path(one["filename"]).name, one["message"]) for one in arrived.messages}
    assert found == {("a.log", "one"), ("c.log", "two"), ("b.log", "three")}


def test_a_pattern_without_files_yet(tmp_path: Path) -> None:
    """It is reported once, and folders that come later are searched too."""
    component, arrived = tail(tmp_path / "**" / "*.log")
    with running(component):
        (tmp_path / "deep" / "down").mkdir(parents=True)
        append(tmp_path / "deep" / "down" / "x.log", "one")
        wait_for(lambda: arrived.messages == [b"one"])
    assert [report["exception"] for report in component.error.messages] == [
        f"no file matches {[str(tmp_path / '**' / '*.log')]} yet; it is tried again"
    ]


@pytest.mark.parametrize(
    "pattern", ["**/*.log", "**", "**/b/**/*.log", "*/**/c?.log", "a/**/[c]1.log", "no/**/*", "**/**"]
)
def test_two_stars_find_what_a_shell_finds(pattern: str, tmp_path: Path) -> None:
    """`**` matches any number of folders, none among them, and no hidden ones, as in the standard library."""
    for name in (
        "a/b/c1.log",
        "a/c1.log",
        "c1.log",
        "b/b/c2.log",
        ".h/c1.log",
        "a/.h/b/c1.log",
        "a/[x]/b/c1.log",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = FilePatterns([f"{tmp_path}/{pattern}"], [], []).find()
    expected = {one for one in map(Path, glob.glob(f"{tmp_path}/{pattern}", recursive=True)) if one.is_file()}  # noqa: PTH207
    assert {Path(one.path) for one in found} == expected


def test_folders_that_lead_into_themselves(tmp_path: Path) -> None:
    """Symbolic links to a folder above make no more paths, and a file has its shortest name."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "x.log").touch()
    for number in range(9):
        (folder / f"0{number}").symlink_to(tmp_path)
    (tmp_path / "0").symlink_to(folder)
    found = FilePatterns([f"{tmp_path}/**/*.log", f"{tmp_path}/**/a/**"], [], []).find()
    assert [one.path for one in found] == [str(folder / "x.log")]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is read like any other: by a pattern, by its name, and by the next run."""
    name, positions = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log"), tmp_path / "positions"
    for names in ([tmp_path / "*.log"], [Path(name)]):
        append(Path(name), "one")
        first = read_fields(names, positions)
        append(Path(name), "two")
        second = read_fields(names, positions)
        assert [one["message"] for one in first + second] == ["one", "two"]
        assert {one["filename"] for one in first + second} == {f"{tmp_path}/\\xff.log"}


def read_fields(names: Sequence[Path], positions: Path) -> list[dict[str, Any]]:
    """A run that reads one line: its message."""
    component, arrived = tail(*names, positions=positions, raw=False)
    with running(component):
        wait_for(lambda: has(arrived, 1))
    assert component.problems() == []
    return list(arrived.messages)


def test_fairness(tmp_path: Path) -> None:
    """A flooded file gets a chunk before the others have their turn, not more."""
    (tmp_path / "a.log").write_bytes(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 100_000)
    append(tmp_path / "b.log", "one")
    os.utime(tmp_path / "a.log", (0, 0))
    component, arrived = tail(tmp_path / "*.log")
    with running(component):
        wait_for(lambda: arrived.message_count == 100_002)
    assert arrived.messages.index(b"one") < 6000


@pytest.mark.parametrize("pattern", ["app.log", "*.log", "app.log*"])
@pytest.mark.parametrize("keeps", [False, True])
def test_rotation_by_renaming(tmp_path: Path, pattern: str, *, keeps: bool) -> None:
    """Whether the pattern matches rotated names or not, each line is read once, also those that are written late."""
    path = tmp_path / "app.log"
    append(path, "0")
    component, arrived = tail(tmp_path / pattern, positions=tmp_path / "positions" if keeps else None)
    with running(component):
        for number in range(1, 6):
            wait_for(functools.partial(has, arrived, 3 * number - 2))
            with path.open("a") as late:
                for old in range(number - 1, 0, -1):
                    (tmp_path / f"app.log.{old}").rename(tmp_path / f"app.log.{old + 1}")
                path.rename(tmp_path / "app.log.1")
                late.write(f"late {number}\n")
            append(path, f"{number}", f"{number}+")
        wait_for(lambda: arrived.message_count == 16)
    expected = ["0", *(line for n in range(1, 6) for line in (f"late {n}", f"{n}", f"{n}+"))]
    assert arrived.messages == [line.encode() for line in expected]
    assert component.error.messages == []


@pytest.mark.parametrize("pattern", ["*.log", "app.log*"])
@pytest.mark.parametrize("keeps", [False, True])
def test_copied_and_emptied(tmp_path: Path, pattern: str, *, keeps: bool) -> None:
    """`copytruncate`: the copy is not read as another file, however slowly it is made, but for what was not read."""
    path, copy = tmp_path / "app.log", tmp_path / "app.log.1"
    append(path, *map(str, range(200)))
    component, arrived = tail(tmp_path / pattern, positions=tmp_path / "positions" if keeps else None)
    with running(component):
        wait_for(lambda: arrived.message_count == 200)
        for size in (0, 10, 400):
            copy.write_bytes(path.read_bytes()[:size])
            searched_again(component)
        append(path, "rest")
        wait_for(lambda: arrived.message_count == 201)
        copy.write_bytes(path.read_bytes())
        os.truncate(path, 0)
        append(path, "new")
        wait_for(lambda: arrived.message_count == 202)
        searched_again(component)
    assert arrived.messages == [*(b"%d" % n for n in range(200)), b"rest", b"new"]


def test_one_file_of_several_names(tmp_path: Path) -> None:
    """Hard and symbolic links, and a name that is given beside a pattern, do not double a line."""
    append(tmp_path / "a.log", "one")
    (tmp_path / "b.log").symlink_to("a.log")
    os.link(tmp_path / "a.log", tmp_path / "c.log")
    (tmp_path / "loop").symlink_to(".")
    component, arrived = tail(tmp_path / "a.log", tmp_path / "*.log", tmp_path / "**" / "*.log")
    with running(component):
        wait_for(lambda: arrived.messages == [b"one"])
        append(tmp_path / "c.log", "two")
        wait_for(lambda: arrived.messages == [b"one", b"two"])
        assert component.info()["files"] == 1
    assert component.error.messages == []


def test_a_link_that_is_changed(tmp_path: Path) -> None:
    """A symbolic link that leads to another file from now on is read on there, after the first one's rest."""
    append(tmp_path / "1", "one")
    (tmp_path / "a.log").symlink_to("1")
    component, arrived = tail(tmp_path / "*.log")
    with running(component):
        wait_for(lambda: arrived.messages == [b"one"])
        append(tmp_path / "2", "three")
        append(tmp_path / "1", "two")
        (tmp_path / "new").symlink_to("2")
        (tmp_path / "new").rename(tmp_path / "a.log")
        wait_for(lambda: arrived.messages == [b"one", b"two", b"three"])


def test_links_whose_files_are_rotated(tmp_path: Path) -> None:
    """As the kubelet does it: links in one folder, and files in another, rotated several times meanwhile."""
    (tmp_path / "containers").mkdir()
    pod = tmp_path / "pods" / "web"
    pod.mkdir(parents=True)
    file, positions = pod / "0.log", tmp_path / "positions"
    (tmp_path / "containers" / "web-0123.log").symlink_to(file)
    names = [tmp_path / "containers" / "*.log"]
    append(file, "one")
    read_once(names, "one", positions=positions)
    append(file, "rest")
    for number, text in enumerate(("between", "new")):
        file.rename(pod / f"0.log.20261126-08000{number}")
        append(file, text)
        now = time.time_ns() + number
        os.utime(file, ns=(now, now))
    assert read_once(names, "rest", "between", "new", positions=positions) == []
    read_once(names, positions=positions)


@pytest.mark.parametrize("way", ["remove", "rename"])
def test_what_is_gone_is_closed(tmp_path: Path, way: str) -> None:
    """It is read as long as something is written to it, and closed then: its last line needs no newline."""
    path = tmp_path / "a.log"
    append(path, "one")
    component, arrived = tail(tmp_path / "*.log", forget_after=0.2)
    with running(component), path.open("a") as writer:
        wait_for(lambda: arrived.messages == [b"one"])
        path.unlink() if way == "remove" else path.rename(tmp_path / "away")
        writer.write("two")
        writer.flush()
        wait_for(lambda: component.info()["files"] == 0)
        assert arrived.messages == [b"one", b"two"]
        assert component.info()["open_files"] == 0
    assert component.error.messages == []


def test_a_named_file_that_was_removed_is_closed(tmp_path: Path) -> None:
    """Its space on the disk is free then; a new one of that name is read from its beginning."""
    path = tmp_path / "a"
    append(path, "one")
    component, arrived = tail(path, forget_after=0.05)
    with running(component):
        wait_for(lambda: arrived.messages == [b"one"])
        path.unlink()
        wait_for(lambda: not next(iter(component._files)).is_open)
        append(path, "two")
        wait_for(lambda: arrived.messages == [b"one", b"two"])


def test_few_are_open(tmp_path: Path) -> None:
    """With many more files than may be open, each is read: to its end, and whenever something is added to it."""
    paths = [tmp_path / f"{number}.log" for number in range(40)]
    for number, path in enumerate(paths):
        append(path, f"{number} one")
    component, arrived = tail(tmp_path / "*.log", max_open_files=3)
    with running(component):
        wait_for(lambda: arrived.message_count == 40)
        for round_ in ("two", "three"):
            for number, path in enumerate(paths):
                with path.open("a") as file:
                    file.write(f"{number} ")
            for path in reversed(paths):
                append(path, round_)
        wait_for(lambda: arrived.message_count == 120)
        assert component.info()["open_files"] <= 3
    expected = {f"{number} {text}".encode() for number in range(40) for text in ("one", "two", "three")}
    assert set(arrived.messages) == expected
    assert component.error.messages == []


def test_one_that_was_closed_and_renamed(tmp_path: Path) -> None:
    """It is found by its contents, and its rest is read before the new file."""
    for number in range(4):
        append(tmp_path / f"{number}.log", f"{number}")
    component, arrived = tail(tmp_path / "*.log", max_open_files=1)
    with running(component):
        wait_for(lambda: arrived.message_count == 4)
        for number in range(4):
            path = tmp_path / f"{number}.log"
            append(path, f"{number} rest")
            path.rename(tmp_path / f"{number}.log.1")
            append(path, f"{number} new")
        wait_for(lambda: arrived.message_count == 12)
    for number in range(4):
        mine = [line for line in arrived.messages if line.startswith(b"%d" % number)]
        assert mine == [b"%d" % number, b"%d rest" % number, b"%d new" % number]


def test_so_many_at_most(tmp_path: Path) -> None:
    """Further files are reported once, shown as a problem, and read when others have gone."""
    for number in range(5):
        append(tmp_path / f"{number}.log", f"{number}")
    component, arrived = tail(tmp_path / "*.log", max_files=3, forget_after=0.01)
    with running(component):
        wait_for(lambda: component.info()["refused_files"] == 2)
        wait_for(lambda: arrived.message_count == 3)
        assert component.problems() == ["2 files are not read: `max_files` are already"]
        for number in range(3):
            (tmp_path / f"{number}.log").unlink()
        wait_for(lambda: arrived.message_count == 5)
        wait_for(lambda: not component.problems())
    (report,) = component.error.messages
    assert report["exception"] == "2 files are not read: 3 are followed already (max_files)"


def test_positions_of_all(tmp_path: Path) -> None:
    """One file keeps them; a new run begins there, wherever files were renamed meanwhile, and with new ones."""
    positions = tmp_path / "positions"
    for name in ("a", "b", "c", "gone"):
        append(tmp_path / f"{name}.log", f"{name} one")
    names = [tmp_path / "*.log"]
    expected = ["a one", "b one", "c one", "gone one"]
    read_once(names, *expected, positions=positions)
    assert saved(positions) == {"a.log": 6, "b.log": 6, "c.log": 6, "gone.log": 9}
    append(tmp_path / "a.log", "a two")
    append(tmp_path / "b.log", "b rest")
    (tmp_path / "b.log").rename(tmp_path / "b.log.1")
    append(tmp_path / "b.log", "b new")
    append(tmp_path / "c.log", "c rest")
    (tmp_path / "c.log").rename(tmp_path / "renamed.log")
    append(tmp_path / "new.log", "new")
    (tmp_path / "gone.log").unlink()
    told = read_once(
        names, "a two", "b rest", "b new", "c rest", "new", positions=positions, forget_after=0.0, start="end"
    )
    assert len(told) <= 1
    assert all("gone.log is not there any more, which was read up to byte 9" in text for text in told)
    read_once(names, positions=positions)


def test_an_input_without_files_any_more_has_still_begun(tmp_path: Path) -> None:
    """`start` counts once: what comes after all have gone is new."""
    positions, path = tmp_path / "positions", tmp_path / "a.log"
    append(path, "one")
    component, arrived = tail(tmp_path / "*.log", positions=positions, forget_after=0.01)
    with running(component):
        wait_for(lambda: arrived.message_count == 1)
        path.unlink()
        wait_for(lambda: not saved(positions))
    append(path, "one")
    read_once([tmp_path / "*.log"], "one", positions=positions, start="end")


def test_from_one_file_to_several(tmp_path: Path) -> None:
    """The position of the one file counts when a pattern is given in its place, and the other way."""
    positions, path = tmp_path / "positions", tmp_path / "a.log"
    append(path, "one")
    component, arrived = tail(path, positions=positions)
    with running(component):
        wait_for(lambda: arrived.message_count == 1)
    append(path, "two")
    read_once([tmp_path / "*.log"], "two", positions=positions)
    append(path, "three")
    read_once([path], "three", positions=positions)


def test_positions_are_bounded(tmp_path: Path) -> None:
    """Of files that are gone, the oldest positions are forgotten; those of files that are followed are kept."""
    positions = tmp_path / "positions"
    append(tmp_path / "stays.log", "stays")
    component, arrived = tail(tmp_path / "*.log", positions=positions, max_files=3, forget_after=0.0)
    with running(component):
        for number in range(12):
            path = tmp_path / f"{number}.log"
            append(path, f"{number}")
            wait_for(functools.partial(has, arrived, number + 2))
            path.rename(tmp_path / f"{number}.old")
            wait_for(lambda: component.info()["files"] == 1)
        assert component.info()["forgotten_positions"] == 9
        wait_for(lambda: "11.log" in saved(positions))
        assert len(saved(positions)) <= 6
        assert "stays.log" in saved(positions)


def test_a_number_that_is_used_again(tmp_path: Path) -> None:
    """A new file with the same number, and the same beginning, as one that was removed is read from its beginning."""
    positions = tmp_path / "positions"
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    append(first, "same")
    append(second, "same")
    read_once([tmp_path / "*.log"], "same", "same", positions=positions)
    content = json.loads(positions.read_bytes())
    first.unlink()
    second.unlink()
    append(first, "same", "more")
    for one in content["files"]:
        one["place"]["inode"] = first.stat().st_ino
    content["files"] = content["files"][:1]
    content["files"][0]["filename"] = str(first)
    positions.write_text(json.dumps(content))
    (told,) = read_once([tmp_path / "*.log"], "same", "more", positions=positions)
    assert "is not there any more" in told


def test_options(tmp_path: Path) -> None:
    """No name, and the position file itself, are refused in words; a file whose name is a pattern can be named."""
    for names in ("", [], ["a", ""]):
        with pytest.raises(OptionError, match="'filename' must be a path, or a list of some"):
            FileTailInput(filename=names)
    path = tmp_path / "a[1].log"
    append(path, "one")
    append(tmp_path / "a1.log", "two")
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: arrived.messages == [b"one"])
    component, arrived = tail(tmp_path / "*", positions=tmp_path / "positions")
    with running(component):
        wait_for(lambda: arrived.message_count == 2)
        wait_for(lambda: len(saved(tmp_path / "positions")) == 2)
        assert component.info()["files"] == 2
    with pytest.raises(OpenError, match=r"cannot follow .*Is a directory"):
        tail(tmp_path, tmp_path / "*.log")[0].open()
