"""The command `message-passing top`, with real nodes, in a real terminal."""

from __future__ import annotations

import json
import re
import signal
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from commands import finished
from message_passing.cli.commands import top
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, public_key, write_pair, write_public
from nodes import Node, node, part, wait_for_control
from terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes are looked for in a folder of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def watched(folder: Path, control: str = "") -> Iterator[Node]:
    """A node that follows senders and has something to lose."""
    words = [*part("input", "STDIN"), "--filter", "Follow", *part("output", "Null")]
    with node(*words, "--control", *([control] if control else [])) as one:
        path = folder / (control or f"message-passing/{one.process.pid}.sock")
        wait_for_control(path)
        yield one


def test_once_shows_all_nodes_that_are_found(folder: Path) -> None:
    """In a pipe, without colours: rates, failures, and who lost what."""
    with watched(folder) as first, watched(folder) as second:
        lines = [{"sender": "web-1:1:ab", "sequence": number} for number in (1, 2, 5)]
        first.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b"no json\n")
        wait_for(lambda: b'"lost":2' in _state(first), timeout=20)
        done = finished("top", "--once")
        assert (done.status, done.err) == (0, "")
        text = done.out.decode()
        assert "2 nodes" in text
        assert f" {first.process.pid}, up" in text
        assert f" {second.process.pid}, up" in text
        assert "message-passing  LOSING" in text, "what senders lose is no secret"
        assert "message-passing  IDLE" in text
        assert "lost by senders 2" in text
        assert "2 lost (40.0%)" in text
        assert "web-1:1:ab" in text
        assert "decoder: DecodingError" in text
        assert "\x1b" not in text
        assert "0%" in text, "the shares of the chain's time are known by then"
        _only_what_is_wanted()


def _only_what_is_wanted() -> None:
    """What a condition holds for is shown of components and senders, as a table and as JSON."""
    lost = finished("top", "--once", "--where", "lost > 0").out.decode()
    assert "web-1:1:ab" in lost
    shown = [
        line.split()[0] for line in lost.splitlines() if re.match(r" (decoder|input|filter|output)  ", line)
    ]
    assert shown == ["decoder"], "one could not decode something"
    done = finished("top", "--once", "--json", "--where", 'kind == "filter" and received >= 3')
    (one,) = [one for line in done.out.splitlines() for one in json.loads(line)["components"]]
    assert (one["kind"], one["received"]) == ("filter", 3)


def _state(one: Node) -> bytes:
    return finished("top", str(one.process.pid), "--once", "--json").out.replace(b'": ', b'":')


def test_states_as_json(folder: Path) -> None:
    """One line for each node, also for one that does not answer; the status says so."""
    with watched(folder) as one:
        pid = str(one.process.pid)
        done = finished("top", "--json", "--once", pid, str(folder / "none.sock"))
        assert done.status == 1
        good, bad = map(json.loads, done.out.splitlines())
        assert (good["target"], good["pid"]) == (pid, one.process.pid)
        assert [component["id"] for component in good["components"]][:2] == ["input", "decoder"]
        assert bad == {"target": str(folder / "none.sock"), "error": _NONE}


_NONE = "there is no such control socket; a running node is a process id, the path of a control socket, or http://host:port"


def test_json_goes_on_until_its_reader_has_enough(folder: Path) -> None:
    """And ends quietly with it."""
    with watched(folder), node("top", "--json", "--interval", "0.1") as one:
        assert one.process.stdout
        pids = {json.loads(one.process.stdout.readline())["pid"] for _ in range(3)}
        assert len(pids) == 1
        one.process.stdout.close()
        assert one.process.wait(timeout=20) == 0
        assert one.process.stderr
        assert one.process.stderr.read() == b""


def test_a_condition_that_is_none() -> None:
    """It is a usage error, with the column."""
    done = finished("top", "--once", "--where", "lost = 1")
    assert done.status == 2
    assert "--where: Python has `==` instead of '=' at column 6" in done.err


def test_no_node_and_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Both are said."""
    done = finished("top", "--once")
    assert done.status == 1
    assert "no node of this user is running with --control" in done.err
    assert finished("top").status == 2
    assert top.COMMAND.main(["tcp://h:1"]) == 2
    assert "is a ZeroMQ endpoint: a running node is" in capsys.readouterr().err
    assert top.COMMAND.main(["--interval", "0"]) == 2


def test_live_in_a_terminal(folder: Path) -> None:
    """It draws, obeys its keys and the terminal's size, shows a node that goes and comes back, and tidies up."""
    control = "node.sock"
    path = str(folder / control)
    with terminal("top", path, "--interval", "0.1") as screen:
        before = screen.attributes()
        screen.shows(b"there is no such control")
        assert b"\x1b[?1049h" in screen.text
        with watched(folder, path) as one:
            screen.shows(f" {one.process.pid}".encode())
            screen.shows(b"sort senders (lost)")
            assert _echoes(before)
            assert not _echoes(screen.attributes())
            screen.type(b"s")
            screen.shows(b"sort senders (idle)")
            _sends(one)
            screen.shows(b"web-1:1:ab")
            screen.type(b"p")
            screen.shows(b"PAUSED")
            mark = len(screen.read())
            screen.resize(40, 10)
            screen.shows(b"message-passing top", since=mark)
            frame = screen.read()[mark:]
            assert max(len(line) for line in _rows(frame)) <= 40
            screen.type(b"p")
            mark = len(screen.read())
            screen.shows(b"backlog", since=mark)
        screen.resize(80, 24)
        screen.shows(b"gone for")
        with watched(folder, path) as again:
            screen.shows(f" {again.process.pid}".encode())
        screen.type(b"q")
        assert screen.ended() == 0
        assert screen.attributes() == before
        assert screen.text.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?25h"))


def _sends(one: Node) -> None:
    one.write(b'{"sender":"web-1:1:ab","sequence":1}\n')


def _echoes(attributes: list[Any]) -> bool:
    return bool(attributes[3] & termios.ECHO)


def _rows(frame: bytes) -> list[str]:
    """The rows of what was drawn, without its colours."""
    text = frame.decode("utf-8", "replace")
    rows = []
    for row in text.replace("\x1b[H", "\n").splitlines():
        plain, inside = "", False
        for character in row:
            if character == "\x1b":
                inside = True
            elif not inside:
                plain += character
            elif character.isalpha():
                inside = False
        rows.append(plain.rstrip("\r"))
    return rows


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_the_terminal_as_it_was(number: int) -> None:
    """Whoever ends it finds his shell as before."""
    with terminal("top", "--interval", "0.1") as screen:
        before = screen.attributes()
        screen.shows(b"no node of this user")
        screen.process.send_signal(number)
        assert screen.ended() == 0
        assert screen.attributes() == before
        assert b"\x1b[?1049l" in screen.text


def test_who_is_told_to_run_a_command_can_run_it(folder: Path) -> None:
    """A sender's key is refused: what `top` shows at 80 columns, run as it stands, lets it in."""
    write_pair(folder, "server")
    allowed = folder / "a-folder-whose-name-is-so-long-that-no-line-of-80-columns-has-room-for-it"
    write_public(allowed / "anna.key", zmq.curve_keypair()[0])
    port = free_port()
    secured = {"curve_secret_key": f"{folder}/server{SECRET}", "curve_allowed_keys": str(allowed)}
    receive = part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="PULL", **secured)
    with node(*receive, "--output", "Null", "--control", "n.sock", cwd=folder):
        wait_for_control(folder / "n.sock")
        with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
            sender.linger = 0
            sender.curve_publickey, sender.curve_secretkey = zmq.curve_keypair()
            sender.curve_serverkey = public_key(str(folder / f"server{PUBLIC}"))
            sender.connect(f"tcp://127.0.0.1:{port}")
            sender.send(b'{"a":1}')
            key = wait_for(lambda: _suggested(folder, str(allowed)), timeout=20)
            assert finished("keys", "allow", "ben", key, "--folder", str(allowed)).status == 0
            sender.disconnect(f"tcp://127.0.0.1:{port}")  # whoever is refused does not try again by itself
            sender.connect(f"tcp://127.0.0.1:{port}")
            sender.send(b'{"a":2}')
            wait_for(lambda: _now(folder)["totals"]["received"] >= 1, timeout=20)
            assert _now(folder)["headline"]["state"] in ("ok", "degraded")


def _now(folder: Path) -> Any:
    return json.loads(finished("top", str(folder / "n.sock"), "--once", "--json").out)


def _suggested(folder: Path, allowed: str) -> str:
    """The key of the command that is shown, whole, however a narrow terminal breaks its lines; "" if none is."""
    done = finished("top", str(folder / "n.sock"), "--once", env={"COLUMNS": "80"})
    text = done.out.decode()
    assert max(map(len, text.splitlines())) <= 80
    command = rf"message-passingkeysallowNAME'([^']+)'--folder{re.escape(allowed)}"
    found = re.search(command, "".join(text.split()))
    return found[1] if found else ""
