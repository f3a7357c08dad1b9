"""`message-passing spool`: of a spool at rest, of one at work, and of damaged ones."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from message_passing.cli.commands.spool import COMMAND
from message_passing.delivery import NO_HOLD
from message_passing.spool.directory import DATABASE
from message_passing.spool.spool import Spool
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user starts it."""
    command = [sys.executable, "-W", "error", "-m", "message_passing", "spool", *words]
    return subprocess.run(command, capture_output=True, timeout=30, check=False, text=True)


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Spool]:
    """A spool at work, with 30 frames of two messages each."""
    spool = Spool(tmp_path / "spool", max_bytes=64 << 20)
    spool.open()
    spool.put([(b'{"n":%d}\n{"text":"%s"}' % (n, b"x" * 20_000), 2, True) for n in range(30)], NO_HOLD)
    wait_for(lambda: not spool.pending, timeout=20)
    yield spool
    spool.close()


def damage_row(spool: Spool) -> None:
    """Change a frame's bytes."""
    with closing(sqlite3.connect(spool.directory / DATABASE)) as db, db:
        db.execute("UPDATE frames SET body = replace(body, 'xxx', 'xyx') WHERE sequence = 3")


def damage_pages(spool: Spool) -> None:
    """Overwrite pages in the middle of the file."""
    path = spool.directory / DATABASE
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + b"\xa5" * (16384 * 4) + data[middle + 16384 * 4 :])


def test_a_spool_at_work_is_shown(working: Spool) -> None:
    """How much is in it, how old, whose; it goes on meanwhile."""
    text = run("inspect", str(working.directory))
    assert text.returncode == 0, text.stderr
    assert "60 messages in 30 frames" in text.stdout
    found = json.loads(run("inspect", str(working.directory), "--json").stdout)
    assert (found["messages"], found["frames"], found["damaged"]) == (60, 30, 0)
    assert found["sender"] == working.sender.hex()
    assert found["next"] == 31
    assert 0 <= found["age"] < 60
    assert run("verify", str(working.directory)).stdout == "60 messages in 30 frames are intact\n"
    exported = run("export", str(working.directory))
    assert exported.returncode == 0
    lines = exported.stdout.splitlines()
    assert [json.loads(line).get("n") for line in lines[::2]] == list(range(30))
    assert len(lines) == 60
    described = json.loads(run("export", str(working.directory), "--json").stdout.splitlines()[2])
    assert (described["sequence"], described["message"]) == (2, '{"n":1}')
    busy = run("repair", str(working.directory))
    assert busy.returncode == 2
    assert "in use by the process" in busy.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_spool_in_a_snapshot(working: Spool) -> None:
    """Where nothing can be written, a spool without a log is read as well."""
    working.close()
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@" "$0"'
    words = ["unshare", "--mount", "sh", "-c", mounted, str(working.directory), sys.executable, "-m"]
    done = subprocess.run([*words, "message_passing", "spool", "verify"], capture_output=True, check=False)
    if b"mount" in done.stderr or b"unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")
    assert (done.stdout, done.stderr) == (b"60 messages in 30 frames are intact\n", b"")


def test_a_damaged_row_is_found_and_set_aside(working: Spool) -> None:
    """Verify names it and says what to do; after that it is out of the way, and counted by inspect."""
    working.close()
    damage_row(working)
    found = run("verify", str(working.directory))
    assert found.returncode == 1
    assert "1 frame with a wrong checksum: 3" in found.stdout
    assert "message-passing spool repair" in found.stdout
    repaired = run("repair", str(working.directory))
    assert repaired.returncode == 0, repaired.stderr
    assert "58 messages in 29 frames" in repaired.stdout
    assert run("verify", str(working.directory)).returncode == 0
    inspected = run("inspect", str(working.directory))
    assert inspected.returncode == 1
    assert "1 frame set aside as damaged" in inspected.stdout


def test_what_can_be_read_of_a_damaged_file_is_kept(working: Spool) -> None:
    """The file is rebuilt, with the same sender and numbers; the old one stays, and can be exported."""
    sender = working.sender
    working.close()
    damage_pages(working)
    exported = run("export", str(working.directory))
    assert exported.returncode == 1
    assert 20 <= exported.stdout.count('"n"') < 30
    repaired = json.loads(run("repair", str(working.directory), "--json").stdout)
    assert 20 <= repaired["frames"] < 30
    assert run("verify", str(working.directory)).returncode == 0
    again = json.loads(run("inspect", str(working.directory), "--json").stdout)
    assert (again["sender"], again["next"]) == (sender.hex(), 31)
    assert run("export", repaired["rebuilt"]).stdout.count('"n"') == repaired["frames"]


@pytest.mark.parametrize("action", ["inspect", "verify", "repair", "export"])
def test_what_is_no_spool_is_refused(tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without one, one that is not there, and a database of something else."""
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other" / DATABASE)) as db, db:
        db.execute("CREATE TABLE t (a)")
    for name in ("", "none", "other"):
        assert COMMAND.main([action, str(tmp_path / name)]) == 2, name
        assert capsys.readouterr().err.startswith("message-passing spool: ")
