"""What filters keep or remember of messages, in nodes that are reloaded, stopped and killed."""

from __future__ import annotations

import json
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from message_passing.console.client import NodeClient
from message_passing.testing import free_port
from message_passing.testing import wait_for as wait_until
from nodes import lines, node, part

if TYPE_CHECKING:
    from pathlib import Path

wait_for = partial(wait_until, timeout=20)

KEEPING: dict[str, dict[str, Any]] = {
    "Multiline": {"start": r"^\d", "timeout": 600.0, "longest": 600.0},
    "Aggregate": {"window": 86400.0, "lateness": 3600.0, "values": {"n": "count"}},
    "Throttle": {"rate": 0.0001, "burst": 1, "report_interval": 600.0},
    "Dedupe": {"key": ["message"], "window": 600.0},
}
"""Filters that would pass nothing on before ten minutes are over."""


def config(folder: Path, **changed: Any) -> None:
    """A file that is followed, and each filter with a file of its own."""
    filters: dict[str, Any] = {"split": {"class": "T", "output_to": [*KEEPING]}}
    for name, options in KEEPING.items():
        filters[name] = {
            "class": name,
            "options": {**options, **changed.get(name, {})},
            "output_to": f"{name} text",
        }
    tail = {"filename": "in.log", "position_file": "position", "start": "beginning", "interval": 0.02}
    values = {
        "inputs": {"tail": {"class": "FileTail", "options": tail, "output_to": "split"}},
        "filters": filters,
        "encoders": {f"{name} text": {"class": "JSON", "output_to": f"{name} file"} for name in KEEPING},
        "outputs": {f"{name} file": {"class": "File", "options": {"filename": name}} for name in KEEPING},
    }
    (folder / "c.json").write_text(json.dumps(values))


def append(folder: Path, text: str) -> None:
    """More lines in the file that is followed."""
    with (folder / "in.log").open("a") as file:
        file.write(text)


def found(folder: Path, name: str) -> list[Any]:
    """What a filter has passed on: lines, joined lines, counts."""
    whole = [json.loads(line) for line in lines(folder / name) if line.endswith(b"}")]
    return [
        next(one[field] for field in ("suppressed", "repeated", "n", "message") if field in one)
        for one in whole
    ]


def position(folder: Path) -> int:
    """Where a run would go on."""
    saved = folder / "position"
    return json.loads(saved.read_bytes()).get("place", {}).get("position", 0) if saved.exists() else 0


def test_kept_over_reload_stop_and_kill(tmp_path: Path) -> None:
    """A reload that changes a filter, and a stop, pass on what it keeps; after a kill that is read again."""
    config(tmp_path)
    append(tmp_path, "1 a\n b\n1 a\n c\n")
    before: dict[str, list[Any]] = {
        "Multiline": ["1 a\n b"],
        "Aggregate": [],
        "Throttle": ["1 a"],
        "Dedupe": ["1 a", " b", " c"],
    }
    with node("--configfile", "c.json", cwd=tmp_path) as running:
        wait_for(lambda: {name: found(tmp_path, name) for name in KEEPING} == before)
        assert position(tmp_path) == 0
        config(
            tmp_path,
            Multiline={"timeout": 500.0},
            Aggregate={"lateness": 1800.0},
            Throttle={"burst": 2},
            Dedupe={"window": 500.0},
        )
        running.signal(signal.SIGHUP)
        reloaded: dict[str, list[Any]] = {
            "Multiline": ["1 a\n c"],
            "Aggregate": [4],
            "Throttle": [3],
            "Dedupe": [1],
        }
        after = {name: before[name] + reloaded[name] for name in KEEPING}
        wait_for(lambda: {name: found(tmp_path, name) for name in KEEPING} == after)
        wait_for(lambda: position(tmp_path) == (tmp_path / "in.log").stat().st_size)
        append(tmp_path, "2 a\n b\n2 a\n")
        wait_for(lambda: found(tmp_path, "Dedupe")[-2:] == ["2 a", " b"])
        status, _, told = running.stop()
    assert (status, position(tmp_path)) == (0, (tmp_path / "in.log").stat().st_size)
    assert b"lost" not in told
    stopped: dict[str, list[Any]] = {
        "Multiline": ["2 a\n b", "2 a"],
        "Aggregate": [3],
        "Throttle": ["2 a", " b", 1],
        "Dedupe": ["2 a", " b", 1],
    }
    assert {name: found(tmp_path, name)[len(after[name]) :] for name in KEEPING} == stopped
    for name in KEEPING:
        (tmp_path / name).unlink()
    with node("--configfile", "c.json", cwd=tmp_path) as running:
        append(tmp_path, "3 a\n b\n")
        wait_for(lambda: found(tmp_path, "Dedupe") == ["3 a", " b"])
        running.signal(signal.SIGKILL)
        running.process.wait(20)
    append(tmp_path, " c\n4 a\n")
    with node("--configfile", "c.json", cwd=tmp_path) as running:
        wait_for(lambda: found(tmp_path, "Multiline"))
        assert running.stop()[0] == 0
    assert found(tmp_path, "Multiline") == ["3 a\n b\n c", "4 a"]
    assert found(tmp_path, "Aggregate") == [4]
    assert found(tmp_path, "Throttle") == ["3 a", " b", "3 a", " b", 2], "what it had let through came again"
    assert found(tmp_path, "Dedupe") == ["3 a", " b", "3 a", " b", " c", "4 a"], "it had forgotten"


def held(control: Path) -> int:
    """How many messages the filter of a node has counted or kept."""
    if not (control.exists() and (client := NodeClient(str(control))).alive()):
        return 0
    return sum(one["buffered"] for one in client.get("/state")["components"] if one["kind"] == "filter")


def test_kept_of_an_acknowledged_hop(tmp_path: Path) -> None:
    """What a killed receiver had of a message, its sender sends again."""
    endpoint, out = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    receiving = [
        *part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER"),
        *part("filter", "Multiline", **KEEPING["Multiline"]),
        *part("output", "File", filename=str(out)),
    ]
    sending = [
        *part("input", "STDIN"),
        *part("output", "ZeroMQ", connect=endpoint, socket_type="DEALER"),
    ]
    control = tmp_path / "control"
    with node(*sending) as sender:
        with node(*receiving, "--control", str(control)) as receiver:
            sender.write(b'{"message":"1 a"}\n{"message":" b"}\n')
            wait_for(lambda: held(control) == 2)
            receiver.signal(signal.SIGKILL)
            receiver.process.wait(20)
        control.unlink()
        assert not found(tmp_path, "out")
        with node(*receiving, "--control", str(control)) as receiver:
            sender.write(b'{"message":" c"}\n')
            wait_for(lambda: held(control) == 3)
            assert receiver.stop()[0] == 0
    assert found(tmp_path, "out") == ["1 a\n b\n c"]
