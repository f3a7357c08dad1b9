"""The JetStream input, against a real server."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from engine_parts import Holding, Losing, numbers, numbers_in, reports
from message_passing.codecs.json import JSONDecoder
from message_passing.errors import OptionError
from message_passing.inputs.jetstream import JetStreamInput
from message_passing.outputs.jetstream import JetStreamOutput
from message_passing.testing import ListInput, run_input, running, wait_for
from nodes import OURS, Node
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nats.js import JetStreamContext

    from message_passing.flow import Output
    from nats_server import NatsServer

QUICK: dict[str, Any] = {
    "retry_first": 0.05, "retry_longest": 0.2, "reconnect_longest": 0.2,
    "stream": "LOGS", "create": True, "subjects": ["logs.>"],
}  # fmt: skip


def receiver(server: NatsServer, to: Output, **options: Any) -> JetStreamInput:
    """An input that retries soon, with a decoder after it."""
    given = {"servers": server.url, "durable": "archive", "error": Kept(), **QUICK, **options}
    return JetStreamInput(output_to=JSONDecoder(output_to=to), **given)


def publish(server: NatsServer, messages: Sequence[Any], **options: Any) -> None:
    """Store messages by the output."""
    given = {
        "stream": "LOGS",
        "create": True,
        "subjects": ["logs.>"],
        "subject": "logs.app",
        "batch_age": 0.0,
    }
    to = JetStreamOutput(servers=server.url, **{**given, **options})
    run_input(ListInput(messages=[json.dumps(one).encode() for one in messages], output_to=to), timeout=60)
    assert to.metrics.lost() == 0


def pending(server: NatsServer, durable: str = "archive") -> tuple[int, int]:
    """How many messages a consumer has not been given, and not acknowledged."""
    try:
        info = server.ask(lambda context: context.consumer_info("LOGS", durable))
    except NotFoundError:  # it is not there yet
        return -1, -1
    return info.num_pending, info.num_ack_pending


def test_it_acknowledges_what_the_chain_has_settled_and_not_before(server: NatsServer) -> None:
    """Frames are taken apart, in order; the lag falls to nothing once all is acknowledged."""
    publish(server, numbers(3000), frame_bytes=4000)
    to = Holding()
    source = receiver(server, to)
    with running(source):
        wait_for(lambda: len(to.messages) == 3000, timeout=20)
        assert numbers_in(to) == list(range(3000))
        frames = len(server.stored())
        assert pending(server) == (0, frames)
        assert wait_for(lambda: source.info()["lag"], timeout=20) == frames
        to.settle()
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        assert source.info()["peers"] == 1
    assert accounted_for(source)
    assert not source.error.messages


def test_single_messages_of_other_programs_are_messages(server: NatsServer) -> None:
    """Without our header, whatever is in them is one message; a filter takes those with its subject."""

    async def store(context: JetStreamContext) -> None:
        await context.add_stream(name="LOGS", subjects=["logs.>"])
        for number in range(50):
            await context.publish("logs.a", b'{"n":\n%d}' % number)
            await context.publish("logs.b", b'{"n":-1}')

    server.ask(store)
    to = Kept()
    with running(receiver(server, to, filter_subject="logs.a")):
        wait_for(lambda: len(to.messages) >= 50, timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
    assert numbers_in(to) == list(range(50))
    assert len(to.batches) < 50


def test_nodes_with_the_same_durable_share_the_messages(server: NatsServer) -> None:
    """Each goes to one of them; when one stops, the others get what it had not begun."""
    publish(server, numbers(1))
    kept = [Kept() for _ in range(3)]
    sources = [receiver(server, one, window=8) for one in kept]
    with contextlib.ExitStack() as stack:
        for source in sources[1:]:
            stack.enter_context(running(source))
        with running(sources[0]):
            wait_for(lambda: all(one.info()["lag"] == 0 for one in sources), timeout=20)
            publish(server, numbers(3000), frame_bytes=400)
            wait_for(lambda: len(kept[0].messages) > 10, timeout=20)
        wait_for(lambda: sum(len(one.messages) for one in kept) >= 3001, timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
    found = [number for one in kept for number in numbers_in(one)]
    assert sorted(found) == sorted([0, *range(3000)])
    assert all(one.messages for one in kept)


def test_what_the_chain_loses_comes_again(server: NatsServer) -> None:
    """Later and later, until it is accepted; what is malformed does not come again."""
    publish(server, numbers(20), frames=False)
    server.ask(lambda context: context.publish("logs.x", b"no json"))
    tries: list[int] = []

    def wants(message: Any) -> bool:
        if message["n"] == 7:
            tries.append(1)
        return message["n"] == 7 and len(tries) <= 3

    to = Kept()
    source = receiver(server, Losing(wants=wants, output_to=to, error=Kept()))
    source.outputs()[0].error = Kept()
    with running(source):
        wait_for(lambda: 7 in numbers_in(to), timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
        assert source.problems() == []
    assert set(numbers_in(to)) == set(range(20))
    assert len(tries) == 4
    assert source.info()["redelivered"] >= 3
    assert "no json" not in reports(source)


@pytest.mark.parametrize("dead_letters", [True, False])
def test_after_so_many_deliveries_a_message_is_a_dead_letter(server: NatsServer, dead_letters: bool) -> None:
    """One by one, whole, and its neighbours pass."""
    publish(server, numbers(10), frames=False)
    to = Kept()
    losing = Losing(wants=lambda message: message["n"] == 3, output_to=to, error=Kept())
    source = receiver(server, losing, max_deliveries=3, dead_letters=dead_letters)
    with running(source):
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
    assert set(numbers_in(to)) == set(range(10)) - {3}
    (letter,) = source.error.messages
    assert letter["packed_data"] == '{"n": 3}'
    assert "delivered 3 times" in letter["exception"]
    assert ("attempts" in letter) is dead_letters
    assert source.metrics.failed == 1
    assert accounted_for(source)


def test_a_message_that_kills_its_nodes_is_a_dead_letter(server: NatsServer) -> None:
    """Nobody was left to say that it was lost: the server counts."""
    publish(server, numbers(1))
    for _ in range(2):
        to = Holding()
        with running(receiver(server, to)):
            wait_for(functools.partial(getattr, to, "messages"), timeout=20)
    source = receiver(server, Kept(), max_deliveries=2, dead_letters=True)
    with running(source):
        wait_for(lambda: source.error.messages, timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
    assert source.outputs()[0].metrics.received == 0


def test_a_dead_letter_that_is_lost_is_put_off(server: NatsServer) -> None:
    """It is terminated only once its dead letter is safe."""
    publish(server, numbers(1))
    full = threading.Event()
    letters = Kept()
    error = Losing(wants=lambda _: not full.is_set(), output_to=letters, error=Kept())
    losing = Losing(wants=lambda _: True, error=Kept())
    source = receiver(server, losing, max_deliveries=1, dead_letters=True, error=error)
    with running(source):
        wait_for(lambda: error.metrics.failed >= 2, timeout=20)
        assert sum(pending(server)) == 1
        full.set()
        wait_for(lambda: letters.messages, timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)


def test_a_chain_that_takes_long_keeps_its_messages(server: NatsServer) -> None:
    """The server is told that it works on them: nobody else gets them after ack_wait."""
    publish(server, numbers(5))
    to = Holding()
    source = receiver(server, to, ack_wait=1.0)
    other = Kept()
    with running(source):
        wait_for(lambda: len(to.messages) == 5, timeout=20)
        with running(receiver(server, other, ack_wait=1.0)):
            done = threading.Event()
            threading.Timer(2.5, done.set).start()
            wait_for(done.is_set, timeout=20)
            assert pending(server) == (0, 1)
            to.settle()
            wait_for(lambda: pending(server) == (0, 0), timeout=20)
    assert not other.messages


def test_the_window_bounds_what_is_here(server: NatsServer) -> None:
    """In messages and in bytes; what is larger than the window comes alone."""
    publish(server, [{"n": number, "text": "x" * 900} for number in range(40)], frames=False)
    publish(server, [{"n": 40, "text": "x" * 9000}])
    options: dict[str, Any]
    for options, most in (({"window": 4}, 4), ({"window_bytes": 4096}, 5)):
        to = Holding()
        source = receiver(server, to, durable=f"d{most}", **options)
        with running(source):
            seen = 0
            while seen < 41:
                wait_for(lambda: len(to.messages) > seen, timeout=20)  # noqa: B023 - it is over at once
                seen = len(to.messages)
                assert len(to.waiting) <= most
                assert pending(server, f"d{most}")[1] <= most
                to.settle()
        assert numbers_in(to) == list(range(41))


def test_a_server_killed_and_started_again(server: NatsServer) -> None:
    """Everything comes; again, if the server was killed before it had written down what it had delivered."""
    publish(server, numbers(500), frame_bytes=400)
    to = Holding()
    source = receiver(server, to)
    with running(source):
        wait_for(lambda: len(to.messages) == 500, timeout=20)
        server.kill()
        wait_for(
            lambda: any("lost" in text or "not connected" in text for text in source.problems()), timeout=20
        )
        wait_for(lambda: source.info()["lag"] is None, timeout=20)  # nobody knows
        to.settle()
        server.start()
        publish(server, numbers(500, 500), frame_bytes=400)
        wait_for(lambda: len(set(numbers_in(to))) == 1000, timeout=40)
        wait_for(lambda: to.settle() and pending(server) == (0, 0), timeout=40)
        assert source.problems() == []
    assert set(numbers_in(to)) == set(range(1000))


def test_a_stream_deleted_and_created_again(server: NatsServer) -> None:
    """It says so, creates its consumer again, and acknowledges nothing of the new stream for the old one."""
    publish(server, numbers(10), frames=False)
    to = Holding()
    source = receiver(server, to, create=False)
    with running(source):
        wait_for(lambda: len(to.messages) == 10, timeout=20)
        server.ask(lambda context: context.delete_stream("LOGS"))
        wait_for(lambda: any("there is no stream 'LOGS'" in text for text in source.problems()), timeout=40)
        old, to.waiting = to.waiting, []
        publish(server, numbers(10, 10), frames=False)
        wait_for(lambda: len(to.messages) == 20, timeout=20)
        while old:
            old.pop().release()
        server.ask(lambda context: context.publish("logs.x", b'{"n":20}'))
        wait_for(lambda: len(to.messages) == 21, timeout=20)
        assert pending(server) == (0, 11)
        to.settle()
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
        assert source.problems() == []
    assert numbers_in(to) == list(range(21))


def test_a_consumer_that_exists_is_used_as_it_is_or_refused(server: NatsServer) -> None:
    """A difference is reported, and one that cannot be used stays a problem."""
    publish(server, numbers(1))
    make = [
        ConsumerConfig(durable_name="archive", ack_wait=5, max_ack_pending=7, inactive_threshold=60),
        ConsumerConfig(durable_name="none", ack_policy=AckPolicy.NONE),
        ConsumerConfig(durable_name="push", deliver_subject="there", ack_policy=AckPolicy.EXPLICIT),
        ConsumerConfig(durable_name="headers", headers_only=True),
    ]
    for config in make:
        server.ask(lambda context: context.add_consumer("LOGS", config))  # noqa: B023 - it is over at once
    to = Kept()
    source = receiver(server, to)
    with running(source):
        wait_for(lambda: to.messages, timeout=20)
    assert (
        "exists, and is used as it is: it has ack_wait 5.0, not 30.0; max_ack_pending 7, not 10000;"
        " inactive_threshold 60.0, not none" in reports(source)
    )
    for name, said in (
        ("none", "its ack_policy is none: it must be explicit"),
        ("push", "it pushes its messages"),
        ("headers", "it gives headers without what the messages contain"),
    ):
        source = receiver(server, Kept(), durable=name)
        with running(source):
            wait_for(lambda: said in "".join(source.problems()), timeout=20)  # noqa: B023 - it is over at once


def test_what_a_consumer_of_others_gives_up_fails_here(server: NatsServer) -> None:
    """Its server never delivers more often than its max_deliver: after that a message is a dead letter, not gone."""
    publish(server, numbers(5), frames=False)
    config = ConsumerConfig(durable_name="archive", max_deliver=2)
    server.ask(lambda context: context.add_consumer("LOGS", config))
    kept = Kept()
    loses = Losing(wants=lambda message: message["n"] == 3, output_to=kept)
    source = receiver(server, loses, dead_letters=True)
    with running(source):
        wait_for(lambda: "it was delivered 2 times" in reports(source), timeout=20)
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
    assert set(numbers_in(kept)) == {0, 1, 2, 4}
    assert (
        "it has max_ack_pending 1000, not 10000; max_deliver 2: what the chain loses so often fails"
        in reports(source)
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"max_batch": 10}, "409 Exceeded MaxRequestBatch of 10 (options window and window_bytes)"),
        (
            {"priority_groups": ["a"], "priority_policy": "overflow"},
            "400 Bad Request - Priority Group missing",
        ),
        ({"pause_until": "2100-01-01T00:00:00Z"}, "is paused, and gives no messages"),
    ],
)
def test_a_consumer_that_gives_nothing_is_said_and_not_asked_without_end(
    server: NatsServer, config: dict[str, Any], said: str
) -> None:
    """It is there, and refuses what is requested, or is paused: whoever looks sees why nothing comes."""
    publish(server, numbers(3))
    asked = {"stream_name": "LOGS", "config": {"durable_name": "archive", "ack_policy": "explicit", **config}}

    async def make(context: JetStreamContext) -> None:
        client: Any = context._nc
        await client.request("$JS.API.CONSUMER.CREATE.LOGS.archive", json.dumps(asked).encode())

    server.ask(make)
    source = receiver(server, Kept())
    with running(source):
        wait_for(lambda: said in "".join(source.problems()) and said in reports(source), timeout=20)
        assert source._puller._number < 20
        assert source.info()["lag"] == 1


def test_what_is_removed_before_it_is_read_is_told(server: NatsServer) -> None:
    """While a node is slow, and while none reads; what others are to read, or a stream compacts, is no loss."""
    limits: dict[str, Any] = {"max_messages": 10, "discard": "old", "frames": False}
    to = Holding()
    given = {name: limits[name] for name in ("max_messages", "discard")}
    source = receiver(server, to, window=2, **given)
    publish(server, numbers(4), **limits)
    with running(source):
        wait_for(lambda: len(to.messages) == 2, timeout=20)
        publish(server, numbers(100, 4), **limits)
        wait_for(lambda: to.settle() and pending(server) == (0, 0), timeout=20)
    assert len(to.messages) == 104 - sum(removed_of(reports(source)))
    publish(server, numbers(50), **limits)
    source = receiver(server, (kept := Kept()), **given)
    with running(source):
        wait_for(lambda: len(kept.messages) == 10, timeout=20)
    assert removed_of(reports(source)) == [40]
    for subject in ("logs.app", "logs.other"):
        publish(server, numbers(10), subject=subject, **limits)
    source = receiver(server, (kept := Kept()), durable="other", filter_subject="logs.other", **given)
    with running(source):
        wait_for(lambda: len(kept.messages) == 10, timeout=20)
    assert removed_of(reports(source)) == []

    async def compacted(context: JetStreamContext) -> None:
        await context.add_stream(name="LAST", subjects=["last.*"], max_msgs_per_subject=1)
        for subject in ("last.a", "last.b", "last.b"):
            await context.publish(subject, b'{"n":1}')

    server.ask(compacted)
    source = receiver(server, (kept := Kept()), stream="LAST", create=False)
    with running(source):
        wait_for(lambda: len(kept.messages) == 2, timeout=20)
    assert removed_of(reports(source)) == []


def removed_of(text: str) -> list[int]:
    """How many messages were reported as removed, each time."""
    return [int(found) for found in re.findall(r"at least (\d+) messages? w\w+ removed from it", text)]


def test_a_missing_stream_is_waited_for(server: NatsServer) -> None:
    """Without `create`, it says what is missing, and begins once somebody has created it."""
    to = Kept()
    source = receiver(server, to, create=False)
    with running(source):
        wait_for(lambda: "there is no stream 'LOGS'" in "".join(source.problems()), timeout=20)
        publish(server, numbers(5))
        wait_for(lambda: len(to.messages) == 5, timeout=20)


def test_a_consumer_of_what_is_new_begins_there(server: NatsServer) -> None:
    """`deliver_policy` says where a consumer begins that is created."""
    publish(server, numbers(5))
    to = Kept()
    source = receiver(server, to, deliver_policy="new")
    with running(source):
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        publish(server, numbers(5, 5))
        wait_for(lambda: len(to.messages) == 5, timeout=20)
    assert numbers_in(to) == [5, 6, 7, 8, 9]


def test_a_consumer_of_what_is_new_that_is_removed_misses_nothing(server: NatsServer) -> None:
    """The next one begins where the first had begun, not with what is new then; and that is said."""
    publish(server, numbers(5))
    to = Kept()
    source = receiver(server, to, deliver_policy="new")
    with running(source):
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        publish(server, numbers(5, 5))
        wait_for(lambda: pending(server) == (0, 0), timeout=20)
        server.ask(lambda context: context.delete_consumer("LOGS", "archive"))
        wait_for(lambda: len(to.messages) == 10 and pending(server) == (0, 0), timeout=20)
        publish(server, numbers(2, 10))
        wait_for(lambda: len(to.messages) == 12, timeout=20)
        assert "is another one than before: it begins with what is stored since" in reports(source)
        assert "exists, and is used" not in reports(source)
    assert numbers_in(to) == [*range(5, 10), *range(5, 12)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stream": "LOGS"}, "needs the option 'durable'"),
        ({"durable": "x"}, "needs the option 'stream'"),
        ({"stream": "LOGS", "durable": "a b"}, "'durable' must be"),
        ({"stream": "LOGS", "durable": "x", "create": True}, "create needs the subjects"),
        ({"stream": "LOGS", "durable": "x", "filter_subject": "a..b"}, "'a..b' is no subject"),
    ],
)
def test_mistakes_in_options_are_the_users(options: dict[str, Any], said: str) -> None:
    """Each is told before anything is sent."""
    with pytest.raises(OptionError) as caught:
        JetStreamInput(**options)
    assert said in str(caught.value)


def test_the_commands_of_the_guide_lose_nothing_when_the_reading_node_is_killed(
    server: NatsServer, tmp_path: Path, nodes: list[Node]
) -> None:
    """Killed while it writes, twice: the next run of the same command goes on, and every line is in the file."""
    publish(server, numbers(20_000), frame_bytes=2000)
    options = {"servers": server.url, "stream": "LOGS", "durable": "archive", "ack_wait": 1.0, "window": 20}
    words = ["--input", "JetStream", "--input_options", json.dumps(options), "--output", "File"]
    path = tmp_path / "archive.log"
    command = [*OURS, *words, "--output_options", json.dumps({"filename": str(path), "fsync": "batch"})]
    written = 0
    for _ in range(2):
        nodes.append(Node(command))
        wait_for(lambda: path.exists() and path.stat().st_size > written, timeout=20)  # noqa: B023
        nodes[-1].signal(signal.SIGKILL)
        nodes.pop().end()
        written = path.stat().st_size
    nodes.append(Node(command))
    wait_for(lambda: pending(server) == (0, 0), timeout=40)
    status, _, told = nodes.pop().stop()
    assert status == 0, told
    found = [json.loads(line)["n"] for line in path.read_bytes().splitlines() if line.startswith(b'{"n": ')]
    assert set(found) == set(range(20_000))
    assert len(found) < 30_000
