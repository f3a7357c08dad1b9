"""Files named by fields and time of the message: where they lie, how many are open, and whose they are."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from message_passing.cli.chain_probe import try_ends
from message_passing.codecs.json import JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesEncoder
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OpenError, OptionError
from message_passing.inputs.null import NullInput
from message_passing.outputs import file as file_output
from message_passing.outputs._naming import name_part
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput, wait_for
from nodes import node

HOSTILE = {
    "..": "%2E.",
    ".": "%2E",
    "": "_",
    None: "_",
    "/etc/passwd": "%2Fetc%2Fpasswd",
    "../../x": "%2E.%2F..%2Fx",
    "a\0b": "a%00b",
    "a\nb\x1b[0m": "a%0Ab%1B[0m",
    "a\u202eb": "a%E2%80%AEb",
    "\ud800": "%ED%A0%80",
    "-rf": "%2Drf",
    "~root": "%7Eroot",
    "100%": "100%25",
    "C:\\x": "C:%5Cx",
    "naïve host": "naïve host",
    17: "17",
}


def chain(path: Path | str, **given_: Any) -> tuple[JSONEncoder, FileOutput]:
    """An encoder and the output, with an error chain to look at."""
    output = FileOutput(filename=str(path), error=TestOutput(), **given_)
    return JSONEncoder(output_to=output), output


def descriptors() -> int:
    """How many this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])


def lines(told: list[Any]) -> bytes:
    """Messages as STDIN gets them."""
    return b"".join([json.dumps(one).encode() + b"\n" for one in told])


def test_as_typed_on_the_command_line(tmp_path: Path) -> None:
    """Each message is in the file of its host and day; without a time of its own, in today's."""
    told = [
        {"host": "a", "time": "2024-02-03T23:30:00-02:00"},
        {"host": "a", "@timestamp": 1706918400},
        {"n": 1},
    ]
    options = json.dumps({"filename": "logs/{host}/{time:%Y-%m-%d}.log"})
    words = ["--input", "STDIN", "--output", "File", "--output_options", options]
    with node(*words, cwd=tmp_path) as running:
        running.write(lines(told))
        status, _, errors = running.end()
    assert (status, errors) == (0, b"")
    assert json.loads((tmp_path / "logs/a/2024-02-04.log").read_text()) == told[0]
    assert json.loads((tmp_path / "logs/a/2024-02-03.log").read_text()) == told[1]
    assert [json.loads(one.read_text()) for one in (tmp_path / "logs/_").iterdir()] == [told[2]]


@pytest.mark.parametrize(("value", "part"), HOSTILE.items())
def test_what_stands_for_a_hostile_value(value: Any, part: str, tmp_path: Path) -> None:
    """It is one name in the directory where it belongs, whatever it holds."""
    encoder, output = chain(tmp_path / "logs/{who}/x")
    with output:
        encoder.consume({"who": value} if value != "\ud800" else {"who": value, "message": ""})
    if value != "\ud800":  # which JSON cannot hold: the message fails, and no file is made for it
        assert [one.name for one in (tmp_path / "logs").iterdir()] == [part]
    assert [one.name for one in tmp_path.iterdir()] == ["logs"]
    assert name_part(value if isinstance(value, str) else str(value or ""), 100) == part


@given(
    st.lists(st.text(st.characters(), max_size=40), min_size=2, max_size=2, unique=True), st.integers(24, 60)
)
@settings(max_examples=300, deadline=None)
def test_every_value_has_a_name_of_its_own(values: list[str], longest: int) -> None:
    """It is no longer than allowed, leads nowhere, can be printed, and no other value has it."""
    parts = [name_part(one, longest) for one in values]
    for part in parts:
        assert part not in ("", ".", "..")
        assert "/" not in part
        assert part.isprintable()
        assert len(part.encode()) <= longest
    assert parts[0] != parts[1] or "_" in parts


def test_long_values(tmp_path: Path) -> None:
    """They are abbreviated, all of a name together, and those that begin alike have files of their own."""
    encoder, output = chain(tmp_path / "{a}{b}{c}.log")
    with output:
        encoder.consume_many([{"a": "é" * 5000 + end, "b": "/" * 500, "c": "x" * 10**6} for end in "yz"])
        assert output.snapshot()["passed"] == 2
    assert len([*tmp_path.iterdir()]) == 2
    assert output.error.messages == []


def test_a_name_without_an_encoder_before_it(tmp_path: Path) -> None:
    """Text has no fields, and a time: now."""
    output = FileOutput(filename=str(tmp_path / "{host}-{time:%Y}.log"), error=TestOutput())
    with output:
        output.consume_many([b"one", "two"])
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("_-20")
    assert file.read_bytes() == b"one\ntwo\n"


def test_braces_that_are_meant(tmp_path: Path) -> None:
    """Doubled, they are part of a single name, which gets what comes as it comes."""
    with FileOutput(filename=str(tmp_path / "{{a}}")) as output:
        assert not output.takes_objects
        output.consume(b"x")
    assert (tmp_path / "{a}").read_bytes() == b"x\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"filename": "a{b"},
            "filename: '{' has no counterpart: write it twice for a single one at column 2",
        ),
        ({"filename": "a{}"}, "filename: there is no field's name in {} at column 2"),
        ({"filename": "{time:YYYY}"}, "{time:YYYY} is no form of the time"),
        ({"filename": "{time:}"}, "{time:} is no form of the time"),
        ({"filename": "{a}", "append": False}, "`append` cannot be false"),
        ({"filename": "a", "owner": "rooot"}, "there is no user 'rooot' (did you mean 'root'?)"),
        ({"filename": "a", "owner": ":nosuch"}, "there is no group 'nosuch'"),
        ({"filename": "a", "mode": "rw"}, "mode"),
        ({"filename": "a", "open_files": 0}, "open_files"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], text: str) -> None:
    """They are said when the chain is made."""
    with pytest.raises(OptionError) as caught:
        FileOutput(**options)
    assert text in str(caught.value)


@pytest.mark.parametrize("fsync", ["never", "batch"])
def test_no_more_files_are_open_than_allowed(fsync: str, tmp_path: Path) -> None:
    """The least recently used is closed, and opened again for its next message, in its order; nothing is lost."""
    encoder, output = chain(tmp_path / "{n}", open_files=3, fsync=fsync)
    settled: list[Outcome] = []
    before = descriptors()
    with output:
        for turn in range(4):
            with Delivery(settled.append, NullInput()):
                encoder.consume_many([{"n": n, "turn": turn} for n in range(10)])
            assert descriptors() - before <= (3 if fsync == "never" else 3 + 3 + 1), "and a directory to sync"
        assert output.info()["open_files"] == 3
        assert output.info()["closed_for_others"] == 37
        encoder.consume({"n": 9})
        assert output.info()["closed_for_others"] == 37, "it was still open"
    assert settled == [Outcome.DELIVERED] * 4 or wait_for(lambda: len(settled) == 4)
    for n in range(9):
        assert [json.loads(one)["turn"] for one in (tmp_path / str(n)).read_text().splitlines()] == [
            0,
            1,
            2,
            3,
        ]
    assert descriptors() == before


def test_a_disk_that_syncs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than twice as many files are open: messages for others fail, which is said, and may come again."""
    moves = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: moves.wait(20))
    monkeypatch.setattr(file_output, "SYNC_AT_END", 0.05)
    encoder, output = chain(tmp_path / "{n}", fsync="batch", open_files=2)
    settled: list[Outcome] = []
    with output:
        for n in range(6):
            with Delivery(settled.append, NullInput()):
                encoder.consume({"n": n})
        assert settled == [Outcome.LOST] * 2
        moves.set()
        wait_for(lambda: len(settled) == 6)
    assert settled[2:] == [Outcome.DELIVERED] * 4
    assert "the disk is too slow to sync and close others" in output.error.messages[0]["exception"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["0", "1", "2", "3"]


def test_a_file_that_could_not_be_synced_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written to it has failed, what was written to others has not, and the next messages arrive."""
    real, fails = os.fdatasync, True

    def fdatasync(fd: int) -> None:
        if fails and Path(f"/proc/self/fd/{fd}").readlink().name == "bad":
            raise OSError(errno.EIO, "broken")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    encoder, output = chain(tmp_path / "{n}", fsync="batch")
    settled: list[Outcome] = []
    with output:
        for name in ("bad", "good"):
            with Delivery(settled.append, NullInput()):
                encoder.consume({"n": name})
        wait_for(lambda: len(settled) == 2)
        assert {*settled} == {Outcome.LOST, Outcome.DELIVERED}
        assert f"{tmp_path}/bad" in output.error.messages[0]["exception"]
        fails = False
        with Delivery(settled.append, NullInput()):
            encoder.consume({"n": "bad"})
        wait_for(lambda: len(settled) == 3)
        assert settled[2] is Outcome.DELIVERED


def test_a_torn_line_in_each_file(tmp_path: Path) -> None:
    """What a killed process has left is ended first, in whichever file it is."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"torn")
    encoder, output = chain(tmp_path / "{n}", open_files=1)
    with output:
        encoder.consume_many([{"n": "a"}, {"n": "b"}, {"n": "a"}])
    assert (tmp_path / "a").read_bytes() == b'torn\n{"n":"a"}\n{"n":"a"}\n'
    assert (tmp_path / "b").read_bytes() == b'torn\n{"n":"b"}\n'


def test_reopening(tmp_path: Path) -> None:
    """Each file is opened by its name again, as a single one is."""
    encoder, output = chain(tmp_path / "{n}")
    with output:
        encoder.consume_many([{"n": "a"}, {"n": "b"}])
        for name in "ab":
            (tmp_path / name).rename(tmp_path / f"{name}.1")
        output.reopen()
        encoder.consume_many([{"n": "b"}, {"n": "a"}])
    assert {one.name: len(one.read_bytes().splitlines()) for one in tmp_path.iterdir()} == {
        "a": 1,
        "a.1": 1,
        "b": 1,
        "b.1": 1,
    }


def test_one_that_cannot_be_written_costs_no_other(tmp_path: Path) -> None:
    """Its messages fail with its name, and are dead letters with the rest of their batch unharmed."""
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "full").symlink_to("/dev/full")
    encoder, output = chain(tmp_path / "{n}", dead_letters=True)
    with output:
        encoder.consume_many([{"n": name} for name in ("dir", "good", "pipe", "full", "good")])
        assert output.snapshot()["failed"] == 3
    assert (tmp_path / "good").read_bytes() == b'{"n":"good"}\n' * 2
    said = " ".join(str(one) for one in output.error.messages)
    for text in ("Is a directory", "a named pipe: a name with fields in it needs regular files", "a device"):
        assert text in said


def test_too_few_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process has no more of them, the other files are closed before a message fails."""
    encoder, output = chain(tmp_path / "{n}")
    real = os.open

    def short(path: Any, flags: int, *rest: Any, **given_: Any) -> int:
        if flags & os.O_CREAT and output.info()["open_files"] >= 4:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, *rest, **given_)

    monkeypatch.setattr(os, "open", short)
    with output:
        encoder.consume_many([{"n": n} for n in range(20)])
        assert output.snapshot()["passed"] == 20
    assert output.error.messages == []


def test_directories(tmp_path: Path) -> None:
    """They are made for names with fields, and for others if that is asked for."""
    with pytest.raises(OpenError, match="No such file or directory"):
        FileOutput(filename=str(tmp_path / "a/b/c")).open()
    with FileOutput(filename=str(tmp_path / "a/b/c"), make_directories=True) as output:
        output.consume(b"x")
    assert (tmp_path / "a/b/c").read_bytes() == b"x\n"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OpenError, match="cannot make the directory"):
        FileOutput(filename=str(tmp_path / "file/{n}/x")).open()


def test_mode_and_owner(tmp_path: Path) -> None:
    """A file is given them when it is opened, also one that exists; who may not give it away is told."""
    path = tmp_path / "out"
    path.write_bytes(b"")
    is_root = os.geteuid() == 0
    uid, gid = (54321, 54322) if is_root else (os.geteuid(), os.getegid())
    with FileOutput(filename=str(path), mode="0604", owner=f"{uid}:{gid}") as output:
        output.consume(b"x")
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o604, uid, gid)
    if not is_root:
        with pytest.raises(OpenError, match="not permitted"):
            FileOutput(filename=str(path), owner="root").open()


@pytest.mark.skipif(os.geteuid() != 0, reason="what root may do, others may not")
def test_root_makes_no_directory_through_the_link_of_another(tmp_path: Path) -> None:
    """Who may write to the directory cannot make root write elsewhere."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "logs/a"
    link.symlink_to(tmp_path / "elsewhere")
    os.chown(link, 54321, 54321, follow_symlinks=False)
    encoder, output = chain(tmp_path / "logs/{n}/{m}/x")
    with output:
        encoder.consume({"n": "a", "m": "b"})
        assert output.snapshot()["failed"] == 1
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_killed_and_started_again(tmp_path: Path) -> None:
    """A process that is killed has written what it took, and the next goes on in the same files."""
    words = ["--input", "STDIN", "--output", "File", "--output_options", '{"filename":"{n}.log"}']
    for turn in range(2):
        with node(*words, cwd=tmp_path) as running:
            running.write(lines([{"n": n, "turn": turn} for n in "ab"]))
            for name in "ab":
                path = tmp_path / f"{name}.log"
                wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == turn + 1)  # noqa: B023
            running.signal(signal.SIGKILL)


def test_frames_of_lines(tmp_path: Path) -> None:
    """An encoder that packs several messages into one packs those of a file, and each is counted."""
    output = FileOutput(filename=str(tmp_path / "{n}"), error=TestOutput())
    with JSONLinesEncoder(output_to=output) as encoder:
        encoder.consume_many([{"n": n} for n in "aba"])
        assert output.snapshot()["passed"] == 3
    assert (tmp_path / "a").read_bytes() == b'{"n":"a"}\n{"n":"a"}\n'
    assert (tmp_path / "b").read_bytes() == b'{"n":"b"}\n'


def test_each_sender_in_a_batch_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch costs one write for each file, however many messages it has."""
    real, sizes = os.write, []

    def write(fd: int, data: memoryview) -> int:
        sizes.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    encoder, output = chain(tmp_path / "{n}")
    with output:
        encoder.consume_many([{"n": n % 3} for n in range(999)])
    assert sizes == [8 * 333] * 3


def test_check_tries_the_directory(tmp_path: Path) -> None:
    """`check --connect` says whether files can be made, and makes none."""
    file = FileOutput(filename=str(tmp_path / "logs/{n}/x"))
    assert [one.right for one in try_ends([file], 1)] == [True]
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "logs").write_bytes(b"")
    assert [one.right for one in try_ends([file], 1)] == [False]
