"""Following real files while they grow, move, shrink and disappear."""

from __future__ import annotations

import errno
import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.inputs._reading import READ_BATCH
from message_passing.inputs.file_tail import FileTailInput
from message_passing.testing import TestOutput, capture, running, wait_for
from support import Kept

if TYPE_CHECKING:
    from message_passing.inputs._followed_file import FollowedFile

FAST = 0.01


def tail(path: Path, **given: Any) -> tuple[FileTailInput, TestOutput]:
    """A raw, fast tail from the beginning unless told otherwise, and what it emits."""
    given = {"raw": True, "start": "beginning", "interval": FAST, "error": TestOutput(), **given}
    component = FileTailInput(filename=str(path), **given)
    return component, capture(component)


def followed(component: FileTailInput) -> FollowedFile:
    """The one file that it follows."""
    (file,) = component._files
    return file


def append(path: Path, data: bytes) -> None:
    """Add to a file, as a program does that opens it anew."""
    with path.open("ab") as file:
        file.write(data)


def test_fields(tmp_path: Path) -> None:
    """A message has the original's fields, and text that any encoder can write."""
    path = tmp_path / "log"
    path.write_bytes(b"caf\xc3\xa9 \xff\r\n\n0\n")
    component, arrived = tail(path, raw=False)
    before = time.time()
    with running(component):
        wait_for(lambda: arrived.message_count == 3)
    first = arrived.messages[0]
    assert set(first) == {"filename", "message", "hostname", "epochtime", "type"}
    assert [message["message"] for message in arrived.messages] == ["café \\xff", "", "0"]
    assert (first["filename"], first["type"]) == (str(path), "log_line")
    assert before <= first["epochtime"] <= time.time()
    assert first["hostname"]
    assert not first["hostname"].startswith("localhost")


def test_from_the_end(tmp_path: Path) -> None:
    """By default only what is added to the file is a message."""
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    component, arrived = tail(path, start="end")
    with running(component):
        append(path, b"new\n")
        wait_for(lambda: arrived.messages == [b"new"])


def test_partial_line(tmp_path: Path) -> None:
    """A line waits for its newline, and what is without one at the stop is a message then."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: followed(component)._partial == b"tw")
        assert arrived.messages == [b"one"]
        append(path, b"o\nthree")
        wait_for(lambda: arrived.messages == [b"one", b"two"])
        wait_for(lambda: followed(component)._partial == b"three")
    assert arrived.messages == [b"one", b"two", b"three"]


def test_rename(tmp_path: Path) -> None:
    """A renamed file is read to its end, also what is written to it after, before the new one."""
    path = tmp_path / "log"
    path.write_bytes(b"1\n")
    component, arrived = tail(path)
    with running(component), path.open("ab", buffering=0) as writer:
        wait_for(lambda: arrived.messages == [b"1"])
        path.rename(tmp_path / "log.1")
        writer.write(b"2\n")
        wait_for(lambda: arrived.messages == [b"1", b"2"])
        path.touch()  # logrotate's `create`: empty until the writer has been told to open it
        writer.write(b"3\nwithout newline")
        wait_for(lambda: b"3" in arrived.messages)
        path.write_bytes(b"4\n")
        wait_for(lambda: arrived.messages == [b"1", b"2", b"3", b"without newline", b"4"])
        path.unlink()
        path.write_bytes(b"5\n")
        wait_for(lambda: arrived.messages[-1] == b"5")
    assert component.error.messages == []


def test_many_rotations_lose_nothing(tmp_path: Path) -> None:
    """Files are written, and renamed while half of them is unread: every line arrives once, in order."""
    path = tmp_path / "log"
    component, arrived = tail(path)

    def has_more_than(count: int) -> bool:
        return arrived.message_count > count

    with running(component):
        for rotation in range(8):
            start = rotation * 4000
            with path.open("ab", buffering=0) as writer:
                writer.write(b"%d\n" % start)
                wait_for(functools.partial(has_more_than, start))  # it follows this file now
                for n in range(start + 1, start + 4000):
                    writer.write(b"%d\n" % n)
            path.rename(tmp_path / f"log.{rotation}")
        wait_for(lambda: arrived.message_count == 32_000)
    assert arrived.messages == [b"%d" % n for n in range(32_000)]


def test_truncation(tmp_path: Path) -> None:
    """A file that was emptied is read from its beginning, and half a line before that is not lost."""
    path = tmp_path / "log"
    path.write_bytes(b"a long first line\nhalf")
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: followed(component)._partial == b"half")
        os.truncate(path, 0)
        wait_for(lambda: arrived.messages == [b"a long first line", b"half"])
        append(path, b"new\n")
        wait_for(lambda: arrived.messages[-1] == b"new")


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there yet is reported once, waited for, and read whole when it appears."""
    path = tmp_path / "sub" / "log"
    component, arrived = tail(path, start="end")
    real_look = followed(component).look
    looks = []

    def look() -> bool:
        looks.append(time.monotonic())
        return real_look()

    monkeypatch.setattr(followed(component), "look", look)
    with running(component):
        wait_for(lambda: len(looks) > 3)
        path.parent.mkdir()
        path.write_bytes(b"whole\n")
        wait_for(lambda: arrived.messages == [b"whole"])
    reports = [report["exception"] for report in component.error.messages]
    assert reports == [f"cannot read {path}: No such file or directory; it is tried again"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, to be refused")
def test_permission(tmp_path: Path) -> None:
    """A file that may not be read is reported once and followed as soon as it may."""
    path = tmp_path / "log"
    path.write_bytes(b"secret\n")
    path.chmod(0)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        if parent != Path("/tmp"):  # noqa: S108 - open to all
            parent.chmod(0o755)
    component, arrived = tail(path)
    os.seteuid(65534)
    try:
        with running(component):
            wait_for(lambda: component.error.message_count == 1)
            os.seteuid(0)
            path.chmod(0o644)
            wait_for(lambda: arrived.messages == [b"secret"])
    finally:
        os.seteuid(0)
    assert [report["exception"] for report in component.error.messages] == [
        f"cannot read {path}: Permission denied; it is tried again"
    ]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "named pipe"])
def test_not_a_file(tmp_path: Path, make: Any) -> None:
    """A directory or a pipe cannot be followed, and is not waited for."""
    make(tmp_path / "log")
    component, _ = tail(tmp_path / "log")
    with pytest.raises(OpenError, match=r"cannot follow .*(Is a directory|not a regular file)"):
        component.open()


def test_impossible_name() -> None:
    """A name that no file can have is an OpenError too."""
    with pytest.raises(OpenError, match="embedded null"):
        FileTailInput(filename="a\0b").open()


def test_batches_are_bounded(tmp_path: Path) -> None:
    """A large file is passed on in batches, all of it, in order."""
    path = tmp_path / "log"
    lines = [b"line %d" % n for n in range(30_000)]
    path.write_bytes(b"\n".join([*lines, b""]))
    component, _ = tail(path)
    kept = Kept()
    component.connect_to(kept)
    with running(component):
        wait_for(lambda: len(kept.messages) == len(lines))
    assert kept.messages == lines
    assert max(map(len, kept.batches)) == READ_BATCH


def test_options() -> None:
    """A name is needed, and only the two ways to start exist."""
    with pytest.raises(OptionError, match="needs the option 'filename'"):
        FileTailInput()  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="must be 'end' or 'beginning'"):
        FileTailInput(filename="x", start="middle")  # type: ignore[arg-type]


MARKED = {
    "utf-8": b"\xef\xbb\xbf",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}
TEXT = "Grüße\r\n\u0a0a \U0001f600\n"  # U+0A0A is two bytes that look like newlines


@pytest.mark.parametrize("name", MARKED)
@pytest.mark.parametrize("raw", [False, True])
def test_byte_order_mark(tmp_path: Path, name: str, *, raw: bool) -> None:
    """The mark at a file's beginning says its encoding, however it is cut, and is no part of the first line."""
    path = tmp_path / "log"
    path.touch()
    component, arrived = tail(path, raw=raw)
    data = MARKED[name] + (TEXT + "end\n").encode(name)
    with running(component):
        for n in range(len(data)):
            append(path, data[n : n + 1])
            component_read = functools.partial(lambda most: followed(component)._position >= most, n + 1)
            if n < 6:
                wait_for(component_read)
        wait_for(lambda: arrived.message_count == 3)
    expected = ["Grüße", "\u0a0a \U0001f600", "end"]
    found = [one.decode() if raw else one["message"] for one in arrived.messages]
    assert found == expected
    assert component.error.messages == []


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-16", b"\xfe\xff"),
        ("UTF_16", b""),
        ("utf-16-be", b""),
        ("utf-32", b""),
        ("latin-1", b""),
        ("cp1252", b""),
    ],
)
def test_encoding(tmp_path: Path, encoding: str, mark: bytes) -> None:
    """A file in a given encoding is text, from its end too, and after it was emptied."""
    as_written = {"utf-16": "utf-16-be", "UTF_16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)
    path = tmp_path / "log"
    path.write_bytes(mark + "Größe\n".encode(as_written) + "h".encode(as_written)[:1])
    component, arrived = tail(path, raw=False, start="end", encoding=encoding)
    with running(component):
        append(path, "häh?\nüber\n".encode(as_written)[len("h".encode(as_written)[:1]) :])
        wait_for(lambda: [one["message"] for one in arrived.messages][-1:] == ["über"])
        path.write_bytes(b"")
        wait_for(lambda: followed(component)._position == 0)
        append(path, mark + "ä\n".encode(as_written))
        wait_for(lambda: arrived.messages[-1]["message"] == "ä")
    texts = [one["message"] for one in arrived.messages]
    assert texts[:2] in (["häh?", "über"], ["äh?", "über"])  # one byte wide, its first was there before


@pytest.mark.parametrize(
    "encoding",
    ["utf8x", "rot13", "rot12", "base64", "hex", "zlib", "uu", "mbcs", "oem", "idna", "utf-7", "a\0b", "-"],
)
def test_encoding_that_is_none(encoding: str) -> None:
    """A name that is no encoding of files is refused in words, with the nearest one where there is one."""
    with pytest.raises(
        OptionError, match=r"FileTail input: option 'encoding': (there is no|no file is)"
    ) as caught:
        FileTailInput(filename="x", encoding=encoding)
    assert encoding != "utf8x" or "did you mean 'utf" in str(caught.value)
    assert f"did you mean '{encoding}'" not in str(caught.value)
    assert "did you mean 'rot" not in str(caught.value)


def test_other_encoding_is_not_silent(tmp_path: Path) -> None:
    """UTF-16 without a mark, and a mark against the option, are read as told, and reported once."""
    path = tmp_path / "log"
    path.write_bytes("eins\nzwei\n".encode("utf-16-le"))
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: arrived.message_count == 2)
        append(path, "drei\n".encode("utf-16-le"))
        wait_for(lambda: arrived.message_count == 3)
    (report,) = component.error.messages
    assert (
        report["exception"] == f"{path} looks like utf-16-le, and is read as utf-8: give `encoding` its name"
    )
    path.write_bytes(b"\xff\xfee\0\n\0")
    component, arrived = tail(path, encoding="latin-1")
    with running(component):
        wait_for(lambda: arrived.message_count == 1)
    (report,) = component.error.messages
    assert "byte-order mark of utf-16-le, and is read as iso8859-1" in report["exception"]


def test_bytes_that_are_not_of_the_encoding(tmp_path: Path) -> None:
    """They are spelt out, and half a character at the stop is too."""
    path = tmp_path / "log"
    path.write_bytes("a\n".encode("utf-16-le") + b"\x00\xdc\n\0" + b"b\0c")
    component, arrived = tail(path, raw=False, encoding="utf-16-le")
    with running(component):
        wait_for(lambda: arrived.message_count == 2)
    assert [one["message"] for one in arrived.messages] == ["a", "\\x00\\xdc", "b\\x63"]


def test_long_line_is_cut(tmp_path: Path) -> None:
    """It is cut at `max_line` bytes, between characters, marked and reported; its neighbours are whole."""
    path = tmp_path / "log"
    path.write_bytes(b"before\n" + b"x" * 19 + "ü".encode() * 100_000 + b"\n" + b"0" * 20 + b"\nafter\n")
    component, arrived = tail(path, raw=False, max_line=20)
    with running(component):
        wait_for(lambda: arrived.message_count == 4)
        append(path, b"y" * 30)
        wait_for(lambda: arrived.message_count == 5)
        append(path, b"z" * 30 + b"\nlast\n")
        wait_for(lambda: arrived.message_count == 6)
    assert [one["message"] for one in arrived.messages] == [
        "before",
        "x" * 19,
        "0" * 20,
        "after",
        "y" * 20,
        "last",
    ]
    assert [one.get("truncated") for one in arrived.messages] == [None, True, None, None, True, None]
    assert [report["exception"] for report in component.error.messages] == [
        f"{path}: a line of more than 20 bytes (max_line) is cut there, and marked `truncated`"
    ] * 2
    assert component.snapshot()["passed"] == component.snapshot()["received"] == 6


@pytest.mark.parametrize("start", ["beginning", "end"])
@pytest.mark.parametrize("old", [b"old 1\nold 2\n", b"x" * 300 + b"\n", b"old 1\nhalf"])
def test_emptied_and_grown_beyond_between_two_looks(tmp_path: Path, old: bytes, start: str) -> None:
    """As by copytruncate: it is read from its beginning, where it would have gone on amid a line."""
    path = tmp_path / "log"
    path.write_bytes(old)
    component, arrived = tail(path, start=start)
    with component:
        while followed(component).look():
            pass
        path.write_bytes(b"brand new %d\n" % 1 + b"y" * 400 + b"\nlast\n")  # the same inode
        followed(component).look()
        followed(component).look()
        component.stopped()
    assert arrived.messages[-3:] == [b"brand new 1", b"y" * 400, b"last"]


def test_what_is_behind_a_hole_goes_on(tmp_path: Path) -> None:
    """A program without O_APPEND goes on at its offset in a file that was emptied: no hole becomes a line."""
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"before\n")
        component, arrived = tail(path)
        with component:
            followed(component).look()
            os.truncate(path, 0)
            writer.write(b"after\n")
            followed(component).look()
            component.stopped()
    assert arrived.messages == [b"before", b"after"]


def test_many_chunks_are_read_once(tmp_path: Path) -> None:
    """Comparing what has been read leaves nothing out and repeats nothing."""
    path = tmp_path / "log"
    lines = [b"%d" % number for number in range(200_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    component, arrived = tail(path)
    with running(component):
        wait_for(lambda: arrived.message_count == len(lines))
        append(path, b"one more\n")
        wait_for(lambda: arrived.message_count == len(lines) + 1)
    assert arrived.messages == [*lines, b"one more"]


class Stale:
    """A system whose reads of a file fail for a while, as those of a file that NFS has lost do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.failing = False
        self.number = number
        real = os.pread

        def read(fd: int, count: int, at: int) -> bytes:
            if self.failing and count > 100_000:
                raise OSError(self.number, os.strerror(self.number))
            return real(fd, count, at)

        monkeypatch.setattr(os, "pread", read)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN])
def test_stale_file_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The name is opened again: the same file goes on where it was, and of another one it is said what is missing."""
    path = tmp_path / "log"
    path.write_bytes(b"1\nhal")
    component, arrived = tail(path)
    stale = Stale(monkeypatch, number)
    with running(component):
        wait_for(lambda: followed(component)._partial == b"hal")
        stale.failing = True
        wait_for(lambda: component.error.message_count == 1)
        append(path, b"f\n2\n")
        stale.failing = False
        wait_for(lambda: arrived.messages == [b"1", b"half", b"2"])
        stale.failing = True
        wait_for(lambda: component.error.message_count == 2)
        path.unlink()
        path.write_bytes(b"3\n")
        stale.failing = False
        wait_for(lambda: arrived.messages[-1] == b"3")
    assert arrived.messages == [b"1", b"half", b"2", b"3"]
    trouble = f"cannot read {path}: {os.strerror(number)}; it is tried again"
    missing = f"{path}: the file that was read up to byte 9 is not there any more: "
    missing += "what it had beyond that was not read"
    assert [report["exception"] for report in component.error.messages] == [trouble, trouble, missing]


def test_a_stop_reads_the_line_that_a_chunk_has_cut(tmp_path: Path) -> None:
    """Whatever was read last, a message is a line of the file."""
    path = tmp_path / "log"
    lines = [b"line %d" % n for n in range(100_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    component, arrived = tail(path)
    component.open()
    followed(component).look()
    assert followed(component)._partial
    component.stopped()
    assert arrived.messages == lines[: len(arrived.messages)]
    assert followed(component)._position == sum(len(line) + 1 for line in arrived.messages)
    component.close()
