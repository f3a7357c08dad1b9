"""Pid files: whose they are, and what somebody may have put in their place."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from message_passing.cli.run.pid_file import PidFile
from message_passing.errors import OpenError
from message_passing.escaping import escape_control

OURS = f"{os.getpid()}\n"
STALE = "123456789012\n"  # no process has such an id
SOMEBODY = 54321  # a user that is neither root nor us

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


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
    (tmp_path / "pid").write_text(STALE)
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        assert (tmp_path / "pid").read_text() == OURS
    assert not (tmp_path / "pid").exists()


def test_a_start_that_fails_leaves_it_as_it_was(tmp_path: Path) -> None:
    """There or not there."""
    with pytest.raises(ZeroDivisionError), PidFile(str(tmp_path / "pid")):
        _ = 1 / 0
    assert not (tmp_path / "pid").exists()
    (tmp_path / "pid").write_text(STALE)
    with pytest.raises(ZeroDivisionError), PidFile(str(tmp_path / "pid")):
        _ = 1 / 0
    assert (tmp_path / "pid").read_text() == STALE


def test_one_that_is_no_longer_ours_stays(tmp_path: Path) -> None:
    """Another process has taken the name; or somebody has removed it."""
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        (tmp_path / "pid").write_text(STALE)
    assert (tmp_path / "pid").read_text() == STALE
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
    [
        ("absent/pid", "cannot be written: No such file or directory"),
        (".", "it is a folder, and not a regular file"),
        ("p\0d", "cannot be written: embedded null"),
        ("n" * 300, "cannot be written: File name too long"),
        ("/dev/full", "it is a device"),
        ("pipe", "it is a named pipe"),
        ("link", "it is a symbolic link"),
        ("broken", "it is a symbolic link"),
        ("hard", "it has another name elsewhere"),
        ("log", "it contains something other than a process id"),
        ("digits", "it contains something other than a process id"),
    ],
)
def test_what_is_no_pid_file_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    """With the name as it was given; nothing that a link leads to is emptied, made, or locked."""
    monkeypatch.chdir(tmp_path)
    Path("precious").write_text(STALE)
    os.mkfifo("pipe")
    Path("link").symlink_to("precious")
    Path("broken").symlink_to("not-there")
    Path("hard").hardlink_to("precious")
    Path("log").write_text("a line\n")
    Path("digits").write_text("1" * 5000)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(OpenError) as caught, PidFile(name):
        pass
    assert str(caught.value).startswith(f"--pid_file {escape_control(name)}: {reason}")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (Path("precious").read_text(), Path("log").read_text()) == (STALE, "a line\n")


def test_a_full_disk(tmp_path: Path) -> None:
    """The id cannot be written, which is found out in time."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with PidFile(str(tmp_path / "pid")) as file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            with pytest.raises(OpenError, match="cannot be written: "):
                file.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_file_of_a_living_process_is_refused_before_and_after_it_is_written(tmp_path: Path) -> None:
    """By its lock; the process is named once it has written its id. What a process left that is dead is taken."""
    path = tmp_path / "pid"
    path.write_text(STALE)
    with PidFile(str(path)) as file:
        with pytest.raises(OpenError, match="another process, which is starting, has it"):
            PidFile(str(path)).__enter__()
        assert path.read_text() == STALE
        file.write()
        with pytest.raises(OpenError, match=f"the process {os.getpid()} has it: stop that process"):
            PidFile(str(path)).__enter__()
        assert path.read_text() == OURS
    assert not path.exists()


def test_the_file_of_a_living_process_that_does_not_lock_it(tmp_path: Path) -> None:
    """Another daemon's; unless its id was given to another process since, as after a reboot, or to us."""
    path = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        path.write_text(f"{other.pid}\n")
        with pytest.raises(OpenError, match=f"the process {other.pid} has it"):
            PidFile(str(path)).__enter__()
        os.utime(path, (1e9, 1e9))
        with PidFile(str(path)):
            pass
        os.utime(path)
        other.kill()
        other.wait()
    with PidFile(str(path)):
        pass
    path.write_text(OURS)
    with PidFile(str(path)):
        pass


def test_a_link_that_takes_its_place_while_it_runs_is_left_alone(tmp_path: Path) -> None:
    """What it leads to is neither emptied nor removed at the end, though it holds the same."""
    (tmp_path / "precious").write_text(OURS)
    with PidFile(str(tmp_path / "pid")) as file:
        file.write()
        (tmp_path / "pid").unlink()
        (tmp_path / "pid").symlink_to("precious")
    assert (tmp_path / "precious").read_text() == OURS
    assert (tmp_path / "pid").is_symlink()


@needs_root
def test_another_user_s_file_is_refused(tmp_path: Path) -> None:
    """He could change what is in it, and whoever ends the process by it would end another."""
    (tmp_path / "pid").write_text(STALE)
    os.chown(tmp_path / "pid", SOMEBODY, -1)
    with pytest.raises(OpenError, match="it belongs to the user number 54321"):
        PidFile(str(tmp_path / "pid")).__enter__()
    assert (tmp_path / "pid").read_text() == STALE


def test_the_folder_may_get_another_name(tmp_path: Path) -> None:
    """What has its name then is not touched."""
    (tmp_path / "run").mkdir()
    with PidFile(str(tmp_path / "run" / "pid")) as file:
        file.write()
        (tmp_path / "run").rename(tmp_path / "moved")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "pid").write_text(OURS)
    assert (tmp_path / "run" / "pid").read_text() == OURS
    assert not (tmp_path / "moved" / "pid").exists()
