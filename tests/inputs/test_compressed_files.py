"""Compressed logs among those that are followed: each text is read once, however it was packed meanwhile."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import os
import shutil
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.inputs import _compressed_file, _known_files
from message_passing.inputs.file_tail import FileTailInput
from message_passing.outputs.null import NullOutput
from message_passing.testing import TestOutput, capture
from message_passing.zstandard import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd.compress,
}


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compressed_file, "SETTLED", 0.0)


class Run:
    """One run of an input that follows a folder."""

    def __init__(self, folder: Path, *names: str, **given: Any) -> None:
        options = {"raw": True, "start": "beginning", "position_file": str(folder / "positions"), **given}
        self.component = FileTailInput(
            filename=[str(folder / name) for name in names or ("*.log*",)], error=TestOutput(), **options
        )
        self.arrived = TestOutput() if "output_to" in given else capture(self.component)
        self.component.open()
        self.look()

    def look(self) -> list[Any]:
        """Find and read all that there is; what has come until now."""
        component = self.component

        async def go() -> None:
            for _ in range(3):
                component._files.adopt(component._patterns.find())
                component._files._sweep_at = 0
                await component._look()
                while component._files.has_more():
                    await component._look()

        asyncio.run(go())
        return self.arrived.messages

    def forget(self) -> None:
        """Leave what was removed."""
        for file in self.component._files.leave_gone(-1):
            self.component._collect(file)
        self.look()

    def end(self, *, kill: bool = False) -> list[str]:
        """End it; what it reported."""
        if kill:
            assert self.component._position_file
            self.component._position_file.save_all(self.component._to_save())
            self.component._position_file.close()
            self.component._files.close()
        else:
            self.component.stopped()
            self.component.close()
        return [report["exception"] for report in self.component.error.messages]


def text(name: str, count: int = 60) -> bytes:
    """Lines that no other text has."""
    return b"".join(b"%s line %d\n" % (name.encode(), number) for number in range(count))


def pack(path: Path, suffix: str = ".gz", to: str = "") -> Path:
    """Compress a file as gzip(1) does: its time is kept, and it is removed."""
    packed = path.with_name((to or path.name) + suffix)
    packed.write_bytes(PACK[suffix](path.read_bytes()))
    found = path.stat()
    os.utime(packed, ns=(found.st_atime_ns, found.st_mtime_ns))
    path.unlink()
    return packed


@pytest.mark.parametrize("suffix", PACK)
def test_read_once(suffix: str, tmp_path: Path) -> None:
    """From its beginning to its last byte, one after the other, and never again: renamed neither, nor copied."""
    expected = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.log{suffix}"
        path.write_bytes(PACK[suffix](text(name, 30_000)) + PACK[suffix](text(name + "more") + b"the end"))
        expected += [*text(name, 30_000).splitlines(), *text(name + "more").splitlines(), b"the end"]
    run = Run(tmp_path)
    assert sorted(run.look()) == sorted(expected)
    assert run.component.progress() is None
    assert not run.end()
    (tmp_path / f"a.log{suffix}").rename(tmp_path / f"a.log.1{suffix}")
    shutil.copy2(tmp_path / f"b.log{suffix}", tmp_path / f"b.log.2{suffix}")
    run = Run(tmp_path)
    assert not run.look()
    run.end()


def test_named(tmp_path: Path) -> None:
    """A single one that is named is read as those that a pattern finds, also when it comes later."""
    run = Run(tmp_path, "old.log.gz", raw=False)
    (tmp_path / "old.log.gz").write_bytes(gzip.compress(b"one\r\n\xff\n"))
    assert [one["message"] for one in run.look()] == ["one", r"\xff"]
    run.end()


def test_from_the_end(tmp_path: Path) -> None:
    """With `start` at the end, what is there at the first run is old; what comes later is read."""
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(text("old")))
    run = Run(tmp_path, start="end")
    assert not run.look()
    (tmp_path / "b.log.1.gz").write_bytes(gzip.compress(text("new")))
    assert run.look() == text("new").splitlines()
    run.end()


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("pattern", [("*.log*",), ("*.log", "*.zst", "*.gz", "*.bz2")])
def test_followed_and_compressed(pattern: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    """What was read before it was compressed does not come again: at once, delayed, or after a restart."""
    log, old = tmp_path / "app.log", tmp_path / "app.log.1"
    log.write_bytes(text("first"))
    run = Run(tmp_path, *pattern)
    log.rename(old)
    log.write_bytes(text("second"))
    run.look()
    pack(old, suffix)
    assert run.look() == [*text("first").splitlines(), *text("second").splitlines()]
    log.rename(old)
    log.write_bytes(text("third"))
    run.look()
    run.forget()
    assert not run.end(kill=True)
    (tmp_path / f"app.log.1{suffix}").rename(tmp_path / f"app.log.2{suffix}")
    pack(old, suffix)
    log.unlink()
    log.write_bytes(text("fourth"))
    run = Run(tmp_path, *pattern)
    assert run.look() == text("fourth").splitlines()
    run.end()


def test_the_rest_of_what_was_compressed_meanwhile(tmp_path: Path) -> None:
    """What was written after a run ended, and compressed before the next one, is read from there."""
    log = tmp_path / "app.log"
    log.write_bytes(text("first"))
    Run(tmp_path).end()
    with log.open("ab") as file:
        file.write(text("second"))
    pack(log, to="app.log.1")
    log.write_bytes(text("third"))
    run = Run(tmp_path)
    assert sorted(run.look()) == sorted([*text("second").splitlines(), *text("third").splitlines()])
    run.end()


def test_equal_beginnings_are_not_the_same(tmp_path: Path) -> None:
    """A log of few bytes is not taken for one of another day that begins with them, or is equal to it."""
    for number, content in enumerate([b"started\n", b"started\n", b"started\nstopped\n"]):
        path = tmp_path / f"app.log.{number}.gz"
        path.write_bytes(gzip.compress(content))
        os.utime(path, (1_700_000_000 + number * 86400,) * 2)
    run = Run(tmp_path)
    assert sorted(run.look()) == [b"started"] * 3 + [b"stopped"]
    run.end()


def test_while_its_original_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose original has a backlog waits until that has been read, and brings nothing new then."""
    monkeypatch.setattr(_compressed_file, "_FIRST_RETRY", 0.0)
    log = tmp_path / "app.log"
    log.write_bytes(text("first", 20_000))
    run = Run(tmp_path, "none*")
    run.component._patterns._patterns = [str(tmp_path / "*.log*")]
    files = run.component._files
    files.adopt(run.component._patterns.find())
    (one,) = files
    files.look(one)  # a chunk of it
    pack(log)
    assert run.look() == text("first", 20_000).splitlines()
    run.end()


@pytest.mark.parametrize("suffix", PACK)
def test_cut_off(suffix: str, tmp_path: Path) -> None:
    """It is reported with the place, what comes before that is read once, and the rest if it comes after all."""
    path = tmp_path / f"app.log{suffix}"
    whole = PACK[suffix](text("first", 9000)), PACK[suffix](text("second"))
    path.write_bytes(whole[0] + whole[1][:-3])
    run = Run(tmp_path)
    first = text("first", 9000).splitlines()
    got = [*run.look()]
    assert got[: len(first)] == first
    (report,) = run.end()
    assert "is damaged, or not what its name says: it ends too early. Of its text, " in report
    run = Run(tmp_path)
    before = run.look()
    assert not before, "read again"
    path.write_bytes(b"".join(whole))
    assert got + run.look() == first + text("second").splitlines()
    assert not run.end()


@pytest.mark.parametrize(
    "content", [b"no such thing\n", gzip.compress(text("a"))[:-8] + bytes(8), b"\x1f\x8b"]
)
def test_damaged(content: bytes, tmp_path: Path) -> None:
    """It is reported once, and not tried again while it stays as it is."""
    for suffix in PACK:
        (tmp_path / f"app.log{suffix}").write_bytes(content)
    run = Run(tmp_path)
    run.look()
    reports = run.end()
    assert len(reports) == len(PACK)
    assert all("is damaged, or not what its name says: " in one for one in reports)


def test_a_bomb(tmp_path: Path) -> None:
    """Text of sixty megabytes: only a chunk of it is there at a time."""
    path = tmp_path / "app.log.gz"
    path.write_bytes(gzip.compress((b"x" * 9999 + b"\n") * 6000, 1))
    tracemalloc.start()
    run = Run(tmp_path, output_to=NullOutput())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    run.end()
    assert peak < 16 << 20


def test_containers(tmp_path: Path) -> None:
    """Old logs of a container are joined as those that are followed."""
    stamp = b"2026-11-26T10:00:00.000000001Z"
    (tmp_path / "0.log.1.gz").write_bytes(
        gzip.compress(stamp + b" stdout P one \n" + stamp + b" stdout F two\n" + stamp + b" stderr P three\n")
    )
    run = Run(tmp_path, raw=False, format="cri")
    assert [(one["message"], one.get("truncated")) for one in run.look()] == [
        ("one two", None),
        ("three", True),
    ]
    run.end()
    assert not Run(tmp_path, raw=False, format="cri").look()


def test_so_many_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positions of removed files are kept for what may compress them, in a bounded number, from run to run."""
    for module in (_known_files, __import__("message_passing.inputs.file_tail", fromlist=["_"])):
        monkeypatch.setattr(module, "MOST_GONE", 2)
    for name in "abcd":
        (tmp_path / f"{name}.log").write_bytes(text(name))
    run = Run(tmp_path)
    for name in "abcd":
        (tmp_path / f"{name}.log").unlink()
    run.look()
    run.forget()
    run.end()
    found = json.loads((tmp_path / "positions").read_bytes())["files"]
    assert [one["gone"] for one in found] == [True, True]


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("goes_on", [True, False])
def test_compressed_while_nobody_read(long: bool, goes_on: bool, tmp_path: Path) -> None:
    """Its rest is read from there, and nobody says that it was not, whether a new file is there or not."""
    path = tmp_path / "a.log"
    path.write_bytes(text("a", 60 if long else 3))
    run = Run(tmp_path)
    assert not run.end()
    with path.open("ab") as file:
        file.write(b"the rest\n")
    pack(path, to="a.log.1")
    if goes_on:
        path.write_bytes(text("new"))
    run = Run(tmp_path)
    run.forget()
    assert b"the rest" in run.look()
    assert not run.end()


@pytest.mark.parametrize("names", [("a.log",), ("*.log",), ("*.log*",)])
@pytest.mark.parametrize("packed", ["same", "other", "none"])
def test_what_is_missing_is_reported_unless_it_was_compressed(
    names: tuple[str, ...], packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the compressed file that nobody reads, if there is one; where these are read, once none of them is it."""
    path = tmp_path / "a.log"
    path.write_bytes(text("a"))
    assert not Run(tmp_path, *names).end()
    if packed == "other":
        path.write_bytes(text("another", 80))
    (pack(path, to="a.log.1") if packed != "none" else path.unlink())
    path.write_bytes(text("new"))
    run = Run(tmp_path, *names)
    finds = names == ("*.log*",)
    assert bool(run.component.error.messages) is not finds
    monkeypatch.setattr(_known_files, "MISSING_PATIENCE", 0.0)
    run.component._files._known._missing_until = 0.0
    run.look()
    told = run.end()
    if packed == "same" and finds:
        assert not told
        return
    (said,) = told
    assert "a.log: the file that was read up to byte 590 is not there any more" in said
    assert (f"; it may be in {tmp_path}/a.log.1.gz, which is not read" in said) is (
        packed != "none" and not finds
    )


def test_what_is_missing_at_the_end_is_reported_then(tmp_path: Path) -> None:
    """Though it may be in a compressed file that would have been read: the next run may look for another one."""
    path = tmp_path / "a.log"
    path.write_bytes(text("a"))
    assert not Run(tmp_path).end()
    path.unlink()
    path.write_bytes(text("new"))
    run = Run(tmp_path)
    assert not run.component.error.messages
    assert len(run.end()) == 1
