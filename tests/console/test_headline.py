"""One honest state: whatever is wrong with a node, it does not say that all is well."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from console.watched import watched
from message_passing.console.headline import headline as of_state
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import write_public
from nodes import part

if TYPE_CHECKING:
    from pathlib import Path

    from console.watched import Watched

FOLLOWED = ("--input", "STDIN", "--filter", "Follow", "--output", "STDOUT")


def headline(one: Watched, word: str) -> str:
    """The sentence, once the state is this one."""
    found: dict[str, Any] = {}

    def is_it() -> bool:
        found.update(one.get("/state")["headline"])
        return bool(found["state"] == word)

    try:
        wait_for(is_it, timeout=15)
    except TimeoutError:
        pytest.fail(f"it says {found}, not {word}")
    return str(found["text"])


def stamped(*numbers: int, **more: Any) -> bytes:
    """Messages of one sender."""
    lines = ({"sender": "a", "sequence": number, "time": time.time(), **more} for number in numbers)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_day_of_a_node_with_follow() -> None:
    """Idle, then well, then losing though nothing is dropped here, and nowhere a `lost 0`."""
    with watched(*FOLLOWED) as one:
        text = headline(one, "idle")
        assert text.startswith("No message yet, ")
        assert "It reads from STDIN input." in text
        assert one.get("/state")["last_message"] is None
        assert one.get("/state")["newest_age"] is None
        before = time.time()
        one.node.write(stamped(1, 2))
        assert headline(one, "ok").endswith("nothing lost.")
        one.node.write(stamped(9))
        text = headline(one, "losing")
        assert text == "Losing messages: 6 lost by senders on the way here in the last minute."
        state = one.get("/state")
        assert state["totals"] == {
            "received": 3,
            "passed": 3,
            "dropped": 0,
            "failed": 0,
            "lost_by_senders": 6,
        }
        assert before - 1 <= state["last_message"] <= time.time()
        one.node.write(stamped(*range(3, 9)))  # they were late, and not lost
        assert "nothing lost" in headline(one, "ok")


def test_the_newest_message_s_age() -> None:
    """Now minus what it says itself, whatever the field set, a filter and an encoder make of it."""
    with watched("--input", "STDIN", "--output", "STDOUT") as one:
        one.node.write(
            json.dumps(
                {"@timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 100))}
            ).encode()
            + b"\n"
        )
        wait_for(lambda: one.get("/state")["newest_age"] is not None)
        assert 99 < one.get("/state")["newest_age"] < 110
        assert "newest message 1" in headline(one, "ok"), "it is 100 s old though it has just come"
        wait_for(
            lambda: _sends(one, b'{"no":"time"}\n') and one.get("/state")["newest_age"] is None, timeout=10
        )


def _sends(one: Watched, data: bytes) -> bool:
    one.node.write(data)
    return True


def test_an_idle_receiver_says_where_senders_connect() -> None:
    """Or where it connects itself."""
    port = free_port()
    with watched(
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}"), "--output", "STDOUT"
    ) as one:
        assert f"Senders connect to tcp://127.0.0.1:{port}." in headline(one, "idle")
        texts = [found["text"] for found in one.get("/state")["verdict"]]
        assert any("No message yet" in text or "nobody has connected" in text for text in texts)
        assert not any("All is well" in text for text in texts)
    with watched(*part("input", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}"), "--output", "STDOUT") as one:
        text = wait_for(lambda: one.get("/state")["headline"]["text"])
        assert f"tcp://127.0.0.1:{port}" in text


def test_health_checks_do_not_degrade_a_node(tmp_path: Path) -> None:
    """Of the port, and in HTTP, which CURVE does not understand: counted, noted, and all is well."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    port = free_port()
    ours, theirs = zmq.curve_keypair(), zmq.curve_keypair()
    write_public(allowed / "web-1.key", theirs[0])
    server = {"curve_secret_key": "env:SECRET", "curve_allowed_keys": str(allowed)}
    bound = part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="PULL", **server)
    with (
        watched(*bound, "--output", "STDOUT", env={"SECRET": ours[1].decode()}) as one,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as sender,
    ):
        sender.curve_serverkey, (sender.curve_publickey, sender.curve_secretkey) = ours[0], theirs
        sender.connect(f"tcp://127.0.0.1:{port}")
        sender.send(b"{}")
        wait_for(lambda: one.component("input")["received"] == 1, timeout=20)
        for said in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PING\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
                stranger.sendall(said)
                with contextlib.suppress(ConnectionResetError):
                    while said and stranger.recv(1000):
                        pass
        counted = 'message_passing_peers_refused_total{component="input",kind="input",reason='
        metrics = (f'{counted}"mismatched"}} 2.0', f'{counted}"broken off"}} 1.0')
        wait_for(lambda: all(text in one.ask("/metrics")[1].decode() for text in metrics))
        assert headline(one, "ok")
        wait_for(lambda: [found["weight"] for found in one.get("/state")["verdict"]] == ["note"])
        (found,) = one.get("/state")["verdict"]
        assert "connected, but is not a PUSH: a health check, another program" in found["text"]
        assert headline(one, "ok")


def test_drops_are_losing_and_failures_are_degraded() -> None:
    """Each with the component, the number and the reason."""
    full = part(
        "output",
        "ZeroMQ",
        socket_bind=f"tcp://127.0.0.1:{free_port()}",
        socket_type="PUSH",
        socket_hwm=1,
        when_full="drop_newest",
    )
    with watched(*part("input", "STDIN"), *full) as one:
        one.node.write(b"no JSON\n")
        assert headline(one, "degraded") == "1 message failed in the last minute, in decoder."
        one.node.write(b'{"a":1}\n' * 1000)
        text = headline(one, "losing")
        assert text.startswith("Losing messages: ")
        assert " dropped in the last minute (" in text
        assert " output: queue full)" in text
        state = one.get("/state")
        assert state["totals"]["dropped"] == state["last_minute"]["dropped"] > 0
        assert state["totals"]["failed"] == 1
        assert state["backlog"] >= 1


def test_a_blocked_chain_and_a_component_s_problem(tmp_path: Path) -> None:
    """Both are degraded, and a problem is a finding too."""
    (tmp_path / "mine.py").write_text(
        "import time\n"
        "from message_passing import Filter\n"
        "class Troubled(Filter):\n"
        "    def problems(self):\n"
        "        return ['nobody is there: start the receiver'] if self.metrics.received else []\n"
        "    def filter(self, message):\n"
        "        time.sleep(message['seconds'])\n"
        "        return message\n"
    )
    words = ("--input", "STDIN", "--filter", "+mine:Troubled", "--output", "STDOUT")
    with watched(*words, cwd=tmp_path) as one:
        one.node.write(b'{"seconds":0}\n')
        assert headline(one, "degraded") == "filter: nobody is there: start the receiver"
        found = one.get("/state")
        assert found["components"][2]["problems"] == ["nobody is there: start the receiver"]
        assert {"weight": "bad", "text": found["headline"]["text"], "where": "filter"} in found["verdict"]
        one.node.write(b'{"seconds":4}\n')
        wait_for(lambda: one.get("/state")["loop_delay"] is None, timeout=10)
        texts = [each["text"] for each in one.get("/state")["verdict"]]
        assert "The chain has not responded for a second: it is blocked." in texts


def test_the_name_and_the_config_file(tmp_path: Path) -> None:
    """`--name` says what it is called; otherwise its config file does, or the command."""
    config = tmp_path / "web logs.json"
    config.write_text(json.dumps({"input": "STDIN", "output": "STDOUT"}))
    with watched("--configfile", config.name, cwd=tmp_path) as one:
        assert (one.get("/state")["name"], one.get("/state")["config"]) == ("web logs", str(config))
    with watched("--configfile", config.name, "--name", "nice", cwd=tmp_path) as one:
        assert (one.get("/state")["name"], one.get("/state")["config"]) == ("nice", str(config))
    with watched("--input", "STDIN", "--output", "STDOUT") as one:
        assert (one.get("/state")["name"], one.get("/state")["config"]) == ("message-passing", None)


def test_a_worker_that_is_not_ready_is_degraded() -> None:
    """And so is a node whose loop is late, or that refused somebody; each is said with what is known."""
    node: dict[str, Any] = {
        "stopping": False,
        "ready": True,
        "components": [],
        "loop_delay": 0.0,
        "workers": [{"number": 1, "ready": True}, {"number": 2, "ready": False}],
        "last_minute": {"dropped": 0, "failed": 0, "lost_by_senders": 0, "peer_error": ""},
        "last_message": None,
        "started": 0.0,
        "time": 10.0,
    }
    assert of_state(node, {}) == {"state": "degraded", "text": "1 of 2 workers is not ready."}
    node["workers"] = []
    assert of_state({**node, "loop_delay": 0.3}, {})["text"] == "The event loop is delayed by 300 ms."
    refused = {**node["last_minute"], "peer_error": "10.0.0.1: its key is not authorized"}
    text = "A peer was refused or not understood in the last minute: 10.0.0.1: its key is not authorized"
    assert of_state({**node, "last_minute": refused}, {})["text"] == text
    assert of_state({**node, "stopping": True}, {})["state"] == "down"
    assert of_state({**node, "ready": False}, {})["state"] == "down"
    assert of_state(node, {})["text"] == "No message yet, 10 s after the start. It has no input."


SLOW = """
import time
from message_passing import Filter

class Slow(Filter):
    def filter_many(self, messages):
        time.sleep(0.1)
        return messages
"""


def test_a_node_that_falls_behind_names_the_slow_component(tmp_path: Path) -> None:
    """Its messages come older and older, and a filter takes all the time."""
    (tmp_path / "mine.py").write_text(SLOW)
    words = ("--input", "STDIN", "--filter", "Follow", "--filter", "+mine:Slow", "--output", "STDOUT")
    with watched(*words, cwd=tmp_path) as one:
        began = time.time()
        found: dict[str, Any] = {}
        written = 0

        def behind() -> bool:  # they come at half the speed at which they were made, and one takes 0.1 s
            nonlocal written
            passed = time.time() - began
            if passed > written * 0.09:  # with more at once, the chain is blocked, which is said instead
                one.node.write(json.dumps({"time": began - 6 + passed / 2}).encode() + b"\n")
                written += 1
            found.update(one.get("/state")["headline"])
            return str(found["text"]).startswith("Falling behind: ")

        wait_for(behind, timeout=30)
        said = r"Falling behind: messages are \d+ s old when they arrive, and filter 2 \(Slow\) takes \d+ % of the "
        assert re.fullmatch(said + r"chain's time\.", found["text"]), found
        assert found["state"] == "degraded"


def test_a_blocked_chain_names_the_slow_component() -> None:
    """Where one takes all the time, it is said with the block."""
    slow = component("filter 2", "filter", label="Slow filter", utilization=0.999)
    state = {
        "stopping": False,
        "ready": True,
        "components": [slow],
        "loop_delay": None,
        "workers": [],
        "backlog": 0,
        "last_minute": {"dropped": 0, "failed": 0, "lost_by_senders": 0, "peer_error": ""},
    }
    text = "Blocked: the chain has not responded for a second, and filter 2 (Slow) takes 100 % of the chain's time."
    assert of_state(state, {}) == {"state": "degraded", "text": text}


def component(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """What the state says of a component to which nothing has happened."""
    numbers = {"buffered": 0, "capacity": None, "in_rate": 10.0, "utilization": 0.0}
    rest = {"label": f"Some {kind}", "errors": False, "in_workers": False, "problems": [], "full": False}
    return {"id": name, "kind": kind, **numbers, **rest, "endpoints": (), "listens": False, **more}


def test_age_alone_is_not_falling_behind() -> None:
    """Time or a backlog must say so too; what an input takes may be its waiting."""
    node: dict[str, Any] = {
        "stopping": False,
        "ready": True,
        "loop_delay": 0.0,
        "workers": [],
        "backlog": 0,
        "started": 0.0,
        "time": 100.0,
        "last_message": 100.0,
        "newest_age": 60.0,
        "last_minute": {"dropped": 0, "failed": 0, "lost_by_senders": 0, "peer_error": ""},
        "totals": {"received": 9, "passed": 9, "dropped": 0, "failed": 0, "lost_by_senders": None},
    }

    def said(behind: float | None, *components: dict[str, Any], **more: Any) -> tuple[str, str]:
        found = of_state({**node, "components": [*components], **more}, {}, behind)
        return found["state"], found["text"]

    source, busy = component("input", "input"), component("f", "filter", utilization=0.97)
    text = "Falling behind: messages are 60 s old when they arrive, and "
    assert said(60.0, source, busy) == ("degraded", f"{text}f (Some) takes 97 % of the chain's time.")
    assert said(None, source, busy)[0] == "ok", "replayed, or as old as ever"
    assert said(60.0, source, component("f", "filter", utilization=0.5))[0] == "ok"
    assert said(60.0, component("input", "input", utilization=1.0))[0] == "ok"
    assert said(60.0, source, component("f", "filter", utilization=None))[0] == "ok", "nobody has measured it"
    halves = [component(name, "filter", utilization=share) for name, share in (("a", 0.4), ("b", 0.58))]
    assert said(60.0, source, *halves)[1] == f"{text}b (Some) takes 58 % of the chain's time."
    workers = component("f", "filter", utilization=0.99, in_workers=True)
    assert said(60.0, source, workers)[1] == f"{text}f (Some) takes 99 % of the workers' time."
    output = component("output", "output", buffered=120)
    assert said(60.0, source, output, backlog=120)[1] == f"{text}120 messages are buffered in output (Some)."
    assert said(60.0, source, output, backlog=99)[0] == "ok"
    fast = component("input", "input", in_rate=500.0)
    assert said(60.0, fast, output, backlog=120)[0] == "ok", "less than a second's messages"
    assert said(60.0, source, busy, last_message=30.0)[0] == "degraded"
    assert said(None, source, busy, last_message=30.0)[0] == "idle"
