"""What a node says of itself: what needs attention, the worst first."""

from __future__ import annotations

import re
from typing import Any

import pytest

from commands import finished
from console.watched import watched
from message_passing.console.verdict import condition, verdict
from message_passing.testing import wait_for


def component(**more: Any) -> dict[str, Any]:
    """One to which nothing has happened."""
    about = {"id": "one", "in_workers": False, "notes": [], "dropped": {}, "failed": 0, "lost_rate": 0.0}
    return {**about, "buffered": 0, "capacity": None, "utilization": None, **more}


def state(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A node's."""
    about = {
        "ready": True,
        "stopping": False,
        "loop_delay": 0.0,
        "workers": [],
        "senders": None,
        "time": 1000.0,
    }
    about["headline"] = {"state": "ok", "text": "So it is."}
    return {**about, "components": components, "errors": {"count": 0, "last": None}, **more}


def sentences(one: dict[str, Any]) -> list[str]:
    """Each with its weight."""
    return [f"{found['weight']}: {found['text']}" for found in verdict(one)]


def test_all_is_well() -> None:
    """That is a sentence, too."""
    assert sentences(state(component())) == [
        "good: All is well: nothing was lost, and no queue is filling up."
    ]


def test_what_is_a_problem_is_no_note_as_well() -> None:
    """The same sentence once, as what it is."""
    assert sentences(state(component(problems=["a stranger"], notes=["a stranger", "another"]))) == [
        "bad: one: a stranger",
        "note: one: another",
    ]


def test_an_idle_node_is_not_well() -> None:
    """That no message has come is what there is to say."""
    idle = {
        "state": "idle",
        "text": "No message yet, 3 min after the start. Senders connect to tcp://*:5558.",
    }
    assert sentences(state(component(), headline=idle)) == [f"note: {idle['text']}"]


@pytest.mark.parametrize(
    ("more", "how", "text"),
    [
        ({"failed": 1}, "lost", "warn: one has lost 1 message: 1 failed. None in the last second."),
        (
            {"dropped": {"queue full": 1200}, "lost_rate": 0.01},
            "bad",
            "bad: one is losing <0.1/s; so far 1,200 queue full.",
        ),
        (
            {"failed": 9, "coming_again": {"failed": 9}},
            "",
            "note: one failed on messages that its input delivers again: 9 attempts.",
        ),
        ({"buffered": 5, "capacity": 10}, "warn", "warn: one is filling up: 5 of 10 messages are buffered."),
        ({"buffered": 11, "capacity": 10}, "warn", "bad: one is full: 11 of 10 messages are buffered."),
        ({"utilization": 0.5}, "", "warn: one is the slowest component: it takes 50 % of the chain's time."),
        (
            {"utilization": 0.9, "in_workers": True},
            "",
            "warn: one is the slowest component: it takes 90 % of the workers' time.",
        ),
        ({"notes": ["a key was refused"]}, "", "note: one: a key was refused"),
    ],
)
def test_a_component(more: dict[str, Any], how: str, text: str) -> None:
    """What it loses, holds, takes and says."""
    one = component(**more)
    assert condition(one) == how
    assert sentences(state(one)) == [text]


def test_what_is_lost_besides_what_comes_again() -> None:
    """Only the rest is called lost."""
    again = {"failed": 8, "queue full": 2}
    assert sentences(state(component(failed=9, dropped={"queue full": 2}, coming_again=again))) == [
        "warn: one has lost 1 message: 1 failed. None in the last second.",
        "note: one failed on messages that its input delivers again: 10 attempts.",
    ]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"stopping": True}, "warn: The node is stopping."),
        ({"ready": False}, "warn: The node is not ready yet."),
        ({"loop_delay": None}, "warn: The chain has not responded for a second: it is blocked."),
        ({"loop_delay": 0.25}, "warn: The event loop is delayed by 250 ms."),
        ({"workers": [{"number": 2, "ready": False}]}, "warn: Worker 2 is not ready."),
        (
            {"senders": {"lost": 4, "senders": 2}},
            "warn: 4 messages did not arrive from their senders: see the table of senders.",
        ),
        ({"senders": {"lost": 0, "idle": 2, "senders": 3}}, "note: 2 of 3 senders are idle."),
        (
            {"errors": {"count": 2, "last": {"time": 0.0, "component": "one", "error": "KeyError"}}},
            "warn: 2 errors; the last 16 min ago, in one: KeyError",
        ),
    ],
)
def test_a_node(more: dict[str, Any], text: str) -> None:
    """What is to be said of all of it."""
    assert sentences(state(**more)) == [text]


def test_it_is_bounded() -> None:
    """However many components there are, and whatever they are called."""
    found = verdict(state(*(component(id="x" * 10_000, failed=1, notes=["y" * 10_000]) for _ in range(1000))))
    assert len(found) == 100
    assert all(len(one["text"]) <= 1000 for one in found)


def test_top_says_what_the_page_is_told(tmp_path: Any) -> None:
    """Both have the sentences from the node."""
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with watched("--input", "STDIN", "--output", "STDOUT", "--control", env=environment) as one:
        one.node.write(b"no JSON\n")
        wait_for(lambda: one.get("/state")["errors"]["count"] == 1)

        def told() -> list[str]:
            return [found["text"] for found in one.get("/state")["verdict"]]

        wait_for(lambda: any(re.match(r"decoder (has lost|is losing) ", text) for text in told()))
        assert any(text.startswith("1 error; the last ") for text in told())
        pid = str(one.node.process.pid)
        text = finished("top", pid, "--once", env={**environment, "COLUMNS": "200"}).out.decode()
        assert re.search(
            r"^ decoder (has lost 1 message: 1 failed|is losing \S+; so far 1 failed)\.", text, re.MULTILINE
        )
        assert re.search(r"^ 1 error; the last \d+ s ago, in decoder: DecodingError: ", text, re.MULTILINE)
