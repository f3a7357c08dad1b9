"""What was lost last night: reported while it happened, and told by `losses` after a restart; with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from console.watched import watched
from message_passing.cli.commands.losses import COMMAND
from message_passing.ledger.database import LossLedger, Run
from message_passing.loss_monitor import NOT_ARRIVED, Loss
from message_passing.testing import free_port, wait_for
from nodes import OURS, node, part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nodes import Node


def lossy(folder: Path) -> list[str]:
    """A node whose output has room for ten messages and nobody to take them, and that follows its senders."""
    output = part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{free_port()}", socket_hwm=10, linger=0)
    return ["--input", "STDIN", "--filter", "Follow", *output, "--state_dir", str(folder / "state")]


def stamped(numbers: Sequence[int]) -> bytes:
    """Messages of a sender."""
    message = {"sender": "web-1:12:00000000000000ff", "service": "shop", "host": "web-1"}
    return b"".join(json.dumps({**message, "sequence": number}).encode() + b"\n" for number in numbers)


def reported(running: Node) -> Callable[[], list[dict[str, Any]]]:
    """The losses that a node has reported so far, read from its standard error while it runs."""
    assert running.process.stderr
    running.process.stderr.flush()
    stream = running.process.stderr.fileno()
    os.set_blocking(stream, False)
    text = bytearray()

    def read() -> list[dict[str, Any]]:
        with suppress(BlockingIOError):
            text.extend(os.read(stream, 65536))
        found = [json.loads(line) for line in bytes(text).split(b"\n")[:-1] if line.startswith(b"{")]
        return [one for one in found if one["class"].endswith("LossError")]

    return read


def in_ledger(folder: Path) -> dict[str, int]:
    """What the ledger has, by reason."""
    path = folder / "state" / "losses.sqlite"
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path)) as db:
            return dict(db.execute("SELECT reason, sum(count) FROM losses GROUP BY reason"))
    except sqlite3.OperationalError:
        return {}


def losses(folder: Path, *words: str) -> str:
    """What `losses` tells of that node."""
    done = finished("losses", str(folder / "state"), *words)
    assert (done.status, done.err) == (0, "")
    return done.out.decode()


def test_what_was_lost_last_night(tmp_path: Path) -> None:
    """Reported within seconds, in the ledger after a kill, and with what is lost after a restart, by whom and why."""
    with node(*lossy(tmp_path)) as running:
        reports = reported(running)
        running.write(stamped([1, 2, 5, *range(6, 500)]))
        wait_for(lambda: len(reports()) == 2, timeout=20)
        first, second = sorted(reports(), key=lambda one: str(one["component"]), reverse=True)
        assert (first["component"], first["exception"]) == ("output", "487 messages lost: 487 queue full")
        assert (second["component"], second["senders"]) == ("filter", {"shop@web-1": 2})
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
        wait_for(lambda: in_ledger(tmp_path) == {"queue full": 487, NOT_ARRIVED: 2}, timeout=20)
        running.signal(signal.SIGKILL)
        running.process.wait(20)
    with node(*lossy(tmp_path)) as running:
        running.write(stamped(range(1, 21)))
        status, _, err = running.end()
        assert (status, b"output (ZeroMQ) lost 20 messages" in err) == (0, True)
    text = losses(tmp_path, "--since", "10m")
    assert text.startswith("507 messages lost here, 2 messages lost by senders on the way, from ")
    assert re.search(
        r"^  497  queue full +output +message-passing  \d\d-\d\d \d\d:\d\d", text, re.MULTILINE
    ), text
    assert re.search(r"^   10  unsent at close +output ", text, re.MULTILINE)
    assert re.search(r"^    2  shop@web-1 +message-passing  ", text, re.MULTILINE)
    assert "message-passing recorded nothing from " in text
    assert losses(tmp_path, "--since", "2h", "--until", "1h").startswith("Losses were not recorded from ")
    found = json.loads(losses(tmp_path, "--since", "10m", "--json"))
    assert sum(one["lost"] for one in found["minutes"]) == 507
    assert [run["ended"] for run in found["runs"]] == [0, 1]
    assert losses(tmp_path, "--since", "10m", "--node", "other").startswith(
        "There is no record of a node called other"
    )


def test_what_a_worker_drops_is_reported_by_its_name(tmp_path: Path) -> None:
    """While it happens, once, by the process that has all counters."""
    (tmp_path / "mine.py").write_text(
        "from message_passing import Filter\n"
        "class Leaks(Filter):\n"
        "    def filter(self, message):\n"
        "        self.drop(1, 'table full')\n"
        "    def filter_many(self, messages):\n"
        "        self.drop(messages, 'table full')\n"
        "        return []\n"
    )
    words = ["--input", "STDIN", "--filter", "+mine:Leaks", "--output", "STDOUT", "--workers", "2"]
    with node(*words, cwd=tmp_path) as running:
        reports = reported(running)
        running.write(b'{"a":1}\n' * 100)
        wait_for(lambda: sum(one["count"] for one in reports()) == 100, timeout=30)
        assert {one["component"] for one in reports()} == {"filter"}


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    """The chain goes on, and it is said that the ledger cannot be written, and how much is not in it."""
    limited = ("sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *OURS)
    with node(*lossy(tmp_path), command=limited) as running:
        running.write(stamped(range(1, 501)))
        status, _, err = running.end()
    assert status == 0
    text = err.decode()
    assert "cannot write the ledger" in text
    assert re.search(r"\d+ lost messages are not in the ledger .*: it could not be written", text), text
    assert "output (ZeroMQ) lost 500 messages" in text


def test_a_damaged_ledger_is_set_aside(tmp_path: Path) -> None:
    """It is told, and what is lost from then on is kept in a new one."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "losses.sqlite").write_bytes(b"no database" * 1000)
    done = finished("losses", str(tmp_path / "state"))
    assert done.status == 2
    assert done.told[0].startswith("message-passing losses: cannot read the ledger ")
    with node(*lossy(tmp_path)) as running:
        running.write(stamped([1, 4]))
        status, _, err = running.end()
    assert status == 0
    assert b"losses.sqlite is damaged: it was set aside as" in err
    assert in_ledger(tmp_path)[NOT_ARRIVED] == 2


def test_a_directory_that_is_not_safe(tmp_path: Path) -> None:
    """One that others can write to, or that cannot be made, is an error where it was asked for; else only told."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    words = ["--input", "STDIN", "--output", "STDOUT"]
    done = finished(*words, "--state_dir", str(open_to_all))
    assert done.status == 2
    assert done.told[0].startswith("message-passing: --state_dir: users other than this node's can write to")
    done = finished(*words, "--state_dir", "/dev/null/state")
    assert (done.status, "cannot make the state directory" in done.err) == (2, True)
    done = finished(*words, "--control", str(tmp_path / "node"), env={"STATE_DIRECTORY": "/dev/null/state"})
    assert done.status == 0
    assert "losses are not kept for `message-passing losses`: cannot make" in done.err


def test_the_console_tells_as_well(tmp_path: Path) -> None:
    """`/losses` of a running node, also by `losses`; wrong times are refused, and without a ledger it says so."""
    words = [*lossy(tmp_path), "--name", "logs"]
    with watched(*words) as found:
        assert found.get("/losses")["runs"] == [] or found.get("/losses")["runs"][0]["node"] == "logs"
        found.node.write(stamped([1, 4, *range(5, 50)]))
        wait_for(lambda: NOT_ARRIVED in in_ledger(tmp_path), timeout=20)
        assert found.component("output")["full"]  # whatever share of its room can be counted
        assert re.search(
            rb'\nmessage_passing_messages_full\{component="output",[^}]*\} 1.0\n', found.ask("/metrics")[1]
        )
        assert not found.component("filter")["full"]
        answer = found.get("/losses?since=10m")
        assert {one["reason"]: one["count"] for one in answer["by_reason"]} == {
            "queue full": 37,
            NOT_ARRIVED: 2,
        }
        assert [(one["sender"], one["count"]) for one in answer["by_sender"]] == [("shop@web-1", 2)]
        assert found.get("/losses?node=other")["by_reason"] == []
        assert found.get("/state")["ledger"] == str(tmp_path / "state" / "losses.sqlite")
        assert found.ask("/losses?since=noon")[0] == 400
        done = finished("losses", f"http://127.0.0.1:{found.port}", "--since", "10m")
        assert done.out.startswith(b"37 messages lost here, 2 messages lost by senders on the way, from ")
    plain = ["--input", "STDIN", "--output", "Null"]
    with watched(*plain, env={"STATE_DIRECTORY": "/dev/null/state"}) as found:
        assert found.ask("/losses")[0] == 404


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--since", "noon"], "--since: must be a time as 02:00, "),
        (["--since", "1h", "--until", "2h"], "--until: must be after the beginning: "),
        (["none.sqlite"], "there is no ledger at none.sqlite"),
        ([], "there is no ledger at "),
        (["--token", "x", "."], "--token is for a running node"),
    ],
)
def test_what_a_user_gets_wrong(words: list[str], told: str, tmp_path: Path) -> None:
    """A sentence, and status 2."""
    done = finished("losses", *words, cwd=tmp_path, env={"STATE_DIRECTORY": str(tmp_path / "none")})
    assert done.status == 2
    assert done.told[0].startswith(f"message-passing losses: {told}")


def test_the_sums_are_those_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the tables show only the largest; and a node's name that is misspelt is told."""
    ledger = LossLedger(tmp_path / "losses.sqlite", 1 << 24)
    ledger.check()
    now = time.time()
    minute = int(now) // 60 * 60
    here = {(minute, Loss("out", f"reason {n}")): 2 for n in range(150)}
    away = {(minute, Loss(f"f{n}", NOT_ARRIVED, f"sender {n}")): 1 for n in range(150)}
    ledger.add(Run("1", "n", 1, now), here | away, now)
    assert COMMAND.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(
        "300 messages lost here, 150 messages lost by senders on the way, "
    )
    assert COMMAND.main([str(tmp_path), "--node", "m"]) == 0
    assert capsys.readouterr().out.startswith("There is no record of a node called m from ")


def test_a_node_that_has_just_been_killed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows what it lost, which is said at once; and of one that was killed not that it did not run."""
    path, now = tmp_path / "losses.sqlite", time.time()
    ledger = LossLedger(path, 1 << 20)
    ledger.check()
    dead, alive = 2**31 - 1, os.getpid()
    ledger.add(Run("a", "logs", dead, now - 500), {}, now - 90)
    assert COMMAND.main([str(path), "--since", "1m"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("No loss is known from ")
    assert f"it has no process {dead} on this machine any more: it was killed, or runs elsewhere" in out
    ledger.add(Run("b", "logs", alive, now - 20), {}, now - 10)
    assert COMMAND.main([str(path), "--since", "1m"]) == 0
    out = capsys.readouterr().out
    assert "(40 s): it was killed, or the machine stopped, up to a minute later." in out
    assert "process" not in out
    assert out.count("recorded nothing from") == 1
    assert COMMAND.main([str(path), "--since", "15s"]) == 0
    assert capsys.readouterr().out.startswith("Nothing was lost from ")


def test_names_give_a_terminal_no_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever senders call themselves; and times are shown as this machine's clock shows them."""
    ledger = LossLedger(tmp_path / "losses.sqlite", 1 << 20)
    ledger.check()
    now = time.time()
    minute = int(now) // 60 * 60
    hostile = Loss("f\x1b[2J", NOT_ARRIVED, "\x1b]0;title\x07\u202e")
    ledger.add(Run("1", "n\x9b", 1, now - 1000), {(minute, hostile): 1, (minute - 60, hostile): 1}, now)
    assert COMMAND.main([str(tmp_path / "losses.sqlite"), "--since", "15m"]) == 0
    text = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert f"{time.strftime('%m-%d %H:%M', time.localtime(minute - 60))} to " in text
