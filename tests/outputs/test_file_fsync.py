"""Files whose messages are settled when they are on the disk: what is synced, when, and what is said of it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.delivery import Delivery, Outcome
from message_passing.errors import OpenError, OptionError
from message_passing.inputs.null import NullInput
from message_passing.outputs import _syncing
from message_passing.outputs import file as file_output
from message_passing.outputs.file import NO_ROOM, NOT_SYNCED, FileOutput
from message_passing.testing import TestOutput, free_port, wait_for
from nodes import lines, node, part
from scenes import accepts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Disk:
    """Stands for fdatasync and fsync: it writes down what was asked of it, fails, or stands still, as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Any] = []
        self.error = 0
        self.moves = threading.Event()
        self.moves.set()
        self._fdatasync, self._fsync = os.fdatasync, os.fsync
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fdatasync(self, fd: int) -> None:
        """Sync a file."""
        self.events.append("begin")
        self.moves.wait(10)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self._fdatasync(fd)
        self.events.append(os.fstat(fd).st_size)

    def fsync(self, fd: int) -> None:
        """Sync a directory."""
        assert stat.S_ISDIR(os.fstat(fd).st_mode)
        self._fsync(fd)
        self.events.append("directory")

    def syncs(self) -> int:
        """How often a file was to be synced."""
        return self.events.count("begin")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """What happens to the disk, and what it says."""
    return Disk(monkeypatch)


def to_file(path: Path, fsync: Any = "batch", **given: Any) -> FileOutput:
    """A File output with an error chain to look at."""
    return FileOutput(filename=str(path), fsync=fsync, error=TestOutput(), **given)


def deliver(output: FileOutput, messages: list[Any], on_settled: Callable[[Outcome], object]) -> None:
    """As an input that wants to know does."""
    with Delivery(on_settled, NullInput()):
        output.consume_many(messages)


def test_never_syncs_nothing(tmp_path: Path, disk: Disk) -> None:
    """Without the option, the disk is never asked, and what is written is settled at once, by no other thread."""
    settled: list[Any] = []
    before = threading.active_count()
    with FileOutput(filename=str(tmp_path / "out")) as output:
        deliver(output, [b"one", b"two"], settled.append)
        assert settled == [Outcome.DELIVERED]
        output.reopen()
        assert threading.active_count() == before
    assert (disk.events, output.confirms) == ([], "written")


def test_it_is_synced_before_it_is_settled(tmp_path: Path, disk: Disk) -> None:
    """The file, whole, and the directory that has its name, once; and not a moment before is it settled."""
    with to_file(tmp_path / "out") as output:
        deliver(output, [b"one"], disk.events.append)
        wait_for(lambda: Outcome.DELIVERED in disk.events)
        deliver(output, [b"two"], disk.events.append)
        wait_for(lambda: disk.events.count(Outcome.DELIVERED) == 2)
    assert disk.events == ["begin", 4, "directory", Outcome.DELIVERED, "begin", 8, Outcome.DELIVERED]
    assert (output.confirms, output.held(), output.snapshot()["passed"]) == ("synced to disk", 0, 2)


def test_batches_that_wait_share_a_sync(tmp_path: Path, disk: Disk) -> None:
    """While the disk is at work, twenty batches come: one more sync is for all of them."""
    settled: list[Any] = []
    with to_file(tmp_path / "out") as output:
        disk.moves.clear()
        deliver(output, [b"first"], settled.append)
        wait_for(lambda: disk.syncs() == 1)
        for number in range(20):
            deliver(output, [b"%d" % number], settled.append)
        assert (settled, output.held()) == ([], 21)
        disk.moves.set()
        wait_for(lambda: len(settled) == 21)
    assert set(settled) == {Outcome.DELIVERED}
    assert disk.syncs() == 2


def test_seconds(tmp_path: Path, disk: Disk) -> None:
    """Within so many seconds there is one sync; who flushes does not wait for the next; and closing syncs."""
    settled: list[Any] = []

    async def run(output: FileOutput) -> None:
        deliver(output, [b"one"], settled.append)
        await output.flush()
        assert (settled, disk.syncs()) == ([Outcome.DELIVERED], 1)
        deliver(output, [b"two"], settled.append)
        deliver(output, [b"three"], settled.append)
        await asyncio.sleep(0)
        assert len(settled) == 1
        await output.flush()
        assert (settled, disk.syncs()) == ([Outcome.DELIVERED] * 3, 2)
        deliver(output, [b"four"], settled.append)

    with to_file(tmp_path / "out", 60) as output:
        asyncio.run(run(output))
    assert (settled, disk.syncs()) == ([Outcome.DELIVERED] * 4, 3)
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
def test_what_cannot_be_synced_is_lost(code: int, tmp_path: Path, disk: Disk) -> None:
    """All since the last good sync is LOST, counted and reported, also what came meanwhile; then the file is anew."""
    path = tmp_path / "out"
    settled: list[Any] = []
    with to_file(path) as output:
        deliver(output, [b"good"], settled.append)
        wait_for(lambda: settled == [Outcome.DELIVERED])
        disk.error = code
        disk.moves.clear()
        deliver(output, [b"bad", b"bad"], settled.append)
        wait_for(lambda: disk.syncs() == 2)
        deliver(output, [b"late"], settled.append)
        first = output._fd
        path.rename(tmp_path / "old")
        disk.moves.set()
        wait_for(lambda: settled[1:] == [Outcome.LOST] * 2 and output._fd != first)
        disk.error = 0
        deliver(output, [b"again"], settled.append)
        wait_for(lambda: len(settled) == 4)
    assert settled[3] is Outcome.DELIVERED
    assert path.read_bytes() == b"again\n"
    counted = output.snapshot()
    assert (counted["failed"], counted["passed"], counted["received"]) == (3, 2, 5)
    reports = output.error.messages
    assert sum(report.get("count", 1) for report in reports) == 3
    assert os.strerror(code) in reports[0]["exception"]
    assert str(path) in reports[0]["exception"]


def test_a_file_that_cannot_be_opened_anew_is_kept(tmp_path: Path, disk: Disk) -> None:
    """That is reported, and what comes then goes into the same file."""
    path = tmp_path / "out"
    settled: list[Any] = []
    with to_file(path) as output:
        disk.error = errno.EIO
        path.rename(tmp_path / "old")
        path.mkdir()
        deliver(output, [b"bad"], settled.append)
        wait_for(lambda: len(output.error.messages) == 2)
        disk.error = 0
        deliver(output, [b"good"], settled.append)
        wait_for(lambda: len(settled) == 2)
    assert settled == [Outcome.LOST, Outcome.DELIVERED]
    assert (tmp_path / "old").read_bytes() == b"bad\ngood\n"


def test_a_renamed_file_is_synced_before_it_is_closed(tmp_path: Path, disk: Disk) -> None:
    """Rotation loses the promise of nothing: the old file and the new one are synced, each with its directory."""
    path = tmp_path / "out"
    settled: list[Any] = []
    with to_file(path, 3600) as output:
        deliver(output, [b"first"], settled.append)
        wait_for(lambda: len(settled) == 1)
        deliver(output, [b"old"], settled.append)
        path.rename(tmp_path / "old")
        output.reopen()
        wait_for(lambda: len(settled) == 2)
        deliver(output, [b"new"], settled.append)
    assert settled == [Outcome.DELIVERED] * 3
    assert disk.events == ["begin", 6, "directory", "begin", 10, "begin", 4, "directory"]
    assert path.read_bytes() == b"new\n"


def test_a_disk_that_stands_still(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs wait while much waits, those that cannot lose what is too much, and closing waits for a bounded time."""
    monkeypatch.setattr(file_output, "UNSYNCED_BYTES", 1000)
    monkeypatch.setattr(file_output, "MOST_UNSYNCED_BYTES", 3000)
    monkeypatch.setattr(file_output, "SYNC_AT_END", 0.3)
    settled: list[Any] = []

    async def waits(output: FileOutput) -> bool:
        try:
            await asyncio.wait_for(output.drain(), 0.05)
        except TimeoutError:
            return True
        return False

    disk.moves.clear()
    with to_file(tmp_path / "out") as output:
        deliver(output, [bytes(899)], settled.append)
        assert not asyncio.run(waits(output))
        deliver(output, [bytes(899)] * 3, settled.append)
        assert asyncio.run(waits(output))
        deliver(output, [b"too much"], settled.append)
        assert settled == [Outcome.LOST]
        assert output.metrics.dropped == {NO_ROOM: 1}
    assert settled == [Outcome.LOST] * 3
    assert output.metrics.dropped == {NO_ROOM: 1, NOT_SYNCED: 4}
    assert output.held() == 0
    disk.moves.set()


def test_what_waits_to_be_synced_and_closed_is_bounded(tmp_path: Path, disk: Disk) -> None:
    """While a disk stands still, no more files are rotated or opened again: the last one is written on."""
    path = tmp_path / "out"
    settled: list[Outcome] = []
    disk.moves.clear()
    with to_file(path, rotate_bytes=1, open_files=3) as output:
        for number in range(20):
            deliver(output, [b"%d" % number], settled.append)
        assert len(list(tmp_path.iterdir())) == 6
        output.reopen()
        (report,) = output.error.messages
        assert "again: the disk is too slow to sync and close others" in report["exception"]
        disk.moves.set()
        wait_for(lambda: len(settled) == 20)
        deliver(output, [b"20"], settled.append)
        assert len(list(tmp_path.iterdir())) == 7
    assert settled == [Outcome.DELIVERED] * 21
    found = b"".join(one.read_bytes() for one in [*sorted(tmp_path.glob("out.*")), path])
    assert found.split() == [b"%d" % number for number in range(21)]


def test_much_is_synced_before_its_time(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval of an hour is no reason to keep inputs waiting that long."""
    monkeypatch.setattr(_syncing, "UNSYNCED_BYTES", 1000)
    settled: list[Any] = []
    with to_file(tmp_path / "out", 3600) as output:
        deliver(output, [b"first"], settled.append)
        wait_for(lambda: len(settled) == 1)
        deliver(output, [bytes(2000)], settled.append)
        wait_for(lambda: len(settled) == 2)
        assert disk.syncs() == 2


@pytest.mark.parametrize("make", ["fifo", "null"])
def test_only_a_file_can_be_synced(make: str, tmp_path: Path) -> None:
    """A pipe and a device are refused, with what to do; and after SIGHUP the file is kept instead."""
    path = tmp_path / "out"
    with to_file(path) as output:
        path.unlink()
        if make == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/null")
        output.reopen()
        assert "`fsync` needs a regular file" in output.error.messages[0]["exception"]
    with pytest.raises(OpenError, match="needs a regular file, or must be `never`"):
        to_file(path).open()


@pytest.mark.parametrize("wrong", ["sometimes", 0, -1, "nan", 4000, True])
def test_wrong_values(wrong: Any, tmp_path: Path) -> None:
    """Whatever is neither a word nor a sensible number of seconds is refused, with what is allowed."""
    with pytest.raises(OptionError, match=r"must be 'never' or 'batch' or float from 0\.001 to 3600"):
        to_file(tmp_path / "out", wrong)


def test_a_killed_receiver_has_what_it_acknowledged(tmp_path: Path) -> None:
    """A hop into a synced file, whose receiver is killed under load and started again: nothing is missing."""
    port, path = free_port(), tmp_path / "audit.log"
    endpoint = f"tcp://127.0.0.1:{port}"
    receiving = [
        *part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER"),
        *part("output", "File", filename=str(path), fsync="batch"),
    ]
    sending = part("output", "ZeroMQ", connect=endpoint, socket_type="DEALER", ack_timeout=1)
    with node(*part("input", "STDIN"), *sending) as sender:
        for turn in range(3):
            with node(*receiving) as receiver:
                before = len(lines(path))
                sender.write(b"".join(b'{"n":%d}\n' % n for n in range(4000 * turn, 4000 * (turn + 1))))
                wait_for(lambda before=before: len(lines(path)) > before, timeout=15)  # type: ignore[misc]
                receiver.signal(signal.SIGKILL)
        with node(*receiving) as receiver:
            wait_for(lambda: accepts(port), timeout=20)  # perhaps everything had been acknowledged before
            assert sender.end()[0] == 0
            assert receiver.stop()[0] == 0
    found = [json.loads(line)["n"] for line in lines(path) if line.endswith(b"}") and line.startswith(b"{")]
    assert set(found) == set(range(12_000))
