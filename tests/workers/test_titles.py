"""What `ps` shows of a node and its workers, as an operator reads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from message_passing.node_identity import NodeIdentity, worker_title
from message_passing.testing import wait_for
from nodes import node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="titles are set as Linux reads them")


def children(pid: int) -> list[int]:
    """A process's own ones."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in found.split()]


def shown(pid: int, what: str) -> str:
    """What ps(1) says of a process."""
    command = ["ps", "-ww", "-o", f"{what}=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    return done.stdout.decode().strip()


def titles(pid: int) -> list[str]:
    """The command lines of a node's workers."""
    return sorted(shown(child, "args") for child in children(pid))


@pytest.mark.parametrize(
    ("words", "of"),
    [
        (["--name", "shop"], " of shop"),
        (["--name", "a\nb\x1b[2J"], " of a\\nb\\e[2J"),
        (["--name", "n" * 100], f" of {'n' * 100}"),
        (["--configfile", "web-logs.json"], " of web-logs"),
        ([], ""),
    ],
)
def test_ps_says_what_a_worker_is(tmp_path: Path, words: list[str], of: str) -> None:
    """Which one, and of which node: by `--name`, by the config file, or only that it is one; and it still works."""
    (tmp_path / "web-logs.json").write_text(json.dumps({"input": "STDIN", "output": "STDOUT"}))
    rest = [] if "--configfile" in words else ["--input", "STDIN", "--output", "STDOUT"]
    with node(*words, *rest, "--workers", "2", cwd=tmp_path) as one:
        expected = [f"message-passing: worker {number}{of}" for number in (1, 2)]
        wait_for(lambda: titles(one.process.pid) == expected, timeout=20)
        assert {shown(child, "comm") for child in children(one.process.pid)} == {
            f"worker {number}{of}"[:15].strip() for number in (1, 2)
        }
        arguments = shown(one.process.pid, "args")
        assert all(word in arguments for word in words if word.isprintable())
        one.write(b'{"a":1}\n')
        assert one.end()[:2] == (0, b'{"a":1}\n')


def test_a_worker_that_is_started_again_has_its_title(tmp_path: Path) -> None:
    """It is the same worker by number, and another process."""
    words = ("--name", "shop", "--input", "STDIN", "--output", "STDOUT", "--workers", "1")
    with node(*words, cwd=tmp_path) as one:
        wait_for(lambda: titles(one.process.pid) == ["message-passing: worker 1 of shop"], timeout=20)
        one.write(b'{"a":1}\n')
        assert one.process.stdout
        assert one.process.stdout.readline() == b'{"a":1}\n'  # one that dies before it is ready ends the node
        (first,) = children(one.process.pid)
        os.kill(first, signal.SIGKILL)
        wait_for(
            lambda: (
                first not in children(one.process.pid)
                and titles(one.process.pid) == ["message-passing: worker 1 of shop"]
            ),
            timeout=20,
        )


def test_names() -> None:
    """What was given first, then the config file's name, then the command's."""
    assert NodeIdentity("mp", "a", "/b/c.json").display_name == "a"
    assert NodeIdentity("mp", "", "/b/c.d.json").display_name == "c.d"
    assert NodeIdentity("mp").display_name == "mp"
    assert NodeIdentity("mp").config_path == ""
    assert NodeIdentity("mp", "", "x.json").config_path == str(Path("x.json").absolute())
    assert len(worker_title(1, "x" * 10_000)) < 200
