"""Files that cannot be written for a while: a full disk, a file that is gone, a directory that is closed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from books import Life, balanced
from faulty import (
    ended,
    failures,
    local,
    needs,
    receiving,
    reports,
    sending,
    soon,
    told_lost,
    without,
)
from message_passing.inputs.file_tail import FileTailInput
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput, free_port, running
from nodes import part

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    needs("mount", "umount", root=True)
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        without(f"a tmpfs is not to be had: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S607 - the one on PATH


def test_a_full_disk(disk: Path, tmp_path: Path) -> None:
    """What it does not take is counted as failed and told, line for line; with room again, all is written again."""
    port, life, errors = free_port(), Life(disk / "arrived"), tmp_path / "errors"
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(200 * 1024))
    words = part("error", "File", filename=str(errors))
    with (
        receiving(life, *words, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
    ):
        sender.send(3000)
        soon(lambda: life.total() + failures(errors, "output") == 3000)
        ballast.unlink()
        sender.send(300)
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        told = ended(receiver)
    life.unwritten = told_lost(told, "output")
    assert told == [
        f"message-passing: output (File) lost {life.unwritten} messages: {life.unwritten} failed",
    ]
    (account,) = balanced([sent], [life]).values()
    assert life.unwritten == failures(errors, "output") > 1000
    assert account.in_flight == 0
    assert account.missing.isdisjoint(range(3001, 3301))
    assert all("No space left on device" in report["exception"] for report in reports(errors))


def test_the_file_is_deleted(tmp_path: Path) -> None:
    """It is written to as long as it is open, and after SIGHUP there is a new one; no message is in neither."""
    port, place = free_port(), tmp_path / "arrived"
    life = Life(place)
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 500)
        with place.open("rb") as deleted:
            place.unlink()
            gone, new = Life(Path(f"/proc/self/fd/{deleted.fileno()}")), Life(place)
            before = gone.total()
            soon(lambda: gone.total() > before + 500)
            assert not place.exists()
            receiver.signal(signal.SIGHUP)
            soon(lambda: new.total() > 500)
            sent = sender.end()
            soon(lambda: new.has(sent.name, sent.stamped))
            assert ended(receiver) == []
            both = Life(gone.paths[0], place)
            (account,) = balanced([sent], [both]).values()
    assert account.missing == set()


def test_the_directory_is_read_only_for_a_while(tmp_path: Path) -> None:
    """SIGHUP finds no way to make a new file: that is told, the old one is written to, and the next SIGHUP works."""
    port, folder, errors = free_port(), tmp_path / "logs", tmp_path / "errors"
    folder.mkdir()
    old, new = folder / "old", folder / "arrived"
    life = Life(new)
    # Root may write everywhere, unless it goes without that right.
    prefix = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    needs(*prefix[:1])
    words = part("error", "File", filename=str(errors))
    with (
        receiving(life, *words, socket_bind=local(port), prefix=prefix) as receiver,
        sending(tmp_path / "journal", connect=local(port)) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 500)
        new.rename(old)
        folder.chmod(0o555)
        receiver.signal(signal.SIGHUP)
        soon(lambda: reports(errors))
        kept = Life(old)
        before = kept.total()
        soon(lambda: kept.total() > before + 500)
        folder.chmod(0o755)
        receiver.signal(signal.SIGHUP)
        begun = Life(new)
        soon(lambda: begun.total() > 500)
        sent = sender.end()
        soon(lambda: begun.has(sent.name, sent.stamped))
        assert ended(receiver) == []
    (account,) = balanced([sent], [Life(old, new)]).values()
    assert account.missing == set()
    (report,) = reports(errors)
    assert "Permission denied" in report["exception"]


def test_files_that_are_followed_onto_a_full_disk(disk: Path, tmp_path: Path) -> None:
    """What the disk does not take is read and written once there is room, each line once; positions wait too."""
    ballast, out, positions = disk / "ballast", disk / "out", disk / "positions"
    ballast.write_bytes(bytes(400 * 1024))
    written = set()
    for name in ("a", "b", "c"):
        lines = [b"%s %d %s" % (name.encode(), number, b"x" * 80) for number in range(1000)]
        (tmp_path / f"{name}.log").write_bytes(b"\n".join([*lines, b""]))
        written.update(lines)
    output = FileOutput(filename=str(out), error=TestOutput())
    tail = FileTailInput(
        filename=str(tmp_path / "*.log"),
        raw=True,
        start="beginning",
        interval=0.01,
        position_file=str(positions),
        output_to=output,
        error=TestOutput(),
    )
    with running(tail):
        soon(lambda: output.metrics.failed and tail.problems())
        ballast.unlink()
        soon(lambda: written <= set(out.read_bytes().splitlines()))
        soon(lambda: not tail.problems())
    arrived = [line for line in out.read_bytes().splitlines() if line in written]  # one may be torn besides
    assert len(arrived) == 3000
    saved = json.loads(positions.read_bytes())["files"]
    assert {one["place"]["position"] for one in saved} == {
        path.stat().st_size for path in tmp_path.glob("*.log")
    }
