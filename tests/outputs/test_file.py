"""Files: appended to, renamed, deleted, and on full disks."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput

if TYPE_CHECKING:
    from pathlib import Path


def to_file(path: Path | str, **given: Any) -> FileOutput:
    """A File output with an error chain to look at."""
    return FileOutput(filename=str(path), error=TestOutput(), **given)


def test_lines(tmp_path: Path) -> None:
    """Each message is a line, in the file as soon as it was consumed."""
    path = tmp_path / "out"
    with to_file(path) as output:
        output.consume_many([b"one", "zwei", b"", b"0", b"\xff"])
        assert path.read_bytes() == b"one\nzwei\n\n0\n\xff\n"


def test_append_and_truncate(tmp_path: Path) -> None:
    """A file is appended to, unless `append` is false, which empties it once."""
    path = tmp_path / "out"
    path.write_bytes(b"old\n")
    with to_file(path) as output:
        output.consume(b"new")
    assert path.read_bytes() == b"old\nnew\n"
    with to_file(path, append=False) as output:
        output.consume(b"one")
        output.reopen()
        output.consume(b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_torn_line_of_a_killed_process(tmp_path: Path) -> None:
    """What comes is not glued to what was there: a torn line is ended first, also in a file that is opened again."""
    path = tmp_path / "out"
    path.write_bytes(b"tor")
    with to_file(path) as output:
        output.consume(b"one")
        path.write_bytes(b"torn")
        output.reopen()
        output.consume(b"two")
        output.reopen()
        output.consume(b"three")
    assert path.read_bytes() == b"torn\ntwo\nthree\n"
    path.write_bytes(b"torn")
    with to_file(path, append=False) as output:
        output.consume(b"one")
    assert path.read_bytes() == b"one\n"


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    """Who may read the file is the umask's business."""
    before = os.umask(0o027)
    try:
        to_file(tmp_path / "out").open()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_one_write_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch costs one system call."""
    real = os.write
    sizes: list[int] = []

    def write(fd: int, data: memoryview) -> int:
        sizes.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    with to_file(tmp_path / "out") as output:
        output.consume_many([b"x"] * 1000)
    assert sizes == [2000]


def test_rename_and_reopen(tmp_path: Path) -> None:
    """A renamed file gets what is written until the reopening, and its name a new file after it."""
    path, old = tmp_path / "out", tmp_path / "out.1"
    with to_file(path) as output:
        output.consume(b"one")
        path.rename(old)
        output.consume(b"two")
        output.reopen()
        output.consume(b"three")
    assert old.read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_deleted_file(tmp_path: Path) -> None:
    """A deleted file is written to without complaint until the reopening."""
    path = tmp_path / "out"
    with to_file(path) as output:
        path.unlink()
        output.consume(b"nowhere")
        assert not path.exists()
        output.reopen()
        output.consume(b"here")
        assert output.snapshot()["passed"] == 2
    assert path.read_bytes() == b"here\n"
    assert output.error.messages == []


def test_failed_reopening(tmp_path: Path) -> None:
    """When the name cannot be opened again, that is reported and the old file is kept."""
    directory = tmp_path / "logs"
    directory.mkdir()
    with to_file(directory / "out") as output:
        directory.rename(tmp_path / "moved")
        output.reopen()
        output.consume(b"kept")
    assert (tmp_path / "moved" / "out").read_bytes() == b"kept\n"
    (report,) = output.error.messages
    assert "cannot write to the file" in report["exception"]


def test_reopening_what_is_not_open(tmp_path: Path) -> None:
    """Before it is opened and after it is closed, reopening does nothing."""
    output = to_file(tmp_path / "out")
    output.reopen()
    assert not (tmp_path / "out").exists()
    output.open()
    output.close()
    (tmp_path / "out").unlink()
    output.reopen()
    assert not (tmp_path / "out").exists()


def test_full_disk() -> None:
    """A full disk is one report a batch, counted to the message, and no exception."""
    with to_file("/dev/full") as output:
        output.consume_many([b"one", b"two"])
        output.consume(b"three")
        counted = output.snapshot()
    assert (counted["received"], counted["failed"], counted["passed"]) == (3, 3, 0)
    first, second = output.error.messages
    assert first["exception"] == "[Errno 28] No space left on device: '/dev/full'"
    assert first["packed_data"] == "one"
    assert first["count"] == 2
    assert "count" not in second


LIMITED = """
import json, resource, sys
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput
output = FileOutput(filename=sys.argv[1], error=TestOutput())
output.consume_many([b"1111", b"2222"])
resource.setrlimit(resource.RLIMIT_FSIZE, (17, resource.RLIM_INFINITY))
output.consume_many([b"3333", b"4444", b"5555"])
output.consume(b"6666")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
output.consume_many([b"7777", b"8888"][: int(sys.argv[2])])
output.close()
print(json.dumps([output.snapshot(), output.error.messages]))
"""


@pytest.mark.parametrize(("later", "end"), [(2, b"7777\n8888\n"), (0, b"")])
def test_partial_write(tmp_path: Path, later: int, end: bytes) -> None:
    """A line that was cut off stays alone: the next one is not glued to it, whoever writes it."""
    path = tmp_path / "out"
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, path, str(later)], capture_output=True, check=True, text=True
    )
    assert path.read_bytes() == b"1111\n2222\n3333\n44\n" + end
    counted, reports = json.loads(ran.stdout)
    assert (counted["failed"], counted["passed"]) == (3, 3 + later)
    assert [(report["packed_data"], report.get("count", 1)) for report in reports] == [
        ("4444", 2),
        ("6666", 1),
    ]


@pytest.mark.parametrize("how", ["append", "reopen"])
def test_a_line_that_a_killed_writer_has_left_torn(tmp_path: Path, how: str) -> None:
    """What a killed process has left of its last line is no beginning of the next message, whenever it is opened."""
    path = tmp_path / "out"
    path.write_bytes(b"whole\n" if how == "reopen" else b'whole\n{"to')
    with to_file(path) as output:
        if how == "reopen":
            path.rename(tmp_path / "out.1")
            path.write_bytes(b'whole\n{"to')
            output.reopen()
        output.consume_many([b"one", b"two"])
        output.consume(b"three")
        assert output.metrics.failed == 0
    assert path.read_bytes() == b'whole\n{"to\none\ntwo\nthree\n'


@pytest.mark.parametrize(("before", "given"), [(b"", {}), (b"whole\n", {}), (b"to", {"append": False})])
def test_a_file_without_a_torn_line_is_left_alone(
    tmp_path: Path, before: bytes, given: dict[str, bool]
) -> None:
    """An empty file, one that ends with a newline, and one that is emptied get no line of their own."""
    path = tmp_path / "out"
    path.write_bytes(before)
    with to_file(path, **given) as output:
        output.consume(b"one")
    assert path.read_bytes() == (b"" if given else before) + b"one\n"


def test_a_torn_line_of_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may be written and not read is written all the same."""
    path, really = tmp_path / "out", os.open
    path.write_bytes(b"to")

    def refusing(name: str, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_ACCMODE == os.O_RDONLY and str(name).startswith("/dev/fd/"):
            raise PermissionError(13, "Permission denied", name)
        return really(name, flags, *more, **named)

    monkeypatch.setattr(os, "open", refusing)
    with to_file(path) as output:
        output.consume(b"one")
    assert path.read_bytes() == b"toone\n"


def test_not_text(tmp_path: Path) -> None:
    """An object fails with a hint, and its neighbours are written."""
    path = tmp_path / "out"
    with to_file(path) as output:
        output.consume_many([b"one", {"a": 1}, b"two"])
    assert path.read_bytes() == b"one\ntwo\n"
    assert output.metrics.failed == 1
    assert "encoder" in output.error.messages[0]["exception"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/out", "No such file or directory: create its directory, or set `make_directories`"),
        (".", "Is a directory"),
        ("a\0b", "null"),
    ],
)
def test_cannot_open(tmp_path: Path, name: str, reason: str) -> None:
    """A name that cannot be written to is an OpenError with the path and the reason."""
    with pytest.raises(OpenError, match=f"cannot write to the file .*{reason}"):
        to_file(f"{tmp_path}/{name}").open()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, to be refused")
def test_permission(tmp_path: Path) -> None:
    """So is a directory that is somebody else's."""
    os.seteuid(65534)
    try:
        with pytest.raises(OpenError, match="Permission denied"):
            to_file(tmp_path / "out").open()
    finally:
        os.seteuid(0)


def test_a_name_is_needed() -> None:
    """A File output without a file name, or with an empty one, is refused."""
    with pytest.raises(OptionError, match="needs the option 'filename'"):
        FileOutput()  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="non-empty"):
        FileOutput(filename="")
