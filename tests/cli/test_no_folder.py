"""Commands whose working directory has been removed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from commands import Finished, finished
from message_passing.testing import wait_for
from nodes import OURS, lines, node, part

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = ("--input", "STDIN", "--output", "Null")

_GONE = 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec "$@"'


def without_folder(tmp_path: Path, *words: str) -> Finished:
    """What a command does whose working directory is gone."""
    command = ("sh", "-c", _GONE, "sh", str(tmp_path / "gone"), *OURS)
    return finished(*words, command=command, given=b'{"a":1}\n')


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (NOTHING, 0),
        ((*NOTHING, "--workers", "1"), 0),
        (("check", *NOTHING), 0),
        (("check", "--connect", *NOTHING), 0),
        (("list",), 0),
        (("describe", "File"), 0),
        (("create", "STDIN", "STDOUT"), 0),
        (("graph", *NOTHING), 0),
        (("test", "absent.toml"), 2),
        (("keys", "list", "--folder", "absent"), 2),
        (("doctor", "tcp://127.0.0.1:1"), 1),
        (("send", "--connect", "tcp://127.0.0.1:1", "--timeout", "0.1", "x"), 1),
        (("tail", "absent"), 2),
        (("top", "--once", "absent"), 1),
        (("--version",), 0),
        (("--configfile", "absent.toml"), 2),
        ((*NOTHING, "--pid_file", "absent"), 2),
        ((*NOTHING, "--control", "absent"), 2),
        (("--input", "STDIN", *part("output", "File", filename="absent")), 2),
        (("--input", "STDIN", "--output", "+absent:Class"), 2),
    ],
)
def test_a_command_without_a_working_directory(tmp_path: Path, words: tuple[str, ...], status: int) -> None:
    """It does what it can, and what needs the folder is refused in words: no traceback from any."""
    done = without_folder(tmp_path, *words)
    assert "Traceback" not in done.err + done.out.decode()
    assert done.status == status, done


def test_user_code_is_not_found_there(tmp_path: Path) -> None:
    """Where it was looked for is said."""
    done = without_folder(tmp_path, "--input", "STDIN", "--output", "+absent:Class")
    assert (
        "there is no module 'absent' on the path or in the working directory, which is not there" in done.err
    )


def test_the_folder_goes_while_it_runs(tmp_path: Path) -> None:
    """SIGHUP reports what it cannot open again, and the chain goes on."""
    folder = tmp_path / "gone"
    folder.mkdir()
    words = [
        "--input",
        "STDIN",
        *part("output", "File", filename="out"),
        "--control",
        str(tmp_path / "socket"),
    ]
    with node(*words, cwd=folder) as started:
        started.write(b'{"a":1}\n')
        wait_for(lambda: lines(folder / "out"), timeout=20)
        (folder / "out").unlink()
        folder.rmdir()
        started.signal(1)
        assert started.process.stderr
        assert (
            b"cannot write to the file 'out': No such file or directory" in started.process.stderr.readline()
        )
        started.write(b'{"a":1}\n')
        status, _, err = started.end()
    assert (status, err) == (0, b"")


def test_a_second_daemon_does_not_take_over(tmp_path: Path) -> None:
    """The pid file of one that runs is refused, to a second one in the background too, and stays what it was."""
    pid = tmp_path / "pid"
    words = [*NOTHING, "--pid_file", str(pid)]
    with node(*words, command=(sys.executable, "-W", "error", "-m", "message_passing")) as started:
        wait_for(lambda: pid.exists() and pid.read_bytes().endswith(b"\n"), timeout=20)
        for more in ((), ("--daemonize",)):
            done = finished(*words, *more)
            assert done.status == 2
            assert f"the process {started.process.pid} has it: stop that process" in done.err
        assert pid.read_text() == f"{started.process.pid}\n"
        assert started.end()[0] == 0
    assert not pid.exists()
