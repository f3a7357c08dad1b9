"""Files that are rotated: when, what is kept of them, how they are compressed, and what happens if that fails."""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONEncoder
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OpenError, OptionError
from message_passing.inputs.null import NullInput
from message_passing.outputs import _finishing
from message_passing.outputs._naming import FileNames
from message_passing.outputs._rotation import stamp_of
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput, wait_for
from message_passing.text_template import TextTemplate
from message_passing.zstandard import zstd

if TYPE_CHECKING:
    from pathlib import Path


def to_file(path: Path | str, **given: Any) -> FileOutput:
    """A File output with an error chain to look at."""
    return FileOutput(filename=str(path), error=TestOutput(), **given)


def rotated(path: Path) -> list[Path]:
    """The rotated files of this one, the oldest first."""
    return sorted(one for one in path.parent.iterdir() if one.name.startswith(path.name + "."))


def contents(path: Path) -> bytes:
    """What a file has in it, unpacked."""
    data = path.read_bytes()
    return {".gz": gzip.decompress, ".zst": zstd.decompress}.get(path.suffix, bytes)(data)


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("fsync", ["never", "batch"])
def test_by_size(compress: str, fsync: str, tmp_path: Path) -> None:
    """A file that has become large enough is finished; all lines are in some file, in order, and none twice."""
    path = tmp_path / "out"
    settled: list[Outcome] = []
    with to_file(path, rotate_bytes=1000, compress=compress, fsync=fsync, mode="0640") as output:
        for n in range(50):
            with Delivery(settled.append, NullInput()):
                output.consume_many([b"%03d" % n] * 50)
        wait_for(lambda: len(settled) == 50)
    assert {*settled} == {Outcome.DELIVERED}
    files = [*rotated(path), path]
    assert len(files) == 10
    suffix = {"none": "", "gzip": r"\.gz", "zstd": r"\.zst"}[compress]
    assert all(re.fullmatch(rf"out\.\d{{8}}T\d{{6}}\.\d{{6}}Z{suffix}", one.name) for one in files[:-1])
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o640}
    assert b"".join(map(contents, files)) == b"".join([b"%03d\n" % n * 50 for n in range(50)])
    counts = output.info()
    assert (counts["rotated"], counts["compressed"]) == (9, 0 if compress == "none" else 9)
    assert output.error.messages == []


def test_by_time(tmp_path: Path) -> None:
    """Each period has a file of its own, also where an earlier process wrote the one of the last."""
    path = tmp_path / "out"
    path.write_bytes(b"yesterday\n")
    os.utime(path, (1e9, 1e9))
    with to_file(path, rotate_seconds=86400 * 365) as output:
        output.consume(b"today")
        output.consume(b"too")
    assert path.read_bytes() == b"today\ntoo\n"
    assert [one.read_bytes() for one in rotated(path)] == [b"yesterday\n"]


def test_an_empty_file_is_not_rotated(tmp_path: Path) -> None:
    """Neither by time: there is nothing in it."""
    path = tmp_path / "out"
    path.touch()
    os.utime(path, (1e9, 1e9))
    with to_file(path, rotate_seconds=3600) as output:
        output.consume(b"x")
    assert rotated(path) == []


def test_retention(tmp_path: Path) -> None:
    """So many are kept, and so long; files of other names, and what only looks like one, are not touched."""
    path = tmp_path / "out"
    old, new = stamp_of(1e9), stamp_of(2e9)
    others = [f"out.{old}.bak", "out.log", f"out2.{old}", f"xout.{old}", f"out.{old[:-1]}", f"out.{old}\n"]
    for name in (*others, f"out.{old}", f"out.{old}.gz", f"out.{new}", f"out.{new}.zst.tmp"):
        (tmp_path / name).write_bytes(b"x")
    with to_file(path, rotate_bytes=1, keep_seconds=3600):
        wait_for(lambda: not (tmp_path / f"out.{old}.gz").exists())
    assert {one.name for one in tmp_path.iterdir()} == {"out", f"out.{new}", *others}
    (tmp_path / f"out.{new}").unlink()
    with to_file(path, rotate_bytes=1, keep_files=3, compress="gzip") as output:
        for n in range(9):
            output.consume(b"%d" % n)
    kept = [one for one in rotated(path) if one.name not in others]
    assert [contents(one) for one in kept] == [b"5\n", b"6\n", b"7\n"]
    assert path.read_bytes() == b"8\n"
    assert output.info()["removed"] == 5


def test_for_names_with_fields(tmp_path: Path) -> None:
    """Each file is rotated by itself, also one that was closed meanwhile."""
    output = to_file(tmp_path / "{n}", rotate_bytes=20, keep_files=2, compress="gzip", open_files=1)
    with JSONEncoder(output_to=output) as encoder:
        for turn in range(10):
            encoder.consume_many([{"n": n, "t": turn} for n in "ab"])
    for name in "ab":
        assert [len(contents(one).splitlines()) for one in rotated(tmp_path / name)] == [2, 2]
    assert output.error.messages == []


def test_no_field_names_a_rotated_file(tmp_path: Path) -> None:
    """It would be removed with those of another sender."""
    names = FileNames(TextTemplate(f"{tmp_path}/{{n}}"))
    for end in ("", ".gz", ".zst", ".gz.tmp"):
        name = f"web.{stamp_of(1e9)}{end}"
        assert names.path_of({"n": name}) == f"{tmp_path}/{name}_"
    assert names.path_of({"n": "x.gz"}) == f"{tmp_path}/x.gz"


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    """A file that was to be compressed is, when the chain starts; what was half compressed is made again."""
    path = tmp_path / "out"
    left = tmp_path / f"out.{stamp_of(1e9)}"
    left.write_bytes(b"whole\n")
    (tmp_path / f"{left.name}.gz.tmp").write_bytes(b"half")
    (tmp_path / f"{left.name}.gz").write_bytes(b"not yet removed")
    with to_file(path, rotate_bytes=10, compress="gzip"):
        wait_for(lambda: not left.exists())
    assert [contents(one) for one in rotated(path)] == [b"whole\n"]


def test_the_chain_never_waits_for_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is being compressed, more are written and rotated; closing waits for a bounded time."""
    goes_on = threading.Event()
    real = _finishing._compress

    def slow(*given: Any) -> None:
        goes_on.wait(20)
        real(*given)

    monkeypatch.setattr(_finishing, "_compress", slow)
    path = tmp_path / "out"
    with to_file(path, rotate_bytes=1, compress="gzip") as output:
        for n in range(20):
            output.consume(b"%d" % n)
        assert len(rotated(path)) == 19
        goes_on.set()
    assert {one.suffix for one in rotated(path)} == {".gz"}


def test_too_many_files_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound, what a file leaves is left until it is rotated again, and counted."""
    monkeypatch.setattr(_finishing, "MOST_WAITING", 2)
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(threading.Thread, "join", lambda *_: None)
    finisher = _finishing.Finisher(0, 0.0, "gzip")
    for n in range(5):
        finisher.add(str(tmp_path / str(n)))
    assert finisher.counts["postponed"] == 3


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be compressed stays as it is, is reported, and leaves nothing half done."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    path = tmp_path / "out"
    with to_file(path, rotate_bytes=1, compress="gzip") as output:
        output.consume(b"one")
        output.consume(b"two")
    assert [one.read_bytes() for one in rotated(path)] == [b"one\n"]
    assert output.info()["failed"] in (1, 2), "when the chain starts, it looks for what was left"
    assert "No space left on device" in output.error.messages[0]["exception"]
    assert output.snapshot()["passed"] == 2


def test_another_program_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is compressed is kept, so that no line of it is lost."""
    path = tmp_path / "out"
    real = shutil.copyfileobj

    def grown(reader: Any, *rest: Any) -> None:
        real(reader, *rest)
        with open(rotated(path)[0], "ab") as other:  # noqa: PTH123 - as another program does
            other.write(b"late\n")

    monkeypatch.setattr(shutil, "copyfileobj", grown)
    with to_file(path, rotate_bytes=1, compress="gzip") as output:
        output.consume(b"one")
        output.consume(b"two")
    (left,) = rotated(path)
    assert left.read_bytes().startswith(b"one\nlate\n")
    assert "another program still writes" in output.error.messages[0]["exception"]


def test_what_is_not_rotated(tmp_path: Path) -> None:
    """A link is not renamed, and what is no regular file not at all; one that somebody renamed is left alone."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with to_file(tmp_path / "link", rotate_bytes=1) as output:
        for n in range(3):
            output.consume(b"%d" % n)
    assert (tmp_path / "real").read_bytes() == b"0\n1\n2\n"
    assert len(output.error.messages) == 1, "not at each batch"
    assert "which is a symbolic link: name the file itself" in output.error.messages[0]["exception"]
    with to_file("/dev/null", rotate_bytes=1) as output:
        output.consume(b"x")
    path = tmp_path / "out"
    with to_file(path, rotate_bytes=1) as output:
        output.consume(b"one")
        path.rename(tmp_path / "moved")
        path.write_bytes(b"its successor\n")
        output.consume(b"two")
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert path.read_bytes() == b"its successor\ntwo\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="what root may do, others may not")
def test_root_rotates_only_where_nobody_else_may_write(tmp_path: Path) -> None:
    """Who may write to the directory could put a file of theirs in the place of one that root removes or reads."""
    os.chown(tmp_path, 54321, 54321)
    with to_file(tmp_path / "out", rotate_bytes=1) as output:
        output.consume(b"one")
        output.consume(b"two")
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"
    assert "others than root may write its folder" in output.error.messages[0]["exception"]


@pytest.mark.parametrize("options", [{"keep_files": 1}, {"keep_seconds": 1}, {"compress": "gzip"}])
def test_options_about_nothing(options: dict[str, Any]) -> None:
    """What is about rotated files needs rotation."""
    with pytest.raises(OptionError, match="set `rotate_bytes` or `rotate_seconds` too"):
        FileOutput(filename="x", **options)


def test_a_name_that_cannot_be_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the renamed file is written on to, and nothing is lost."""
    path = tmp_path / "out"
    with to_file(path, rotate_bytes=1) as output:
        output.consume(b"one")

        def refused(*_: Any) -> int:
            raise OpenError("no")

        monkeypatch.setattr(FileOutput, "_open_file", refused)
        output.consume(b"two")
        output.consume(b"three")
    assert [one.read_bytes() for one in rotated(path)] == [b"one\ntwo\nthree\n"]
