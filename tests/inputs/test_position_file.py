"""A position that outlives its run: nothing is left out, whatever becomes of the reader and of the file meanwhile."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import MessageError, OpenError, OptionError
from message_passing.flow import Output
from message_passing.inputs import _ordered
from message_passing.inputs._followed import line_end
from message_passing.inputs.file_tail import FileTailInput
from message_passing.inputs.null import NullInput
from message_passing.testing import TestOutput, free_port, running, wait_for
from nodes import beside_connecting, lines, node, part
from support import until

if TYPE_CHECKING:
    from message_passing.delivery import Hold

FAST = 0.01


class Keeper(Output):
    """Keeps what comes, and settles it when it is told to; loses, rejects or takes it."""

    def on_init(self) -> None:
        """It takes everything."""
        self.kept: list[Any] = []
        self.loses = self.rejects = self.holds = False
        self.waiting: list[Hold] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep them, or not."""
        if self.loses:
            self.drop(messages, "test")
            return
        self.kept += messages
        if self.rejects:
            self.fail(MessageError("test"), messages)
        if self.holds:
            self.waiting.append(self.hold())

    def release(self) -> None:
        """Settle what waits."""
        while self.waiting:
            self.waiting.pop().release()


def tail(path: Path, **given: Any) -> tuple[FileTailInput, Keeper]:
    """A raw, fast tail with a position file beside what it follows, and what it delivers to."""
    keeper = Keeper(error=TestOutput())
    options = {"raw": True, "start": "beginning", "interval": FAST, "position_file": f"{path}.pos", **given}
    return FileTailInput(filename=str(path), error=TestOutput(), output_to=keeper, **options), keeper


def append(path: Path, *texts: str) -> None:
    """Add lines."""
    with path.open("a") as file:
        file.write("".join(f"{text}\n" for text in texts))


def saved(path: Path) -> int:
    """The position that a new run would begin at; -1 if there is none."""
    place = Path(f"{path}.pos")
    return int(json.loads(place.read_bytes())["place"]["position"]) if place.exists() else -1


def read_once(path: Path, *expected: bytes, **given: Any) -> list[str]:
    """A run that reads exactly this; what it reported."""
    component, keeper = tail(path, **given)
    with running(component):
        wait_for(lambda: len(keeper.kept) >= len(expected))
    assert keeper.kept == list(expected)
    return [report["exception"] for report in component.error.messages]


def test_a_new_run_goes_on(tmp_path: Path) -> None:
    """What was settled is not read again, an unfinished line is left for later, and `start` counts once."""
    path = tmp_path / "log"
    append(path, "old")
    component, keeper = tail(path, start="end")
    with running(component):
        wait_for(lambda: saved(path) == 4)
        append(path, "one")
        with path.open("a") as file:
            file.write("unfinished")
        wait_for(lambda: keeper.kept == [b"one"])
    assert saved(path) == 8
    append(path, " no more", "two")
    assert read_once(path, b"unfinished no more", b"two", start="end") == []
    assert component.acknowledges


def test_the_position_waits_for_the_outcome(tmp_path: Path) -> None:
    """It moves in order, when all before is settled: not before, and not past what is still kept."""
    path = tmp_path / "log"
    append(path, "one")
    component, keeper = tail(path)
    keeper.holds = True
    with running(component):
        wait_for(lambda: keeper.waiting)
        append(path, "two")
        wait_for(lambda: len(keeper.waiting) == 2)
        last = keeper.waiting.pop()
        last.release()
        assert component.info()["position"] == 0
        assert component.info()["unsettled"] == 2
        keeper.release()
        wait_for(lambda: saved(path) == 8)
        append(path, "three")
        wait_for(lambda: keeper.waiting)
    assert saved(path) == 8
    read_once(path, b"three")


def test_what_is_lost_is_delivered_again(tmp_path: Path) -> None:
    """Until it has worked, nothing more is read, and the position stays; what is rejected is done with."""
    path = tmp_path / "log"
    append(path, "one", "two")
    component, keeper = tail(path)
    keeper.loses = True
    with running(component):
        wait_for(component.problems)
        append(path, "three")
        wait_for(lambda: component.info()["redelivered"] >= 1)
        assert keeper.metrics.dropped["test"] % 2 == 0
        assert saved(path) <= 0
        keeper.loses, keeper.rejects = False, True
        wait_for(lambda: keeper.kept == [b"one", b"two", b"three"])
        wait_for(lambda: saved(path) == 14)
        assert component.problems() == []


def test_what_is_lost_is_read_again_by_the_next_run(tmp_path: Path) -> None:
    """A stop does not wait until the chain takes it."""
    path = tmp_path / "log"
    append(path, "one")
    component, keeper = tail(path)
    keeper.loses = True
    with running(component):
        wait_for(component.problems)
    read_once(path, b"one")


def test_lost_objects_are_made_anew(tmp_path: Path) -> None:
    """A filter may have changed the message that was lost; the mark of a cut line is made again, too."""
    path = tmp_path / "log"
    append(path, "x" * 20)
    component, keeper = tail(path, raw=False, max_line=10)
    keeper.loses = True
    with running(component):
        wait_for(component.problems)
        keeper.loses = False
        wait_for(lambda: keeper.kept)
    assert [(one["message"], one["truncated"]) for one in keeper.kept] == [("x" * 10, True)]


def test_so_much_is_unsettled_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the bound of lines, and at that of bytes, until something is settled."""
    path = tmp_path / "log"
    monkeypatch.setattr(_ordered, "MOST_UNSETTLED", 3000)
    append(path, *map(str, range(10_000)))
    component, keeper = tail(path)
    keeper.holds = True
    with running(component):
        wait_for(lambda: len(keeper.waiting) == 3)
        monkeypatch.setattr(_ordered, "MOST_UNSETTLED", 100_000)
        monkeypatch.setattr(_ordered, "MOST_BYTES", 6 * 5000)
        keeper.waiting.pop(0).release()
        wait_for(lambda: len(keeper.kept) >= 6000)
        assert component.info()["unsettled"] <= 8000
        monkeypatch.undo()
        keeper.holds = False
        keeper.release()
        wait_for(lambda: len(keeper.kept) == 10_000)


def test_few_lines_at_a_time_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a filter which counts for a minute does not hold up what trickles in; each batch takes memory, too."""
    monkeypatch.setattr(_ordered, "MOST_BYTES", 1000 * 2048)
    keeper = Keeper()
    keeper.holds = True
    deliveries = _ordered.OrderedDeliveries(NullInput(output_to=keeper), list)

    async def trickle() -> None:
        for number in range(2000):
            await deliveries.deliver([b"%d" % number])

    async def run() -> None:
        reading = asyncio.create_task(trickle())
        await until(lambda: deliveries.unsettled() > 990)
        for _ in range(50):
            await asyncio.sleep(0)
        assert deliveries.unsettled() <= 1000
        keeper.holds = False
        keeper.release()
        await reading

    asyncio.run(run())
    assert deliveries.unsettled() == 0


@pytest.mark.parametrize("names", [["log.1"], ["log-20261126"], ["elsewhere"], ["log.2", "log.1"]])
def test_renamed_while_nobody_ran(names: list[str], tmp_path: Path) -> None:
    """Its rest is read, under whatever name it has in the folder, then what was rotated after it, then the new."""
    path = tmp_path / "log"
    append(path, "one")
    read_once(path, b"one")
    expected = []
    append(path, "rest")
    path.rename(tmp_path / names[0])
    for name in names[1:]:
        append(path, name)
        path.rename(tmp_path / name)
        expected.append(name.encode())
    append(path, "new")
    assert read_once(path, b"rest", *expected, b"new") == []
    append(path, "newer")
    read_once(path, b"newer")


def test_rotated_twice_between_two_looks(tmp_path: Path) -> None:
    """The file in the middle, which never had the name when somebody looked, is read in its turn."""
    path = tmp_path / "log"
    append(path, "one")
    component, keeper = tail(path, interval=0.3)
    with running(component):
        wait_for(lambda: keeper.kept == [b"one"])
        path.rename(tmp_path / "log.2")
        append(path, "two")
        path.rename(tmp_path / "log.1")
        append(path, "three")
        wait_for(lambda: len(keeper.kept) == 3)
    assert keeper.kept == [b"one", b"two", b"three"]
    read_once(path)


def test_what_is_no_rotated_file_is_not_read(tmp_path: Path) -> None:
    """Neither a compressed file, nor a link, a backup, or the position itself, however new they are."""
    path = tmp_path / "log"
    append(path, "one")
    read_once(path, b"one")
    path.rename(tmp_path / "log.1")
    append(path, "two")
    for name in ("log.1.gz", "log.bak", "log.2.swp", "logs.1"):
        append(tmp_path / name, "not this")
    (tmp_path / "log.3").symlink_to(__file__)
    os.mkfifo(tmp_path / "log.4")
    assert read_once(path, b"two") == []


@pytest.mark.parametrize("running_then", [True, False])
def test_copied_and_emptied(running_then: bool, tmp_path: Path) -> None:
    """`copytruncate`: what was not read yet is read from the copy."""
    path = tmp_path / "log"
    append(path, "one")
    component, keeper = tail(path, interval=0.3)
    with running(component):
        wait_for(lambda: saved(path) == 4)
        if running_then:
            append(path, "rest")
            (tmp_path / "log.1").write_bytes(path.read_bytes())
            os.truncate(path, 0)
            append(path, "new")
            wait_for(lambda: len(keeper.kept) == 3)
    if not running_then:
        append(path, "rest")
        (tmp_path / "log.1").write_bytes(path.read_bytes())
        os.truncate(path, 0)
        append(path, "new")
        read_once(path, b"rest", b"new")
    else:
        assert keeper.kept == [b"one", b"rest", b"new"]
        read_once(path)


def test_emptied_without_a_copy(tmp_path: Path) -> None:
    """It is read from its beginning, also if it is longer than before; that something may be missing is reported."""
    path = tmp_path / "log"
    append(path, "one")
    read_once(path, b"one")
    path.write_text("quite another text\n")
    (told,) = read_once(path, b"quite another text")
    assert "up to byte 4 is not there any more: what it had beyond that was not read" in told


def test_gone(tmp_path: Path) -> None:
    """That the file was removed is reported once there is another; and a folder that comes late is waited for."""
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    position = str(tmp_path / "pos")
    append(path, "one")
    read_once(path, b"one", position_file=position)
    away = path.parent.rename(tmp_path / "away")
    append(away / "log", "two")
    component, keeper = tail(path, position_file=position)
    with running(component):
        wait_for(lambda: component.error.messages)
        away.rename(path.parent)
        wait_for(lambda: keeper.kept == [b"two"])
    path.unlink()
    append(path, "three")
    (told,) = read_once(path, b"three", position_file=position)
    assert "is not there any more" in told


def test_a_new_file_with_the_number_of_one_that_was_removed(tmp_path: Path) -> None:
    """If nothing was read of that, this is reported, and what was rotated in between is read before the new one."""
    path = tmp_path / "log"
    path.touch()
    read_once(path)
    for number, name in enumerate(("log.2", "log.1", "log"), 1):
        new = tmp_path / name
        new.unlink(missing_ok=True)
        append(new, name)
        os.utime(new, ns=(0, time.time_ns() + number * 1_000_000_000))
    position = Path(f"{path}.pos")
    content = json.loads(position.read_bytes())
    content["place"]["inode"] = path.stat().st_ino
    position.write_text(json.dumps(content))
    (told,) = read_once(path, b"log.2", b"log.1", b"log")
    assert "up to byte 0 is not there any more" in told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "shift_jis"])
def test_other_encodings(encoding: str, tmp_path: Path) -> None:
    """The position is one of the file's bytes, behind a line's end, in any encoding."""
    path = tmp_path / "log"
    text = "\u010a\u0a0a one\n\u0a0d two\n" if encoding.startswith("utf") else "one\ntwo\n"
    path.write_bytes(
        text.encode(encoding) + "thr".encode(encoding.replace("6", "6-le").replace("32", "32-le"))
    )
    expected = [line.encode() for line in text.split("\n")[:2]]
    read_once(path, *expected, encoding=encoding)
    assert saved(path) == len(text.encode(encoding))
    with path.open("ab") as file:
        file.write("ee\n".encode(encoding.replace("6", "6-le").replace("32", "32-le")))
    read_once(path, b"three", encoding=encoding)


def test_line_end() -> None:
    """Only what begins at a multiple of a newline's length is one."""
    assert line_end(b"a\nb", 10, b"\n") == 12
    assert line_end(b"ab", 10, b"\n") == 0
    assert line_end(b"\x00\n\x00\n\x00a", 2, b"\n\x00") == 0
    assert line_end(b"a\x00\n\x00\n\x01", 2, b"\n\x00") == 6


def test_one_position_one_process(tmp_path: Path) -> None:
    """A second input is refused, as is a second process, until the first has ended."""
    path = tmp_path / "log"
    append(path, "one")
    first, _ = tail(path)
    words = part("input", "FileTail", filename=str(path), position_file=f"{path}.pos", raw=True)
    with running(first):
        with pytest.raises(OpenError, match="another input or process uses it"):
            tail(path)[0].open()
        with node(*words, *part("output", "STDOUT")) as second:
            status, _, err = second.end()
        assert status == 2
        assert b"another input or process uses it: give each its own" in err
        assert b"Traceback" not in err
    read_once(path)


@pytest.mark.parametrize("damage", [b"", b"{", b"one\ntwo\n", b'{"version":1,"x":2}', b"\0" * 100])
def test_a_damaged_position_file(damage: bytes, tmp_path: Path) -> None:
    """It is not guessed where to begin: that is refused, with what to do, and the file stays as it is."""
    path = tmp_path / "log"
    append(path, "one")
    position = Path(f"{path}.pos")
    position.write_bytes(damage)
    with pytest.raises(
        OpenError, match=r"is not a position file: .*remove it; reading then begins where `start` says"
    ):
        tail(path)[0].open()
    assert position.read_bytes() == damage


def test_a_position_before_the_beginning_is_refused(tmp_path: Path) -> None:
    """No run has saved that; other lies do not fit the file, which is then read from its beginning."""
    path = tmp_path / "log"
    append(path, "one")
    read_once(path, b"one")
    position = Path(f"{path}.pos")
    position.write_bytes(position.read_bytes().replace(b'"position":4', b'"position":-4'))
    with pytest.raises(OpenError, match="is not a position file: Expected `int` >= 0"):
        tail(path)[0].open()


def test_a_position_file_that_cannot_be(tmp_path: Path) -> None:
    """A folder, a path that leads nowhere, and the followed file itself are refused in plain words."""
    path = tmp_path / "log"
    append(path, "one")
    for position, reason in ((tmp_path, "is a folder"), (tmp_path / "no" / "pos", "No such file")):
        with pytest.raises(OpenError, match=f"the position file .*{reason}"):
            tail(path, position_file=str(position))[0].open()
    with pytest.raises(OptionError, match="'position_file' is the file that is followed"):
        tail(path, position_file=str(path))


def test_a_position_that_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is reported once, reading goes on, and the position is saved when there is room."""
    path = tmp_path / "log"
    append(path, "one")
    full = threading.Event()
    full.set()
    fsync = os.fsync

    def no_room(fd: int) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", no_room)
    component, keeper = tail(path)
    with running(component):
        wait_for(component.problems)
        append(path, "two")
        wait_for(lambda: keeper.kept == [b"one", b"two"])
        assert saved(path) == -1
        full.clear()
        wait_for(lambda: saved(path) == 8)
        wait_for(lambda: not component.problems())
    (told,) = component.error.messages
    assert "No space left on device; it is tried again" in told["exception"]


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size if path.exists() else 0


WRITER = """
import os, random, sys, time
path, seed, count, names = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), 0
chance = random.Random(seed)
number = 0
while number < count:
    with open(path, "a", buffering=1 << 16) as file:
        for _ in range(chance.randrange(1, 40)):
            for _ in range(chance.randrange(1, 200)):
                file.write('{"n":%d,"text":"%s"}\\n' % (number, "x" * chance.randrange(100)))
                number += 1
            file.flush()
            time.sleep(chance.random() * 0.02)
    names += 1
    for old in range(names - 1, 0, -1):
        if os.path.exists(f"{path}.{old}"):
            os.rename(f"{path}.{old}", f"{path}.{old + 1}")
    os.rename(path, f"{path}.1")
open(path, "a").write('{"n":%d}\\n' % number)
print(number)
"""


def test_killed_twenty_times_while_files_rotate(tmp_path: Path) -> None:
    """From a printed seed, a writer appends and rotates, and the reader is killed: nothing is missing."""
    seed = int.from_bytes(os.urandom(4))
    print("seed:", seed)  # noqa: T201 - shown where it fails
    chance = random.Random(seed)  # noqa: S311 - no secret
    path, out = tmp_path / "log", tmp_path / "out"
    words = [
        *part(
            "input",
            "FileTail",
            filename=str(path),
            raw=True,
            start="beginning",
            interval=FAST,
            position_file=f"{path}.pos",
        ),
        *part("output", "File", filename=str(out)),
    ]
    path.touch()
    with node(*words) as reader:
        wait_for(lambda: saved(path) == 0, timeout=20)
        reader.signal(signal.SIGKILL)
    with node(str(path), str(seed), "60000", command=(sys.executable, "-c", WRITER)) as writer:
        for _ in range(20):
            with node(*words) as reader:
                before = size(out)
                wait_for(lambda: size(out) > before or writer.process.poll() is not None, timeout=20)  # noqa: B023
                time.sleep(chance.random() * 0.1)
                reader.signal(signal.SIGKILL)
        count = int(writer.end(60)[1])
    with node(*words) as reader:
        wait_for(lambda: lines(out)[-1:] == [b'{"n":%d}' % count], timeout=20)
        status, _, err = reader.stop()
    assert (status, beside_connecting(err)) == (0, [])
    found = [json.loads(line)["n"] for line in lines(out) if line[:1] == b"{" and line[-1:] == b"}"]
    missing = sorted(set(range(count + 1)) - set(found))
    assert missing == []
    print("messages:", count + 1, "duplicates:", len(found) - count - 1)  # noqa: T201 - a measurement


def test_the_main_job(tmp_path: Path) -> None:
    """The two commands as a user types them; either side is killed, and every order is in the audit log."""
    receiving = [
        "--input", "ZeroMQ", "--input_options", '{"socket_bind":"tcp://*:PORT","socket_type":"ROUTER"}',
        "--output", "File", "--output_options", '{"filename":"audit.log","fsync":"batch"}',
    ]  # fmt: skip
    sending = [
        "--input", "FileTail", "--input_options",
        '{"filename":"orders.log","raw":true,"start":"beginning","position_file":"orders.pos"}',
        "--output", "ZeroMQ", "--output_options", '{"connect":"tcp://127.0.0.1:PORT","socket_type":"DEALER"}',
    ]  # fmt: skip
    port = str(free_port())
    receiving, sending = ([word.replace("PORT", port) for word in words] for words in (receiving, sending))
    orders, audit = tmp_path / "orders.log", tmp_path / "audit.log"
    append(orders, *map(str, range(3000)))
    with node(*receiving, cwd=tmp_path) as receiver:
        with node(*sending, cwd=tmp_path) as sender:
            wait_for(lambda: len(lines(audit)) >= 1000, timeout=20)
            sender.signal(signal.SIGKILL)
        append(orders, *map(str, range(3000, 6000)))
        orders.rename(tmp_path / "orders.log.1")
        append(orders, *map(str, range(6000, 9000)))
        with node(*sending, cwd=tmp_path) as sender:
            wait_for(lambda: lines(audit)[-1:] == [b"8999"], timeout=20)
            assert sender.stop()[0] == 0
        assert receiver.stop()[0] == 0
    assert {int(line) for line in lines(audit)} == set(range(9000))
