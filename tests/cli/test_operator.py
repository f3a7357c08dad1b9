"""What a stranger finds out with the README's commands, each within a minute."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from commands import finished
from documents import ROOT
from message_passing.console.runtime_dir import control_path
from message_passing.testing import free_port, wait_for
from nodes import OURS, node, part, wait_for_control, wait_for_port

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


def asked(question: str, command: str) -> list[str]:
    """The words of a command, which the guide for operators must name in its answer to that question."""
    table = (ROOT / "docs" / "guide-operate.md").read_text(encoding="utf-8").partition("\n## ")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {question}"))
    assert f"`{command}" in row
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


def test_whether_a_record_has_arrived(folder: Path) -> None:
    """From the endpoint to the file, by a message of its own; and that nothing listens, with what to do."""
    port = free_port()
    doctor = [*asked("Did my log record arrive", "doctor"), f"tcp://127.0.0.1:{port}"]
    words = part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}")
    with node(*words, *part("output", "File", filename=str(folder / "out")), "--control") as running:
        wait_for_port(port)
        wait_for_control(control_path(running.process.pid))
        found = finished(*doctor, cwd=folder, timeout=MINUTE)
        assert found.status == 0, found.out
        assert b"the canary has come through the node to its output" in found.out
    found = finished(*doctor, cwd=folder, timeout=MINUTE)
    assert found.status == 1
    assert b"nothing listens on the port" in found.out
    assert b"start the receiver" in found.out


def test_what_passes_through(folder: Path) -> None:
    """The messages themselves, of a node that is named by its process."""
    with node("--input", "STDIN", "--output", "Null", "--control", cwd=folder) as running:
        wait_for_control(control_path(running.process.pid))
        tail = [*asked("Show me the messages", "tail"), str(running.process.pid)]
        shown = subprocess.Popen(
            [*OURS, *tail, "--level", "WARNING", "--format", "{message}", "--count", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

        def ended() -> bool:  # it shows what comes after it has begun
            running.write(b'{"level":"INFO","message":"no"}\n{"level":"ERROR","message":"no price"}\n')
            return shown.poll() is not None

        try:
            wait_for(ended, timeout=MINUTE)
        finally:
            shown.kill()
            out, _ = shown.communicate()
        assert (shown.returncode, out) == (0, b"no price\n")


def test_what_was_lost_in_an_hour_though_the_node_was_restarted(folder: Path) -> None:
    """How many, why, and whose; and that nothing is known of an hour in which it did not run."""
    output = part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0)
    words = ["--input", "STDIN", "--filter", "Follow", *output, "--state_dir", str(folder / "state")]
    began = time.time()
    with node(*words, cwd=folder) as running:
        sent = ({"sender": "web-1", "sequence": number} for number in range(503) if number not in (7, 8, 9))
        running.write(b"".join(json.dumps(message).encode() + b"\n" for message in sent))
        assert running.end()[0] == 0
    with node(*words, "--control", cwd=folder) as running:
        wait_for_control(control_path(running.process.pid))
        asking = [*asked("What was lost between two and three", "losses"), str(folder / "state")]

        def between(since: float, until: float) -> str:
            period = [time.strftime("%Y-%m-%d %H:%M", time.localtime(when)) for when in (since, until)]
            found = finished(*asking, "--since", period[0], "--until", period[1], cwd=folder, timeout=MINUTE)
            assert (found.status, found.err) == (0, "")
            return found.out.decode()

        text = between(began, began + 3600)
        assert text.startswith("500 messages lost here, 3 messages lost by senders on the way, from "), text
        assert re.search(r"^  490  queue full +output ", text, re.MULTILINE), text
        assert re.search(r"^ +3  web-1 +", text, re.MULTILINE), text
        assert between(began - 7200, began - 3600).startswith("Losses were not recorded from ")


def test_why_a_message_is_not_in_the_file(folder: Path) -> None:
    """The component that removes it, where that stands, and by which rule."""
    (folder / "app.toml").write_text(
        'input = "ZeroMQ"\noutput = "File"\nfilter = "Key"\n[input_options]\n'
        'socket_bind = "tcp://127.0.0.1:5558"\n[output_options]\nfilename = "app.log"\n'
        '[filter_options]\nkey = "level"\nmatch = "error"\n'
    )
    trace = asked("Why is this message not in the file?", "trace")
    found = finished(*trace, "app.toml", '{"level":"info"}', cwd=folder, timeout=MINUTE)
    assert found.status == 1
    assert b"filter (Key filter, app.toml:3): key='level' match='error'\n    removes it\n" in found.out
    assert b"Result: removed by filter (Key filter, app.toml:3); no output receives it" in found.out
    found = finished(*trace, "app.toml", '{"level":"error"}', cwd=folder, timeout=MINUTE)
    assert found.status == 0
    assert not (folder / "app.log").exists()


def test_what_happened_in_the_last_hour() -> None:
    """The page, and what it draws: messages by the second, and senders; and metrics for what is longer ago."""
    port = free_port()
    with node(
        "--input", "STDIN", "--filter", "Follow", "--output", "Null", "--http", f"127.0.0.1:{port}"
    ) as running:
        wait_for_port(port)
        running.write(b'{"sender":"web-1","sequence":1}\n')

        def answer(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as found:
                text: str = found.read().decode()
                return text

        assert "<title>" in answer("/")
        wait_for(lambda: sum(json.loads(answer("/history"))["components"]["input"]["received"]) == 1)
        assert "web-1" in answer("/senders")
        assert "message_passing_ready 1.0" in answer("/metrics")
        running.process.kill()
