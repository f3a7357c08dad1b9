"""The twenty questions of the guide for operators, each answered by a stranger's one command within a minute."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from commands import finished
from documents import ROOT
from message_passing.console.runtime_dir import control_path
from message_passing.testing import free_port, wait_for
from nodes import OURS, node, part, wait_for_control, wait_for_port

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
    (row,) = (line for line in rows() if line.startswith(f"| {question}"))
    assert f"`{command}" in row
    return [command]


def rows() -> list[str]:
    """The questions of the guide for operators, with their answers."""
    table = (ROOT / "docs" / "guide-operate.md").read_text(encoding="utf-8").partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_each_of_the_twenty_questions_is_played_here() -> None:
    """In whichever test names its beginning."""
    here = Path(__file__).read_text(encoding="utf-8")
    played = re.findall(r'(?:asked\(|startswith\()"(?:\| )?([^"]+)"', here)
    assert len(rows()) == 20
    for row in rows():
        assert any(row.startswith(f"| {question}") for question in played), row


def top(folder: Path, *which: int) -> str:
    """What `top` shows of these nodes, or of all, once."""
    shown = finished(*readme("top"), "--once", *map(str, which), cwd=folder, timeout=MINUTE)
    assert shown.status == 0, shown.err
    return shown.out.decode()


def test_that_a_misspelt_option_is_wrong(folder: Path) -> None:
    """Where it stands, and what was meant."""
    (folder / "app.toml").write_text(
        'input = "ZeroMQ"\noutput = "STDOUT"\n\n[input_options]\nsokcet_bind = "tcp://127.0.0.1:5558"\n'
    )
    found = finished(*asked("Is the configuration valid?", "check"), "app.toml", cwd=folder, timeout=MINUTE)
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
        doctor = asked("Is my key rejected?", "doctor")
        found = finished(*doctor, f"tcp://127.0.0.1:{port}", *ours, cwd=folder, timeout=MINUTE)
    said = found.out.decode() + found.err
    assert found.status == 1
    assert "the peer rejected us" in said
    assert "message-passing keys allow" in said


def test_which_sender_loses_how_many_which_component_is_slow_and_the_last_error(folder: Path) -> None:
    """One look at the aggregator tells all three, and which sender has been idle for how long."""
    for question in (
        asked("Which sender loses how many", "top"),
        asked("Which sender has gone quiet", "top"),
        asked("Which component is slow?", "top"),
        asked("What was the last error?", "top"),
    ):
        assert question == readme("top")
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
    assert asked("Which component loses messages", "top") == asked("Which queue is filling up?", "top")
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
        send = [*asked("Does anything receive what I send?", "send"), "--connect", f"tcp://127.0.0.1:{port}"]
        assert finished(*send, "hello", cwd=folder, timeout=MINUTE).status == 0
        wait_for(lambda: '"message":"hello"' in (folder / "out").read_text())
    found = finished(*doctor, cwd=folder, timeout=MINUTE)
    assert found.status == 1
    assert b"nothing listens on the port" in found.out
    assert b"start the receiver" in found.out
    found = finished(*send, "--timeout", "0.5", "hello", cwd=folder, timeout=MINUTE)
    assert (found.status, "1 message was not sent: nobody listens at" in found.err) == (1, True)


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
    (row,) = (line for line in rows() if line.startswith("| What happened an hour ago?"))
    assert "[the page](guide-console.md#history)" in row
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


def test_whether_a_change_of_the_configuration_took_effect(folder: Path) -> None:
    """The node says what has changed, or why it keeps what it had."""
    chain = 'input = "STDIN"\noutput = "File"\n[output_options]\nfilename = "out"\n'
    (folder / "app.toml").write_text(chain)
    assert asked("Did my change to it take effect?", "journalctl")
    with node("app.toml", "--control", cwd=folder) as running:
        wait_for_control(control_path(running.process.pid))

        def said(text: str) -> bytes:
            (folder / "app.toml").write_text(text)
            running.signal(signal.SIGHUP)
            assert running.process.stderr
            return next(line for line in running.process.stderr if b"configuration" in line)

        assert b"the configuration has been read again: replaced filter" in said(
            f'filter = "Follow"\n{chain}'
        )
        assert b"keeping the previous configuration" in said(f'filter = "Fellow"\n{chain}')


def test_which_nodes_run_and_whether_all_is_well(folder: Path) -> None:
    """All of this user's, each with its name, a word and a sentence, and how old the newest message is."""
    assert asked("Is it running", "top") == asked("Which nodes run here?", "top")
    assert asked("How late do messages arrive?", "top") == ["top"]
    words = ("--input", "STDIN", "--output", "Null", "--control", "--name")
    with node(*words, "shop", cwd=folder) as shop, node(*words, "archive", cwd=folder) as archive:
        for one in (shop, archive):
            wait_for_control(control_path(one.process.pid))
        shop.write(json.dumps({"time": time.time() - 42, "message": "late"}).encode() + b"\n")
        shown = ""

        def told() -> bool:
            nonlocal shown
            shown = top(folder)
            return bool(re.search(r"newest message 4\d s old", shown))

        wait_for(told, timeout=MINUTE)
        assert re.search(r"^message-passing top +2 nodes", shown)
        assert re.search(r"^shop +OK", shown, re.MULTILINE), shown
        assert re.search(r"^archive +IDLE", shown, re.MULTILINE), shown
        assert "No message yet" in shown
        for one in (shop, archive):
            one.process.kill()


def test_which_messages_failed_and_how_they_are_processed_after_all(folder: Path) -> None:
    """Each is whole in the file of dead letters, with the reason; once the filter is mended, `replay` sends it."""
    (folder / "app.toml").write_text(
        'input = "STDIN"\nfilter = "+mine:Priced"\noutput = "File"\noutput_options = {filename = "out"}\n'
        'error = "File"\nerror_options = {filename = "letters"}\ndead_letters = true\n'
    )
    priced = (
        "from message_passing import Filter\nclass Priced(Filter):\n    def filter(self, message):\n        "
    )
    (folder / "mine.py").write_text(f"{priced}return message if message['price'] else None\n")
    assert finished("app.toml", given=b'{"order":1,"price":2}\n{"order":3}\n', cwd=folder).status == 0
    (letter,) = (json.loads(line) for line in (folder / "letters").read_text().splitlines())
    assert letter["class"] == "KeyError"
    (folder / "mine.py").write_text(f"{priced}return message\n")
    replay = asked("Which messages failed, and how do I", "replay")
    found = finished(*replay, "letters", "--config", "app.toml", cwd=folder, timeout=MINUTE)
    assert found.status == 0, found.err
    assert (folder / "out").read_text() == '{"order":1,"price":2}\n{"order":3}\n'


def test_what_waits_for_a_receiver_that_is_away(folder: Path) -> None:
    """How many messages, and how old the oldest is."""
    output = {"connect": f"tcp://127.0.0.1:{free_port()}", "socket_type": "DEALER", "spool": "waiting"}
    words = part("output", "ZeroMQ", **output, linger=0)
    assert finished("--input", "STDIN", *words, given=b'{"a":1}\n' * 7, cwd=folder).status == 0
    spool = asked("What waits for a receiver", "spool")
    found = finished(*spool, "inspect", "waiting", cwd=folder, timeout=MINUTE)
    assert found.status == 0, found.err
    assert b"7 messages" in found.out
    assert re.search(rb"the oldest since \S+ \(\d+ s\)", found.out), found.out
