"""What `message-passing top` draws, of states that are given: no terminal is needed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from message_passing.cli.poller import NodeStatus
from message_passing.cli.topview import count, frame
from message_passing.console.verdict import verdict

NOW = 1_764_000_000.0


def component(name: str, **more: Any) -> dict[str, Any]:
    """One as `GET /state` has it."""
    return {
        "id": name,
        "label": f"{name} label",
        "kind": "filter",
        "errors": False,
        "in_workers": False,
        "outputs": [],
        "received": 10,
        "passed": 10,
        "filtered": 0,
        "dropped": {},
        "failed": 0,
        "buffered": 0,
        "capacity": None,
        "in_rate": 12.0,
        "out_rate": 11.5,
        "lost_rate": 0.0,
        "utilization": None,
        "endpoints": [],
        "notes": [],
        **more,
    }


def state(*components: Any, **more: Any) -> dict[str, Any]:
    """A node's state."""
    found = {
        "title": "message-passing",
        "version": "0.9",
        "host": "web-1",
        "pid": 123,
        "started": NOW - 3600,
        "time": NOW,
        "ready": True,
        "stopping": False,
        "process": {"cpu": 0.83, "cpu_seconds": 1, "memory": 34_000_000, "descriptors": 1, "threads": 4},
        "loop_delay": 0.002,
        "shown_at": None,
        "name": "logs",
        "config": None,
        "headline": {"state": "ok", "text": "Receiving 12/s, nothing lost here."},
        "newest_age": 0.5,
        "last_message": NOW - 1,
        "backlog": 0,
        "totals": {"received": 10, "passed": 10, "dropped": 0, "failed": 0, "lost_by_senders": None},
        "components": list(components),
        "senders": None,
        "workers": [],
        "errors": {"count": 0, "last": None},
        **more,
    }
    return {**found, "verdict": verdict(found)}


def drawn(*nodes: NodeStatus, width: int = 80, colours: bool = False, **more: Any) -> str:
    """The picture as text."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(frame(nodes, now=NOW, **more))
    return out.getvalue()


def line(text: str, beginning: str) -> str:
    """The line that begins so."""
    return next(one for one in text.splitlines() if one.strip().startswith(beginning))


def test_a_node_in_24_lines_of_80_columns() -> None:
    """What an operator asks first fits on the smallest terminal."""
    totals = {
        "received": 990,
        "lost": 10,
        "duplicated": 1,
        "late": 2,
        "restarted": 3,
        "senders": 3,
        "idle": 1,
    }
    senders = [
        {"name": f"web-{number}:1:ab", "lost": 5, "received": 100, "seen": NOW - 3} for number in range(5)
    ]
    node = NodeStatus(
        "123",
        state(
            component("input", kind="input", notes=["a key was refused"]),
            component("decoder", failed=7, lost_rate=1.0, utilization=0.93),
            component(
                "output",
                buffered=8000,
                capacity=10_000,
                dropped={"queue full": 3, "too big": 40},
                lost_rate=2.5,
            ),
            component("error", errors=True, received=0),
            config="/etc/message-passing/logs.toml",
            headline={"state": "losing", "text": "Losing messages: 43 dropped in the last minute."},
            totals={"received": 12_000, "passed": 12_000, "dropped": 43, "failed": 7, "lost_by_senders": 10},
            senders=totals,
            workers=[{"number": 1, "pid": 9, "ready": True, "outstanding": 12}],
            errors={
                "count": 7,
                "last": {
                    "time": NOW - 90,
                    "component": "decoder",
                    "error": "DecodingError: malformed",
                    "message": "",
                },
            },
        ),
        {"senders": senders},
        since=NOW,
    )
    text = drawn(node)
    lines = text.splitlines()
    assert lines.index(line(text, "web-0:1:ab")) < 24
    assert max(map(len, lines)) <= 80
    assert "1 node" in lines[0]
    assert lines[2:7] == [
        "logs  LOSING  web-1 123, up 60 min  cpu 83%  mem 34.0 MB  message-passing 0.9",
        " Losing messages: 43 dropped in the last minute.",
        " received 12.0k  passed 12.0k  dropped 43  failed 7  lost by senders 10",
        " backlog 0  last message 1 s ago  newest 0 s old  loop delay 2 ms",
        " config /etc/message-passing/logs.toml",
    ]
    assert line(text, "input  ").split() == ["input", "12", "11.5", "-", "-", "-", "-"]
    assert line(text, "decoder  ").split() == ["decoder", "12", "11.5", "-", "93%", "-", "-", "7"]
    assert line(text, "output  ").split() == ["output", "12", "11.5", "8.0k/10.0k", "80%", "-", "43", "-"]
    attention = lines[7 : lines.index(line(text, "component"))]
    assert attention == [
        " decoder is losing 1/s; so far 7 failed.",
        " output is losing 2.5/s; so far 3 queue full, 40 too big.",
        " output is filling up: 8,000 of 10,000 messages are buffered.",
        " 10 messages did not arrive from their senders: see the table of senders.",
        " decoder is the slowest component: it takes 93 % of the chain's time.",
        " 7 errors; the last 90 s ago, in decoder: DecodingError: malformed",
        " input: a key was refused",
        " 1 of 3 senders is idle.",
    ]
    assert line(text, "workers") == " workers: 1 of 1 ready, messages at each: 12"
    assert line(text, "senders: 3 known, 1 idle, 10 lost (1.0%)")
    assert line(text, "web-4:1:ab").split() == ["web-4:1:ab", "5", "100", "3", "s"]
    assert "error" not in [one.split()[0] for one in lines if one.split()], "nothing went through it"


def test_what_is_bad_is_red_and_what_fills_is_yellow() -> None:
    """Colours only add to what is written."""
    node = NodeStatus(
        "1",
        state(
            component("a", buffered=85, capacity=100),
            component("b", buffered=60, capacity=100),
            component("c", buffered=5, capacity=100),
            component("d", failed=1),
            loop_delay=None,
        ),
    )
    text = drawn(node, colours=True)
    assert "\x1b[1;31m85/100  85%" in text
    assert "\x1b[33m60/100  60%" in text
    assert "5/100   5%" in text
    assert "\x1b[31m5/100" not in text
    assert "\x1b[33m     1\x1b" in text
    assert "\x1b[1;31m  loop delay over 1 s" in text


def test_nodes_that_are_gone_asked_or_not_there() -> None:
    """Each is shown as what it is."""
    text = drawn(
        NodeStatus("4711", state(), gone="there is no process with this id", since=NOW - 30),
        NodeStatus("/run/x.sock", gone="refused"),
        NodeStatus("4712"),
    )
    assert "3 nodes" in text
    assert line(text, "4711") == "4711  gone for 30 s: there is no process with this id"
    assert line(text, "/run/x.sock") == "/run/x.sock  gone: refused"
    assert line(text, "4712") == "4712  connecting"
    assert "no node of this user is running with --control" in drawn(width=100)


@pytest.mark.parametrize("word", ["ok", "degraded", "losing", "idle", "down"])
def test_the_state_is_the_first_word_after_the_name(word: str) -> None:
    """And the sentence about it stands below, whole, and once."""
    text = "It is so. " * 20
    shown = drawn(NodeStatus("1", state(headline={"state": word, "text": text})))
    assert f"logs  {word.upper()}  " in shown
    assert " ".join(shown.split()).count(" ".join(text.split())) == 1


def test_nothing_of_a_command_is_hidden_at_80_columns() -> None:
    """What `top` suggests to run can be copied from it."""
    key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    command = (
        f"message-passing keys allow NAME '{key}' --folder /etc/message-passing/allowed-keys-of-receivers"
    )
    note = f"tcp://10.0.0.17:5558: a key is not authorized: to allow it: {command}"
    text = drawn(NodeStatus("1", state(component("input", kind="input", notes=[note]))))
    assert command.replace(" ", "") in text.replace("\n", "").replace(" ", "")


def test_a_message_from_the_future_and_none_at_all() -> None:
    """Of clocks that differ it is said which is ahead; what is not known is not invented."""
    assert "newest 3 s ahead of our clock" in drawn(NodeStatus("1", state(newest_age=-3.0)))
    shown = drawn(NodeStatus("1", state(newest_age=None, last_message=None)))
    assert "last message none yet  loop" in shown


def test_what_a_node_says_is_no_order_to_the_terminal() -> None:
    """Names of senders and errors come from strangers, also as rich's own markup."""
    hostile = "\x1b[2J[bold]\n\x07"
    node = NodeStatus(
        "1",
        state(
            component("input", dropped={hostile: 1}, notes=[hostile]),
            host=hostile,
            errors={"count": 1, "last": {"time": NOW, "component": hostile, "error": hostile}},
            senders={
                "received": 1,
                "lost": 0,
                "duplicated": 0,
                "late": 0,
                "restarted": 0,
                "senders": 1,
                "idle": 0,
            },
        ),
        {"senders": [{"name": hostile, "lost": 0, "received": 1, "seen": NOW}]},
    )
    text = drawn(node, width=120)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("\\e[2J[bold]\\n\\x07") >= 5


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_it_fits_whatever_the_width(width: int) -> None:
    """Lines are cut and never wrapped, so that nothing scrolls."""
    long = component("a_component_with_quite_a_long_name_indeed", dropped={"for a reason that is long": 10})
    text = drawn(NodeStatus("1", state(long)), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_keys_and_pause_are_told() -> None:
    """As far as there is a keyboard."""
    assert "PAUSED" in drawn(paused=True)
    assert "s sort senders (idle)" in drawn(order="idle")
    assert "quit" not in drawn(keys=False)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7.0, "7"),
        (7.25, "7.2"),
        (999, "999"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (456_789, "457k"),
        (12e6, "12.0M"),
        (3e9, "3.0G"),
        (5e13, "50.0T"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    """Five characters are enough for any rate."""
    assert count(number) == text


def test_an_input_that_reads_a_stream_shows_how_far_behind_it_is() -> None:
    """Its lag stands where others have their queue; without a known one there is nothing."""
    behind = component("archive", lag=12_345)
    text = drawn(NodeStatus("one", state(behind, component("other"))))
    assert "lag 12.3k" in text
    assert text.count("lag ") == 1


def test_how_many_messages_took_each_route() -> None:
    """By the name of what it leads to, also those that took none."""
    routes = [{"when": "a", "to": ["errors"], "matched": 12}, {"when": "", "to": [], "matched": 3400}]
    text = drawn(NodeStatus("x", state(component("read routes", routes=routes))))
    assert line(text, "read routes:").strip() == "read routes: errors 12, none 3.4k"
