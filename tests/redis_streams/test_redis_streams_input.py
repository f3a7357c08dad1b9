"""The input from Redis streams, against a real server."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from engine_parts import Holding, Losing, numbers, numbers_in, reports
from message_passing.clock import monotonic
from message_passing.codecs.json import JSONDecoder
from message_passing.inputs.redis_streams import RedisStreamsInput
from message_passing.outputs.redis_streams import RedisStreamsOutput
from message_passing.testing import ListInput, run_input, running, wait_for
from nodes import OURS, Node
from redis_server import RedisServer, needs_redis
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from message_passing.flow import Output

pytestmark = needs_redis

QUICK: dict[str, Any] = {"retry_first": 0.05, "retry_longest": 0.2, "reconnect_longest": 0.2, "ack_wait": 1.0}


def receiver(server: RedisServer, to: Output, **options: Any) -> RedisStreamsInput:
    """An input that retries soon, with a decoder after it."""
    given = {"url": server.url, "stream": "logs", "group": "archive", "error": Kept(), **QUICK, **options}
    return RedisStreamsInput(output_to=JSONDecoder(output_to=to), **given)


def publish(server: RedisServer, messages: Sequence[Any], **options: Any) -> None:
    """Store messages by the output."""
    to = RedisStreamsOutput(url=server.url, stream="logs", **{"batch_age": 0.0, **options})
    run_input(ListInput(messages=[json.dumps(one).encode() for one in messages], output_to=to), timeout=60)
    assert to.metrics.lost() == 0


def open_entries(server: RedisServer) -> tuple[int, int]:
    """How many entries the group has not been given, and not acknowledged."""
    found = server.groups()
    return (found[0]["lag"], found[0]["pending"]) if found else (-1, -1)


def test_it_acknowledges_what_the_chain_has_settled_and_not_before(server: RedisServer) -> None:
    """Frames are taken apart, in order; the lag falls to nothing; what ends in order leaves no consumer behind."""
    publish(server, numbers(3000), frame_bytes=4000)
    to = Holding()
    source = receiver(server, to)
    with running(source):
        wait_for(lambda: len(to.messages) == 3000, timeout=20)
        wait_for(lambda: source.info()["lag"] == len(server.entries()), timeout=20)
        to.settle()
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        assert open_entries(server) == (0, 0)
    assert numbers_in(to) == list(range(3000))
    assert source.info()["redelivered"] == source.info()["duplicates"] == 0
    assert server.consumers() == 0


def test_what_a_node_leaves_behind_goes_to_another(server: RedisServer) -> None:
    """Given back at once by one that ends in order, whatever its ack_wait; and nothing is missing."""
    publish(server, numbers(100), frames=False)
    first = receiver(server, Losing(wants=lambda _: True, output_to=Kept()), ack_wait=20.0, retry_first=20.0)
    with running(first):
        wait_for(lambda: first.metrics.passed, timeout=20)
    kept = Kept()
    with running(receiver(server, kept, ack_wait=20.0)):
        wait_for(lambda: len(set(numbers_in(kept))) == 100, timeout=20)
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)


def test_a_long_chain_keeps_its_messages(server: RedisServer) -> None:
    """Beyond ack_wait: the server is told, and no other node gets them."""
    publish(server, numbers(10))
    to, other = Holding(), Kept()
    with running(receiver(server, to)):
        wait_for(lambda: to.messages, timeout=20)
        second = receiver(server, other)
        with running(second):
            idle = [0]

            def has_been_told_twice() -> bool:
                age = server.age_of_the_oldest()
                if age < idle[-1]:
                    idle.append(0)
                idle[-1] = age
                return len(idle) > 3  # each time after a third of ack_wait

            wait_for(has_been_told_twice, timeout=20)
            to.settle()
            wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
            assert second.metrics.passed == 0
    assert numbers_in(to) == list(range(10))
    assert other.messages == []


def test_lost_messages_come_again_and_go_to_the_error_chain_in_the_end(server: RedisServer) -> None:
    """With max_deliveries: whole, as a dead letter; the others are not concerned."""
    publish(server, numbers(20), frames=False)
    kept = Kept()
    loses = Losing(wants=lambda message: message["n"] == 7, output_to=kept)
    source = receiver(server, loses, max_deliveries=3, dead_letters=True)
    with running(source):
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
    assert set(numbers_in(kept)) == set(range(20)) - {7}
    assert "max_deliveries" in str(source.error.messages)
    assert source.info()["redelivered"] >= 2


def test_a_killed_server_and_a_destroyed_group_need_no_hand(server: RedisServer) -> None:
    """All that was stored arrives; what is wrong is told, and over."""
    publish(server, numbers(100))
    kept = Kept()
    source = receiver(server, kept)
    with running(source):
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
        server.end(signal.SIGKILL)
        wait_for(lambda: "no server listens there" in str(source.problems()), timeout=20)
        wait_for(lambda: source.info()["lag"] is None, timeout=20)  # nobody knows
        server.start()
        publish(server, numbers(100, 100))
        wait_for(lambda: len(set(numbers_in(kept))) == 200 and not source.problems(), timeout=20)
        server.ask("DEL", "logs")
        publish(server, numbers(100, 200))
        wait_for(lambda: len(set(numbers_in(kept))) == 300, timeout=20)
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
    assert "it is gone, and is created anew" in reports(source)


def test_entries_of_others(server: RedisServer) -> None:
    """One message in the field that is ours; an entry with other fields is rejected, and reported once."""
    server.ask("XADD", "logs", "*", "message", '{"n":1}')
    server.ask("XADD", "logs", "*", "temperature", "20")
    server.ask("XADD", "logs", "*", "message", '{"n":2}')
    kept = Kept()
    source = receiver(server, kept)
    with running(source):
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
        wait_for(lambda: len(kept.messages) == 2, timeout=20)
    assert numbers_in(kept) == [1, 2]
    assert reports(source).count("it has temperature") == 1


def test_what_a_limit_removes_before_it_is_read_is_told(server: RedisServer) -> None:
    """A stream with maxlen does not wait for its readers: how many entries were removed unread is said."""
    publish(server, numbers(10), frames=False)
    with running(receiver(server, Kept())):
        wait_for(lambda: open_entries(server) == (0, 0), timeout=20)
    publish(server, numbers(100), frames=False)
    server.ask("XTRIM", "logs", "MAXLEN", 10)
    to = Holding()
    source = receiver(server, to, window=1)
    with running(source):
        wait_for(lambda: (to.settle() and "removed from it" in reports(source)) or None, timeout=20)


def test_acknowledged_entries_can_be_removed(server: RedisServer) -> None:
    """With `delete` the stream holds what is left to do, and that is the lag."""
    publish(server, numbers(50), frames=False)
    kept = Kept()
    source = receiver(server, kept, delete=True)
    with running(source):
        wait_for(lambda: not server.entries() and source.info()["lag"] == 0, timeout=20)
    assert numbers_in(kept) == list(range(50))


def test_a_new_group_begins_with_the_next_message(server: RedisServer) -> None:
    """With `start` new."""
    publish(server, numbers(50))
    kept = Kept()
    with running(receiver(server, kept, start="new")):
        wait_for(server.groups, timeout=20)
        publish(server, numbers(50, 50))
        wait_for(lambda: len(kept.messages) == 50, timeout=20)
    assert numbers_in(kept) == list(range(50, 100))


def test_the_window_is_a_bound(server: RedisServer) -> None:
    """No more entries are here at a time, whatever the stream has."""
    publish(server, numbers(300), frames=False)
    to = Holding()
    source = receiver(server, to, window=20)
    with running(source):
        wait_for(lambda: len(to.messages) == 20, timeout=20)
        wait_for(lambda: open_entries(server)[1] == 20, timeout=20)
        wait_for(lambda: to.settle() and len(to.messages) == 300, timeout=20)
    assert numbers_in(to) == list(range(300))


def test_what_others_add_beside_a_message_is_said_or_rejected(server: RedisServer) -> None:
    """Fields of their own are left out, and counted; of two messages in an entry none is passed over: both fail."""
    server.ask("XADD", "logs", "*", "message", '{"n":1}', "level", "error")
    server.ask("XADD", "logs", "*", "message", '{"n":2}', "message", '{"n":3}')
    server.ask("XADD", "logs", "*", "lines", '{"n":4}', "message", '{"n":5}')
    server.ask("XADD", "logs", "*", "message", '{"n":6}', "user", "x")
    to = Kept()
    source = receiver(server, to, dead_letters=True)
    with running(source):
        wait_for(lambda: len(to.messages) == 2 and open_entries(server) == (0, 0), timeout=20)
        assert "2 entries had other fields, which were not passed on; the last: user" in source.notes()
    assert numbers_in(to) == [1, 6]
    assert reports(source).count("an entry with more than one field 'message' or 'lines'") == 2
    assert reports(source).count("which are not passed on: level") == 1


def test_the_lag_after_what_was_not_read_was_removed(server: RedisServer) -> None:
    """It is what the group has not acknowledged; the next run says that the removal was before it."""
    to = Holding()
    source = receiver(server, to, window=2)
    with running(source):
        wait_for(server.groups, timeout=20)
        for number in range(30):
            server.ask("XADD", "logs", "MAXLEN", 10, "*", "message", json.dumps({"n": number}))
        wait_for(
            lambda: to.settle() and source.info()["lag"] == 0 and open_entries(server)[1] == 0, timeout=20
        )
    told = re.findall(r"(\d+) entr\w+ w\w+ removed from it", reports(source))
    assert len(to.messages) + sum(map(int, told)) == 30
    again = receiver(server, Kept())
    with running(again):
        wait_for(lambda: "before this group was done with them since the group began: lost" in reports(again))
        wait_for(lambda: again.info()["lag"] == 0, timeout=20)


def test_a_server_that_comes_back_empty_with_its_clock_behind(tmp_path: Path) -> None:
    """All that it then stores is read, although its ids are smaller than those that were read before."""
    server = RedisServer(tmp_path)
    server.start()
    to = Kept()
    source = receiver(server, to, start="new")
    with running(source):
        wait_for(server.groups, timeout=20)
        server.ask("XADD", "logs", "*", "message", '{"n":1}')
        wait_for(lambda: to.messages, timeout=20)
        server.end(signal.SIGKILL)
        server.start()
        for number in (2, 3):
            server.ask("XADD", "logs", f"{number}-0", "message", json.dumps({"n": number}))
        wait_for(lambda: len(to.messages) == 3, timeout=20)
    server.end()
    assert numbers_in(to) == [1, 2, 3]


def test_a_group_that_is_removed_without_end_is_created_later_and_later(server: RedisServer) -> None:
    """It is not created and asked for as fast as the server answers."""
    source = receiver(server, Kept(), reconnect_longest=5.0)
    link = source.link
    with running(source):
        until = monotonic() + 1.0
        while monotonic() < until:
            with contextlib.suppress(ResponseError):
                server.ask("XGROUP", "DESTROY", "logs", "archive")
    assert 1 <= reports(source).count("is created anew") < 15
    assert not link.connected


def test_the_command_of_the_guide_loses_nothing_when_node_and_server_are_killed(
    server: RedisServer, tmp_path: Path, nodes: list[Node]
) -> None:
    """Killed while it reads: the next run of the same command goes on, and every message has come."""
    publish(server, numbers(5000), frame_bytes=2000)
    options = {"url": server.url, "stream": "logs", "group": "archive", "ack_wait": 1.0, "window": 5}
    words = ["--input", "Redis::Streams", "--input_options", json.dumps(options), "--output", "File"]
    path = tmp_path / "archive.log"
    command = [*OURS, *words, "--output_options", json.dumps({"filename": str(path)})]
    nodes.append(Node(command))
    wait_for(lambda: path.exists() and path.stat().st_size > 0, timeout=20)
    nodes[-1].signal(signal.SIGKILL)
    nodes.pop().end()
    server.end(signal.SIGKILL)
    server.start()
    publish(server, numbers(100, 5000))
    nodes.append(Node(command))
    wait_for(lambda: open_entries(server) == (0, 0), timeout=40)
    status, _, told = nodes.pop().stop()
    assert status == 0, told
    found = [json.loads(line)["n"] for line in path.read_bytes().splitlines() if line.startswith(b'{"n": ')]
    assert set(found) == set(range(5100))
