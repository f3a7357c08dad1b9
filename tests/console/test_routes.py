"""What a running node answers."""

from __future__ import annotations

import json
import time

from console.watched import watched
from message_passing.testing import wait_for
from nodes import part

FOLLOWED = ("--input", "STDIN", "--filter", "Follow", "--output", "STDOUT")


def stamped(sender: str, *numbers: int) -> bytes:
    """Messages of one sender."""
    return b"".join(json.dumps({"sender": sender, "sequence": n}).encode() + b"\n" for n in numbers)


def test_the_state_has_the_chain_and_its_counters() -> None:
    """Every component in the order of flow, with what it was given; the error chain last and marked."""
    with watched(*FOLLOWED) as one:
        one.node.write(stamped("a", 1, 2, 5) + b"no JSON\n")
        wait_for(lambda: one.component("output")["received"] == 3)
        found = one.get("/state")
        names = [component["id"] for component in found["components"]]
        assert names == ["input", "decoder", "filter", "encoder", "output", "error_encoder", "error"]
        assert [component["errors"] for component in found["components"]] == [False] * 5 + [True] * 2
        decoder = found["components"][1]
        assert (decoder["received"], decoder["passed"], decoder["failed"]) == (4, 3, 1)
        assert (decoder["label"], decoder["kind"], decoder["outputs"]) == (
            "JSON decoder",
            "decoder",
            ["filter"],
        )
        assert found["senders"]["lost"] == 2
        assert found["errors"]["count"] == 1
        assert found["errors"]["last"]["error"].startswith("DecodingError: malformed JSON")
        assert found["errors"]["last"]["message"] == "no JSON"
        assert found["pid"] == one.node.process.pid
        assert found["process"]["memory"] > 1_000_000
        assert one.get("/errors")["errors"] == [found["errors"]["last"]]


def test_the_senders_sorted_and_searched() -> None:
    """Who lost most, who sent most, by name; those whose name has a text in it."""
    with watched(*FOLLOWED) as one:
        one.node.write(stamped("b", 1, 2, 3))
        wait_for(lambda: one.component("output")["received"] == 3)
        one.node.write(stamped("A", 1, 4) + stamped("c", 1, 3))
        wait_for(lambda: one.component("output")["received"] == 7)

        def names(query: str) -> list[str]:
            return [sender["name"] for sender in one.get(f"/senders?{query}")["senders"]]

        assert names("") == ["A", "c", "b"]
        assert names("sort=received&limit=1") == ["b"]
        assert names("sort=idle")[0] == "b"
        assert names("sort=name&search=a") == ["A"]
        found = one.get("/senders?search=B")
        assert (found["matching"], found["totals"]["senders"]) == (1, 3)
        assert found["senders"][0]["received"] == 3
        status, body = one.ask("/senders?sort=losses")
        assert (status, "did you mean 'lost'" in json.loads(body)["error"]) == (400, True)


def test_the_history_has_a_step_each_second() -> None:
    """What came is in one of the steps."""
    with watched("--input", "STDIN", "--output", "STDOUT") as one:
        one.node.write(b'{"a":1}\n' * 7)
        wait_for(lambda: sum(one.get("/history")["components"].get("output", {}).get("passed", [])) == 7)
        found = one.get("/history?seconds=2")
        assert len(found["times"]) <= 2
        assert abs(found["times"][-1] - time.time()) < 5


def test_a_live_tail_shows_what_is_wanted() -> None:
    """By level, field, text and condition, at the component that was named."""
    with watched("--input", "STDIN", "--output", "STDOUT") as one:
        query = "?level=WARNING&field=app=shop&search=disk&at=encoder&where=message+!=+%22disk%22"
        with one.tail(query) as lines:
            for level, app, text in (
                ("INFO", "shop", "disk"),
                ("ERROR", "till", "disk"),
                ("ERROR", "shop", "memory"),
                ("ERROR", "shop", "disk"),
                ("ERROR", "shop", "DISK"),
            ):
                one.node.write(json.dumps({"level": level, "app": app, "message": text}).encode() + b"\n")
            found = next(line for line in lines if "message" in line)
            assert found["message"]["message"] == "DISK"
            assert abs(found["time"] - time.time()) < 10
        status, body = one.ask("/tail?at=encodr")
        assert (status, "did you mean 'encoder'" in json.loads(body)["error"]) == (404, True)
        assert one.ask("/tail?level=loud")[0] == 400
        status, body = one.ask("/tail?where=a+%3D+1")
        assert (status, "Python has `==` instead of '='" in json.loads(body)["error"]) == (400, True)
        assert one.ask("/tail?limit=-1")[0] == 400


def test_all_messages_are_shown_when_no_limit_is_given() -> None:
    """Unsampled: each one of them, in order."""
    with watched("--input", "STDIN", "--output", "Null") as one, one.tail() as lines:
        one.node.write(b"".join(b'{"n":%d}\n' % n for n in range(20_000)))
        numbers: list[int] = []
        while len(numbers) < 20_000:
            line = next(lines)
            assert "missed" not in line
            if "message" in line:
                numbers.append(line["message"]["n"])
        assert numbers == [*range(20_000)]


def test_with_a_limit_the_rest_is_counted() -> None:
    """What was shown and what was missed is all that there was."""
    with watched("--input", "STDIN", "--output", "Null") as one, one.tail("?limit=100") as lines:
        one.node.write(b'{"n":1}\n' * 20_000)
        shown = missed = 0
        while shown + missed < 20_000:
            line = next(lines)
            shown += "message" in line
            missed += line.get("missed", 0)
        assert shown + missed == 20_000
        assert 0 < shown < 2000


def test_which_component_is_slow_and_that_the_chain_is_busy() -> None:
    """A filter that never comes back: the node still answers, says so, and whose time it is."""
    with watched(
        "--input",
        "STDIN",
        "--output",
        "STDOUT",
        "--filter",
        "+console.slow:Slow",
        env={"PYTHONPATH": "tests"},
    ) as one:
        one.node.write(b'{"seconds":30}\n')
        wait_for(lambda: (one.component("filter")["utilization"] or 0) > 0.8, timeout=20)
        wait_for(lambda: one.get("/state")["loop_delay"] is None)
        found = one.get("/state")
        assert {component["id"]: component["received"] for component in found["components"]}["filter"] == 1
        assert one.ask("/health") == (200, b"ok\n")
        one.node.process.kill()


def test_which_component_is_slow_in_workers_that_hang() -> None:
    """They tell it though they are given nothing that they would read: whose time it is, and that it is theirs."""
    chain = ("--input", "STDIN", "--output", "STDOUT", "--filter", "+console.slow:Slow", "--workers", "2")
    with watched(*chain, env={"PYTHONPATH": "tests"}) as one:
        assert one.component("filter")["utilization"] is None
        one.node.write(b'{"seconds":60}\n' * 8)
        wait_for(lambda: (one.component("filter")["utilization"] or 0) > 0.8, timeout=20)
        wait_for(lambda: one.get("/state")["loop_delay"] is not None)
        assert one.component("decoder")["utilization"] < 0.2
        where = {component["id"]: component["in_workers"] for component in one.get("/state")["components"]}
        assert [where[name] for name in ("input", "filter", "output")] == [False, True, False]
        status, body = one.ask("/tail?at=filter")
        assert (status, json.loads(body)["error"].startswith("'filter' runs in the workers")) == (409, True)
        assert one.get("/state")["shown_at"] == "output"
        one.node.process.kill()


def test_workers_are_shown_with_what_they_do() -> None:
    """Their processes, and the parts of the chain that run in them with their sums."""
    with watched("--input", "STDIN", "--output", "STDOUT", "--workers", "2") as one:
        one.node.write(b'{"a":1}\n' * 50)
        wait_for(lambda: one.component("decoder")["passed"] == 50)
        found = one.get("/state")
        assert [worker["number"] for worker in found["workers"]] == [1, 2]
        assert all(worker["ready"] and worker["pid"] != found["pid"] for worker in found["workers"])
        flow = {component["id"]: component["outputs"] for component in found["components"]}
        assert flow["input"] == ["workers"]
        assert flow["workers"] == ["decoder"]
        assert flow["encoder"] == ["output"]


def test_a_node_ends_though_somebody_watches() -> None:
    """An endless answer is ended with it, and quickly."""
    with watched("--input", "STDIN", "--output", "STDOUT") as one, one.tail() as lines:
        began = time.monotonic()
        status, _, err = one.node.stop()
        assert (status, err) == (0, b"")
        assert time.monotonic() - began < 5
        assert all(line.keys() <= {"alive"} for line in lines)


def test_options_that_are_no_endpoint_have_none() -> None:
    """And a ZeroMQ output tells where it sends, and how much it may hold."""
    words = [
        *part("input", "STDIN"),
        *part("output", "ZeroMQ", connect="tcp://127.0.0.1:1", socket_hwm=77, linger=0),
    ]
    with watched(*words) as one:
        one.node.write(b'{"a":1}\n' * 3)
        wait_for(lambda: one.component("output")["buffered"] == 3)
        found = one.component("output")
        assert (found["capacity"], found["endpoints"]) == (77, ["tcp://127.0.0.1:1"])
        assert one.component("decoder")["capacity"] is None
