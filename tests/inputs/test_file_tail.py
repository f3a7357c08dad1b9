"""Following real files while they grow, move, shrink and disappear."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.inputs._reading import BATCH
from message_passing.inputs.file_tail import FileTailInput
from message_passing.testing import TestOutput, capture, running, wait_for
from support import Kept

FAST = 0.01


def tail(path: Path, **given: Any) -> tuple[FileTailInput, TestOutput]:
    """A raw, fast tail from the beginning unless told otherwise, and what it emits."""
    given = {"raw": True, "start": "beginning", "interval": FAST, "error": TestOutput(), **given}
    component = FileTailInput(filename=str(path), **given)
    return component, capture(component)


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
        wait_for(lambda: component._partial == b"tw")
        assert arrived.messages == [b"one"]
        append(path, b"o\nthree")
        wait_for(lambda: arrived.messages == [b"one", b"two"])
        wait_for(lambda: component._partial == b"three")
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
        wait_for(lambda: component._partial == b"half")
        os.truncate(path, 0)
        wait_for(lambda: arrived.messages == [b"a long first line", b"half"])
        append(path, b"new\n")
        wait_for(lambda: arrived.messages[-1] == b"new")


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there yet is reported once, waited for, and read whole when it appears."""
    path = tmp_path / "sub" / "log"
    component, arrived = tail(path, start="end")
    real_look = component._look
    looks = []

    def look() -> bool:
        looks.append(time.monotonic())
        return real_look()

    monkeypatch.setattr(component, "_look", look)
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
    assert max(map(len, kept.batches)) == BATCH


def test_options() -> None:
    """A name is needed, and only the two ways to start exist."""
    with pytest.raises(OptionError, match="needs the option 'filename'"):
        FileTailInput()  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="must be 'end' or 'beginning'"):
        FileTailInput(filename="x", start="middle")  # type: ignore[arg-type]
