"""What a stranger finds out with the README's commands, each within a minute."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from commands import finished
from documents import ROOT
from message_passing.console.runtime_dir import control_path
from message_passing.testing import free_port, wait_for
from nodes import node, part, wait_for_control, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60.0

SLOW = """
import time
from message_passing.flow import Filter

class Slow(Filter):
    def filter(self, message):
        time.sleep(0.01)
        return message
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes are looked for in a folder of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def readme(command: str) -> list[str]:
    """The words of a command, which the README must name in its table of questions."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Find out what is wrong")[2]
    assert f"`message-passing {command}" in table.partition("\n## ")[0]
    return [command]


def top(folder: Path, pid: int) -> str:
    """What `top` shows of a node, once."""
    shown = finished(*readme("top"), "--once", str(pid), cwd=folder, timeout=MINUTE)
    assert shown.status == 0, shown.err
    return shown.out.decode()


def test_that_a_misspelt_option_is_wrong(folder: Path) -> None:
    """Where it stands, and what was meant."""
    (folder / "app.toml").write_text(
        'input = "ZeroMQ"\noutput = "STDOUT"\n\n[input_options]\nsokcet_bind = "tcp://127.0.0.1:5558"\n'
    )
    found = finished(*readme("check"), "app.toml", cwd=folder, timeout=MINUTE)
    assert found.status == 2
    said = found.out.decode() + found.err
    assert "app.toml:5:1: " in said
    assert "has no option 'sokcet_bind' (did you mean 'socket_bind'?)" in said


def test_that_a_key_is_refused(folder: Path) -> None:
    """And what to run on the server so that it is not."""
    for name in ("server", "web-1"):
        assert finished("keys", "new", name, cwd=folder).status == 0
    keys = folder / "message-passing" / "keys"
    allowed = folder / "allowed"
    allowed.mkdir()
    port = free_port()
    bound = {"socket_bind": f"tcp://127.0.0.1:{port}", "curve_allowed_keys": str(allowed)}
    words = part("input", "ZeroMQ", **bound, curve_secret_key=str(keys / "server.key_secret"))
    with node(*words, "--output", "STDOUT", cwd=folder):
        wait_for_port(port)
        ours = (
            "--curve-secret-key",
            str(keys / "web-1.key_secret"),
            "--curve-server-key",
            str(keys / "server.key"),
        )
        found = finished(*readme("doctor"), f"tcp://127.0.0.1:{port}", *ours, cwd=folder, timeout=MINUTE)
    said = found.out.decode() + found.err
    assert found.status == 1
    assert "the peer rejected us" in said
    assert "message-passing keys allow" in said


def test_which_sender_loses_how_many_which_component_is_slow_and_the_last_error(folder: Path) -> None:
    """One look at the aggregator tells all three."""
    (folder / "mine.py").write_text(SLOW)
    words = ["--input", "STDIN", "--filter", "Follow", "--filter", "+mine:Slow", "--output", "Null"]
    with node(*words, "--control", cwd=folder) as running:
        wait_for_control(control_path(running.process.pid))
        numbers = [1, 2, 3, 7, *range(8, 2500)]
        lines = [json.dumps({"sender": "web-1", "sequence": number}).encode() for number in numbers]
        running.write(
            b"\n".join([lines[0], b"broken", *lines[1:4], b'{"sender":"db-1","sequence":1}', *lines[4:]])
        )
        began = time.monotonic()
        wait_for(
            lambda: re.search(
                r"filter 2 is the slowest component: it takes \d+ %", top(folder, running.process.pid)
            ),
            timeout=MINUTE,
        )
        shown = top(folder, running.process.pid)
        assert time.monotonic() - began < MINUTE
        running.process.kill()
    assert re.search(r"web-1 +3 +\d+ ", shown), shown
    assert "db-1" in shown
    assert "decoder: DecodingError: malformed JSON" in shown


def test_why_a_sender_loses_messages(folder: Path) -> None:
    """Its own node tells: what it may hold for somebody who listens is full."""
    output = part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0)
    with node("--input", "STDIN", *output, "--control", cwd=folder) as running:
        wait_for_control(control_path(running.process.pid))
        running.write(b'{"a":1}\n' * 500)
        text = "output has lost 490 messages: 490 queue full"
        wait_for(lambda: text in top(folder, running.process.pid), timeout=MINUTE)
        assert "10/10 full" in top(folder, running.process.pid)
