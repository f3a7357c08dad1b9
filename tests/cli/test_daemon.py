"""The command in the background: when its start counts as done, its pid file, its user, its priority."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from message_passing.testing import free_port, wait_for
from nodes import OURS, lines, node, part
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def daemonized(
    *words: str, cwd: Path, command: Sequence[str] = OURS, given: bytes = b""
) -> tuple[int, bytes]:
    """Start a daemon; the status of the command that started it, and what it had written by then.

    What it writes goes to a file: the daemon keeps what is redirected.
    """
    (cwd / "given").write_bytes(given)
    with (cwd / "told").open("wb") as told, (cwd / "given").open("rb") as source:
        done = subprocess.run(
            [*command, *words, "--daemonize", "--pid_file", "pid"],
            stdin=source,
            stdout=told,
            stderr=told,
            cwd=cwd,
            timeout=30,
            check=False,
        )
    return done.returncode, (cwd / "told").read_bytes()


def is_alive(pid: int) -> bool:
    """Whether the process runs: a daemon's parent may be slow to collect its status."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextlib.contextmanager
def running(*words: str, cwd: Path, command: Sequence[str] = OURS) -> Iterator[int]:
    """A daemon and its process id; it is told to end, and must do so."""
    status, told = daemonized(*words, cwd=cwd, command=command)
    assert (status, told) == (0, b"")
    pid = int((cwd / "pid").read_text())
    try:
        yield pid
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(pid), timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there now."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def status_of(pid: int) -> dict[str, list[str]]:
    """What the system says of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return {key: value.split() for key, _, value in (line.partition(":") for line in text.splitlines())}


def receiving(port: int, **options: object) -> list[str]:
    """The words for a chain that receives there and writes a file, by a relative name."""
    return [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", **options),
        *part("output", "File", filename="log"),
    ]


def test_the_command_ends_when_the_chain_runs(tmp_path: Path) -> None:
    """By then the address is bound, the file is open, and the pid file names a process of its own session."""
    port = free_port()
    with running(*receiving(port), cwd=tmp_path) as pid:
        assert listens(port)
        assert (tmp_path / "log").exists()
        assert os.getsid(pid) != os.getsid(0)
        assert os.getpgid(pid) == os.getsid(pid) != pid, "it might get a terminal again"
        with node("--input", "STDIN", *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}")) as sender:
            sender.write(b'{"n":1}\n')
            assert sender.end()[0] == 0
        wait_for(lambda: lines(tmp_path / "log"))
    assert not (tmp_path / "pid").exists()
    assert lines(tmp_path / "log") == [b'{"n":1}']
    assert (tmp_path / "told").read_bytes() == b""


def test_relative_names_mean_the_directory_where_it_was_started(tmp_path: Path) -> None:
    """At SIGHUP too, and for a file that appears later."""
    words = [
        *part("input", "FileTail", filename="source", raw=True, interval=0.01, start="beginning"),
        *("--decoder", "Null", "--encoder", "Null"),
        *part("output", "File", filename="log"),
        *part("error", "File", filename="errors"),
    ]
    with running(*words, cwd=tmp_path) as pid:
        (tmp_path / "log").unlink()
        os.kill(pid, signal.SIGHUP)
        wait_for((tmp_path / "log").exists)
        (tmp_path / "source").write_bytes(b"line\n")
        wait_for(lambda: lines(tmp_path / "log"))
    assert lines(tmp_path / "log") == [b"line"]
    assert len(lines(tmp_path / "errors")) == 1, "that the source was not there at first"


def test_what_cannot_be_opened_is_told_in_the_foreground(tmp_path: Path) -> None:
    """Status 2, the same line as without --daemonize, and no pid file stays."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        words = [*part("input", "ZeroMQ", socket_bind=address), "--output", "STDOUT"]
        status, told = daemonized(*words, cwd=tmp_path)
    text = f"message-passing: ZeroMQ input: {address}: address in use: another socket is bound to it\n"
    assert (status, told) == (2, text.encode())
    assert not (tmp_path / "pid").exists()


def test_a_second_one_leaves_the_pid_file_of_the_first_alone(tmp_path: Path) -> None:
    """Started by mistake, with the same address or another, it is told which process has the file."""
    port = free_port()
    with running(*receiving(port), cwd=tmp_path) as pid:
        for second in (port, free_port()):
            status, told = daemonized(*receiving(second), cwd=tmp_path)
            text = f"--pid_file pid: the process {pid} has it: stop that process, or give another file\n"
            assert (status, told.decode()) == (2, f"message-passing: {text}")
            assert (tmp_path / "pid").read_text() == f"{pid}\n"
    assert not (tmp_path / "pid").exists()


def test_a_killed_one_s_pid_file_is_taken_over(tmp_path: Path) -> None:
    """Nobody has to remove it."""
    status, told = daemonized(*receiving(free_port()), cwd=tmp_path)
    assert (status, told) == (0, b"")
    killed = int((tmp_path / "pid").read_text())
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not is_alive(killed))
    with running(*receiving(free_port()), cwd=tmp_path) as pid:
        assert pid != killed


@pytest.mark.parametrize("words", [["--daemonize"], []])
def test_a_pid_file_that_is_a_link_is_refused(tmp_path: Path, words: list[str]) -> None:
    """What it leads to stays as it was; the status is 2, in the foreground too."""
    (tmp_path / "precious").write_text("123456789012\n")
    (tmp_path / "pid").symlink_to("precious")
    with node(*receiving(free_port()), *words, "--pid_file", "pid", cwd=tmp_path) as started:
        status, out, err = started.end()
    assert (status, out) == (2, b"")
    assert err == (
        b"message-passing: --pid_file pid: it is a symbolic link, and not a regular file: "
        b"remove it, or give another file\n"
    )
    assert (tmp_path / "precious").read_text() == "123456789012\n"


def test_what_goes_wrong_later_is_told_where_standard_error_was(tmp_path: Path) -> None:
    """The command in the foreground has ended with 0 by then."""
    (tmp_path / "mine.py").write_text("""if True:
        import asyncio, os
        from message_passing import Input
        class Failing(Input):
            async def run(self):
                for _ in range(2000):
                    if os.path.exists("go"):
                        break
                    await asyncio.sleep(0.01)
                raise ConnectionError("the source has gone")
    """)
    words = ["--input", "+mine:Failing", "--output", "STDOUT", "--error", "Null"]
    status, told = daemonized(*words, cwd=tmp_path)
    assert (status, told) == (0, b"")
    pid = int((tmp_path / "pid").read_text())
    (tmp_path / "go").touch()
    wait_for(lambda: not is_alive(pid))
    text = "message-passing: input (Failing) failed: ConnectionError: the source has gone\n"
    assert untimed((tmp_path / "told").read_text()) == text
    assert not (tmp_path / "pid").exists()


def test_one_that_ends_at_once_was_running(tmp_path: Path) -> None:
    """A whole file is read from standard input, in the background."""
    words = ["--input", "STDIN", *part("output", "File", filename="log")]
    assert daemonized(*words, cwd=tmp_path, given=b'{"n":1}\n{"n":2}\n') == (0, b"")
    wait_for(lambda: len(lines(tmp_path / "log")) == 2)
    wait_for(lambda: not (tmp_path / "pid").exists())


def test_a_background_that_dies_is_told(tmp_path: Path) -> None:
    """Killed before the chain ran: the foreground does not wait for ever, and does not say that all is well."""
    (tmp_path / "mine.py").write_text("""if True:
        import os, signal
        from message_passing import Output
        class Dying(Output):
            def on_open(self):
                os.kill(os.getpid(), signal.SIGKILL)
            def write(self, message):
                pass
    """)
    status, told = daemonized("--input", "STDIN", "--output", "+mine:Dying", cwd=tmp_path)
    assert (status, told) == (1, b"the process in the background has ended\n")


@needs_root
def test_it_becomes_another_user_when_its_sockets_are_open() -> None:
    """User, group and supplementary groups; the port below 1024 is bound before, the file opened after."""
    nobody = pwd.getpwnam("nobody")
    port = next(port for port in range(600, 1024) if not listens(port))
    words = [*receiving(port), "--user", "nobody"]
    command = ("setpriv", "--groups=0,4,24", *OURS)  # root with groups, which it has to lose
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are for its user alone
        folder = Path(name)
        folder.chmod(0o755)
        log = folder / "log"
        log.touch()
        os.chown(log, nobody.pw_uid, nobody.pw_gid)
        with running(*words, cwd=folder, command=command) as pid:
            status = status_of(pid)
            assert status["Uid"] == [str(nobody.pw_uid)] * 4
            assert status["Gid"] == [str(nobody.pw_gid)] * 4
            assert status["Groups"] == [str(nobody.pw_gid)]
            assert listens(port)
        assert (folder / "pid").read_text() == "", "it may not remove the file, and leaves no stale id in it"
        os.chown(log, 0, 0)
        log.chmod(0o600)
        refused = b"message-passing: File output: cannot write to the file 'log': Permission denied\n"
        assert daemonized(*words, cwd=folder) == (2, refused)


def test_io_priority(tmp_path: Path) -> None:
    """Every thread of the process has the class that was asked for."""
    with running(*receiving(free_port()), "--io_priority", "idle", cwd=tmp_path) as pid:
        threads = [entry.name for entry in Path(f"/proc/{pid}/task").iterdir()]
        told = subprocess.run(["ionice", "-p", *threads], capture_output=True, check=True)  # noqa: S607
        assert len(threads) > 1
        assert told.stdout.split() == [b"idle"] * len(threads)
