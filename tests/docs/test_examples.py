"""The examples run, with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from documents import ROOT, Block, blocks
from message_passing.cli.run.run_command import MessagePassing
from message_passing.testing import free_port, wait_for
from scenes import Scene, accepts, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ROOT / "examples"
CONFIGS = sorted((EXAMPLES / "config").iterdir())
UNIT = EXAMPLES / "systemd" / "message-passing.service"
COMMAND = str(Path(sys.executable).parent / "message-passing")


@contextlib.contextmanager
def started(*words: str | Path, folder: Path, env: dict[str, str] | None = None) -> Iterator[Path]:
    """A process in the background, told to end afterwards; what it prints is in the file."""
    output = folder / "printed"
    with output.open("wb") as file:
        process = subprocess.Popen(
            words, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
    try:
        yield output
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()


def sent(port: int, *texts: str) -> None:
    """Send messages to what listens on a port."""
    words = [COMMAND, "--input", "STDIN", "--decoder", "Null", "--output", "ZeroMQ", "--output_options"]
    options = f'{{"connect": "tcp://127.0.0.1:{port}", "linger": 15000}}'
    subprocess.run([*words, options], input="\n".join(texts).encode(), check=True, timeout=30)


def adapted(config: Path, folder: Path) -> tuple[Path, dict[str, int]]:
    """A config file's copy in a folder, with free ports, and which they are."""
    text, ports = config.read_text(encoding="utf-8"), {}
    for port in ("5558", "5140", "5222", "5223"):
        ports[port] = free_port()
        text = text.replace(port, str(ports[port]))
    copy = folder / config.name
    copy.write_text(text, encoding="utf-8")
    return copy, ports


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_config_files_make_chains(config: Path) -> None:
    """Every example parses, and its components take their options."""
    assert MessagePassing.read(["--configfile", str(config)]).prepare().chain.heads


def test_the_examples_of_the_help_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a chain that could be run as it stands."""
    monkeypatch.chdir(EXAMPLES / "distributor")  # where myapp.py is
    text = MessagePassing.help_text().partition("Examples:\n")[2].replace("tcp://h:", "tcp://127.0.0.1:")
    commands = re.split(r"^  (?=message-passing )", text.replace("\\\n", ""), flags=re.MULTILINE)[1:]
    assert len(commands) >= 3
    for command in commands:
        assert MessagePassing.read(shlex.split(command)[1:]).prepare().chain.heads


def test_the_flat_form_runs(tmp_path: Path) -> None:
    """Warnings and errors arrive in the file; the rest is filtered out."""
    config, ports = adapted(EXAMPLES / "config" / "flat.json", tmp_path)
    log = tmp_path / "warnings.log"
    with started(COMMAND, "--configfile", config, folder=tmp_path):
        sent(ports["5558"], '{"level":"INFO"}', '{"level":"WARNING"}', '{"level":"ERROR"}')
        wait_for(lambda: log.exists() and log.read_text().count("\n") == 2, 20)
    assert log.read_text() == '{"level":"WARNING"}\n{"level":"ERROR"}\n'
    assert not (tmp_path / "aggregator.pid").exists()


def test_the_named_form_runs(tmp_path: Path) -> None:
    """Both inputs reach the file, errors the screen besides, and what cannot be decoded its own file."""
    config, ports = adapted(EXAMPLES / "config" / "named.toml", tmp_path)
    everything, failed = tmp_path / "everything.log", tmp_path / "failed.log"
    with started(COMMAND, "--configfile", config, folder=tmp_path) as screen:
        sent(ports["5558"], '{"level":"INFO","n":1}', "no JSON", '{"level":"ERROR","n":2}')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(b"<13>a line", ("127.0.0.1", ports["5140"]))
        wait_for(lambda: everything.exists() and everything.read_text().count("\n") == 3, 20)
        wait_for(lambda: failed.exists() and failed.read_text().count("\n") == 1, 20)
        wait_for(lambda: '"n":2' in screen.read_text(), 20)
    messages = [json.loads(line) for line in everything.read_text().splitlines()]
    assert sorted(message.get("n", 0) for message in messages) == [0, 1, 2]
    (line,) = [message for message in messages if "n" not in message]
    assert (line["@message"], line["@tags"]) == ("<13>a line", ["syslog"])
    assert json.loads(failed.read_text())["packed_data"] == "no JSON"
    assert '\n{"level":"ERROR","n":2}\n' in f"\n{screen.read_text()}"


def test_the_yaml_file_is_the_distributor(tmp_path: Path) -> None:
    """What it receives goes to a worker as it came, be it JSON or not."""
    config, ports = adapted(EXAMPLES / "config" / "distributor.yaml", tmp_path)
    options = f'{{"connect": "tcp://127.0.0.1:{ports["5223"]}", "socket_type": "PULL"}}'
    worker = [
        COMMAND,
        "--input",
        "ZeroMQ",
        "--input_options",
        options,
        "--decoder",
        "Null",
        "--output",
        "STDOUT",
    ]
    (tmp_path / "worker").mkdir()
    with (
        started(COMMAND, "--configfile", config, folder=tmp_path),
        started(*worker, folder=tmp_path / "worker") as printed,
    ):
        sent(ports["5222"], "as it came", '{ "a" : 1 }')
        wait_for(lambda: printed.read_text() == 'as it came\n{ "a" : 1 }\n', 20)


def test_the_application_and_the_collector_script(tmp_path: Path) -> None:
    """What the one sends, the other prints."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    script = [sys.executable, str(EXAMPLES / "collector_script.py"), "--socket-bind", endpoint]
    application = [sys.executable, str(EXAMPLES / "application.py"), endpoint, "50"]
    with started(*script, folder=tmp_path) as printed:
        wait_for(lambda: accepts(port), 20)
        done = subprocess.run(application, capture_output=True, text=True, check=True, timeout=30)
        wait_for(lambda: printed.read_text().count("\n") == 50, 20)
    assert done.stdout == "sent 50, lost 0\n"
    levels = [json.loads(line)["level"] for line in printed.read_text().splitlines()]
    assert levels == (["INFO"] * 9 + ["ERROR"]) * 5


def test_the_collector_script_says_what_it_takes(tmp_path: Path) -> None:
    """As the guide shows."""
    (shown,) = [
        block
        for block in blocks(ROOT / "docs" / "guide-components.md")
        if "collector_script.py --help" in block.text
    ]
    script = [sys.executable, str(EXAMPLES / "collector_script.py"), "--help"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30)
    assert matches(done.stdout, shown.text.partition("\n")[2])


def test_the_distributor_and_its_workers(tmp_path: Path) -> None:
    """The commands of its page share the work among two; when one is killed, the other goes on."""
    page = EXAMPLES / "distributor" / "README.md"
    distributor, worker, publisher = (block for block in blocks(page) if block.language == "console")
    shutil.copy(EXAMPLES / "distributor" / "myapp.py", tmp_path)
    log = tmp_path / "squares.log"
    with Scene(tmp_path) as stage:
        for block in (distributor, worker, worker):
            stage.play(as_shown(block, "shows"))
        rounds = 0
        while len({line["worker"] for line in lines_of(log)}) < 2:  # until both have connected
            stage.play(as_shown(publisher, "run"))
            rounds += 1
            wait_for(partial(has_lines, log, 100 * rounds), 20)
        assert {line["number"] for line in lines_of(log)} == set(range(1, 101))
        assert all(line["square"] == line["number"] ** 2 for line in lines_of(log))
        killed = lines_of(log)[-1]["worker"]
        os.kill(killed, signal.SIGKILL)
        stage.play(as_shown(publisher, "run"))
        # What was dealt to the killed one before its end was noticed is lost: at most its turn, one half.
        wait_for(lambda: len(lines_of(log)) >= 100 * rounds + 50, 20)
        assert {line["worker"] for line in lines_of(log)[100 * rounds :]} - {killed}


def as_shown(block: Block, way: str) -> Block:
    """A block, to be played in another way than its page says."""
    return replace(block, words=(way, "distributor"))


def has_lines(log: Path, count: int) -> bool:
    """Whether there are as many in it."""
    return len(lines_of(log)) == count


def lines_of(log: Path) -> list[dict[str, int]]:
    """What is in the log so far."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def unit(folder: Path) -> tuple[str, list[str]]:
    """The unit for this machine, and the command that it starts."""
    config, _ = adapted(EXAMPLES / "config" / "named.toml", folder)
    text = UNIT.read_text(encoding="utf-8")
    text = text.replace("/opt/message-passing/bin/message-passing", COMMAND)
    text = text.replace("/etc/message-passing/aggregator.toml", str(config))
    (command,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")]
    return text, shlex.split(command)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """It finds nothing to complain of."""
    copy = tmp_path / UNIT.name
    copy.write_text(unit(tmp_path)[0], encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_the_units_command_tells_systemd_when_it_is_ready(tmp_path: Path) -> None:
    """And that it stops, as Type=notify wants."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        began = time.monotonic()
        with started(*unit(tmp_path)[1], folder=tmp_path, env={"NOTIFY_SOCKET": str(address)}):
            assert systemd.recv(100) == b"READY=1"
            assert (tmp_path / "everything.log").exists(), "ready means that files are open"
        assert systemd.recv(100) == b"STOPPING=1"
        assert time.monotonic() - began < 20
