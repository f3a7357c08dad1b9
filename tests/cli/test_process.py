"""Pid files, users, standard error: what needs no process of its own to be seen."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from message_passing.cli.process import Identity, PidFile, let_go, tell
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from pathlib import Path

OURS = f"{os.getpid()}\n"


def test_a_pid_file_is_there_while_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From `write` on; a relative name means the same at the end."""
    monkeypatch.chdir(tmp_path)
    with PidFile("pid") as file:
        assert (tmp_path / "pid").read_text() == ""
        file.write()
        assert (tmp_path / "pid").read_text() == OURS
        monkeypatch.chdir("/")
    assert not (tmp_path / "pid").exists()


def test_a_longer_id_leaves_nothing_behind(tmp_path: Path) -> None:
    """One that a killed process left is overwritten."""
    (tmp_path / "pid").write_text("123456789012\n")
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        assert (tmp_path / "pid").read_text() == OURS
    assert not (tmp_path / "pid").exists()


def test_a_start_that_fails_leaves_it_as_it_was(tmp_path: Path) -> None:
    """There or not there."""
    with pytest.raises(ZeroDivisionError), PidFile(str(tmp_path / "pid")):
        _ = 1 / 0
    assert not (tmp_path / "pid").exists()
    (tmp_path / "pid").write_text("1\n")
    with pytest.raises(ZeroDivisionError), PidFile(str(tmp_path / "pid")):
        _ = 1 / 0
    assert (tmp_path / "pid").read_text() == "1\n"


def test_one_that_is_no_longer_ours_stays(tmp_path: Path) -> None:
    """Another process has taken the name; or somebody has removed it."""
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        (tmp_path / "pid").write_text("1\n")
    assert (tmp_path / "pid").read_text() == "1\n"
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        (tmp_path / "pid").unlink()
        (tmp_path / "pid").write_text(OURS)
    assert (tmp_path / "pid").read_text() == OURS
    (tmp_path / "pid").unlink()
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        (tmp_path / "pid").unlink()
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent/pid", "No such file or directory"), (".", "Is a directory"), ("p\0d", "embedded null")],
)
def test_a_pid_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    """With the name as it was given."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OpenError) as caught, PidFile(name):
        pass
    said = str(caught.value)
    assert said.startswith(f"--pid_file {name}: cannot be written: ")
    assert reason in said


def test_a_full_disk() -> None:
    """The id cannot be written, which is found out in time; a device is no file to remove."""
    with pytest.raises(OpenError, match="cannot be written: "), PidFile("/dev/full") as file:
        file.write()


def test_a_user_is_looked_up() -> None:
    """Becoming who one is changes nothing, and nobody needs to be root for it."""
    entry = pwd.getpwuid(os.geteuid())
    identity = Identity.of(entry.pw_name)
    assert identity == Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
    groups = os.getgroups()
    identity.assume()
    assert (os.geteuid(), os.getgroups()) == (entry.pw_uid, groups)
    with pytest.raises(OpenError, match="--user: there is no user 'no-such-user'"):
        Identity.of("no-such-user")


def test_telling_is_never_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard error may be closed, or full."""
    tell("heard\n")
    assert capsys.readouterr().err == "heard\n"
    monkeypatch.setattr("sys.stderr", None)
    tell("not heard\n")
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stderr", full)
        tell("not heard\n")
        let_go(full)  # otherwise what is in its buffer would fail again when it is closed
    let_go(None)
