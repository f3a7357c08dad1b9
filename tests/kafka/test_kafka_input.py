"""The Kafka input, against librdkafka's mock of a cluster, and against Tansu."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_INVALID, KafkaError, TopicPartition

from engine_parts import Holding, Losing, numbers, numbers_in, reports
from kafka_broker import FRAME, Tansu
from message_passing.codecs.json import JSONDecoder
from message_passing.inputs.kafka import KafkaInput
from message_passing.kafka import consuming
from message_passing.outputs.kafka import KafkaOutput
from message_passing.testing import ListInput, run_input, running, wait_for
from nodes import OURS, Node
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from kafka_broker import MockCluster, Questions
    from message_passing.flow import Output

QUICK: dict[str, Any] = {
    "retry_first": 0.05,
    "retry_longest": 0.2,
    "reconnect_longest": 0.2,
    "session_timeout": 1.5,  # of which the mock makes the time that a rebalance takes, too
}


def receiver(broker: Questions, to: Output, **options: Any) -> KafkaInput:
    """An input that retries soon, with a decoder after it."""
    given = {
        "bootstrap_servers": broker.servers,
        "topic": "logs",
        "group": "archive",
        "error": Kept(),
        **QUICK,
    }
    return KafkaInput(output_to=JSONDecoder(output_to=to), **{**given, **options})


def publish(broker: Questions, messages: Sequence[Any], lines: int = 1) -> None:
    """Store messages, so many to a frame; 1: singly."""
    found = [json.dumps(one).encode() for one in messages]
    frames = [b"\n".join(found[at : at + lines]) for at in range(0, len(found), lines)]
    broker.put(frames, headers=[FRAME] if lines > 1 else [])


def test_it_commits_what_the_chain_has_settled_and_not_before(cluster: MockCluster) -> None:
    """Frames are taken apart; the lag is what is not settled; a member that ends in order commits the last."""
    publish(cluster, numbers(3000), 200)
    to = Holding()
    source = receiver(cluster, to)
    with running(source):
        wait_for(lambda: len(to.messages) == 3000, timeout=20)
        wait_for(lambda: source.info()["lag"] == len(cluster.stored()), timeout=20)
        to.settle()
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        assert source.info()["partitions"] == 4
    assert sorted(numbers_in(to)) == list(range(3000))
    assert cluster.left() == 0
    assert not source.error.messages


def test_single_messages_of_others_and_the_window(cluster: MockCluster) -> None:
    """No more are here at a time than the window; the rest comes as there is room, and each once."""
    cluster.put([b'{"n":%d}' % number for number in range(60)])
    to = Holding()
    source = receiver(cluster, to, window=20)
    with running(source):
        wait_for(lambda: len(to.messages) == 20, timeout=20)
        wait_for(lambda: source.info()["lag"] == 60, timeout=20)
        assert len(to.messages) == 20
        wait_for(lambda: to.settle() and len(to.messages) == 60, timeout=20)
    assert sorted(numbers_in(to)) == list(range(60))


def test_lost_messages_come_again_and_go_to_the_error_chain_in_the_end(cluster: MockCluster) -> None:
    """With max_deliveries: whole, as a dead letter; the others are not concerned."""
    publish(cluster, numbers(20))
    kept = Kept()
    loses = Losing(wants=lambda message: message["n"] == 7, output_to=kept)
    source = receiver(cluster, loses, max_deliveries=3, dead_letters=True)
    with running(source):
        wait_for(lambda: "max_deliveries" in reports(source), timeout=20)
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
    assert set(numbers_in(kept)) == set(range(20)) - {7}
    assert source.info()["redelivered"] >= 2
    assert cluster.left() == 0


def test_two_members_share_under_load_and_what_one_leaves_the_other_gets(cluster: MockCluster) -> None:
    """Partitions go from one to the other and back; nothing is missing, and nothing that was settled comes twice."""
    first, second = Kept(), Kept()
    one, other = receiver(cluster, first), receiver(cluster, second)
    published = 0

    def load() -> bool:
        nonlocal published
        cluster.put([b'{"n":%d}' % number for number in range(published, published + 20)])
        published += 20
        return True

    with running(one):
        wait_for(lambda: load() and one.info()["partitions"] == 4 and first.messages, timeout=20)
        with running(other):
            wait_for(lambda: load() and other.info()["partitions"] == 2 and second.messages, timeout=30)
        wait_for(lambda: load() and one.info()["partitions"] == 4, timeout=30)
        whole = set(range(published))
        wait_for(lambda: {*numbers_in(first), *numbers_in(second)} == whole, timeout=20)
    found = numbers_in(first) + numbers_in(second)
    assert set(found) == set(range(published))
    # On a busy machine a member may be taken for dead, or come too late with what it commits; it says so.
    told = reports(one) + reports(other)
    assert len(found) == published or "(session_timeout)" in told or "not committed" in told


def test_a_member_finishes_what_it_has_begun_before_partitions_go(cluster: MockCluster) -> None:
    """The group waits for its chain, up to `revoke_wait`; then the rest is done twice, and not lost."""
    publish(cluster, numbers(40))
    slow, kept = Holding(), Kept()
    one, other = receiver(cluster, slow, revoke_wait=20.0), receiver(cluster, kept)
    with running(one):
        wait_for(lambda: len(slow.messages) == 40, timeout=20)
        with running(other):
            # Nothing else tells of it; on a busy machine the member may be taken for dead meanwhile, and says so.
            wait_for(lambda: one._records._leaving or "(session_" in reports(one), timeout=30)
            slow.settle()
            wait_for(lambda: other.info()["partitions"] == 2, timeout=30)
            wait_for(lambda: cluster.left() == 0, timeout=20)
    assert not kept.messages or "(session_timeout)" in reports(one) or "not committed" in reports(one)


def test_brokers_that_are_away_and_a_topic_that_is_missing_need_no_hand(cluster: MockCluster) -> None:
    """Each is said, and over by itself."""
    cluster.topic_error("logs", KafkaError.UNKNOWN_TOPIC_OR_PART)
    kept = Kept()
    source = receiver(cluster, kept)
    with running(source):
        wait_for(lambda: "there is no topic 'logs': create it" in str(source.problems()), timeout=20)
        cluster.topic_error("logs", 0)
        cluster.put([b'{"n":0}'])
        wait_for(lambda: len(kept.messages) == 1 and not source.problems(), timeout=30)
        cluster.down()
        wait_for(lambda: "no server listens there" in str(source.problems()), timeout=20)
        wait_for(lambda: source.info()["lag"] is None, timeout=20)  # nobody knows
        cluster.up()
        cluster.put([b'{"n":1}'])
        wait_for(lambda: len(kept.messages) == 2 and not source.problems(), timeout=20)
    assert "no server listens there" in reports(source)


def test_a_group_that_is_not_allowed_is_said(cluster: MockCluster) -> None:
    """And the topic, with the user's name for it."""
    cluster.topic_error("logs", KafkaError.TOPIC_AUTHORIZATION_FAILED)
    source = receiver(cluster, Kept())
    with running(source):
        wait_for(lambda: "not allow this user to use the topic" in str(source.problems()), timeout=20)


def test_a_topic_that_is_deleted_under_us_is_waited_for(cluster: MockCluster) -> None:
    """That is said, with what to do, and nothing else is; the input goes on once there is a topic again."""
    publish(cluster, numbers(30))
    kept = Kept()
    source = receiver(cluster, kept)
    with running(source):
        wait_for(lambda: len(kept.messages) == 30, timeout=20)
        cluster.topic_error("logs", KafkaError.UNKNOWN_TOPIC_OR_PART)
        wait_for(lambda: "there is no topic 'logs': create it" in str(source.problems()), timeout=30)
        cluster.topic_error("logs", 0)
        publish(cluster, numbers(10, 30))
        whole = set(range(40))
        wait_for(lambda: set(numbers_in(kept)) == whole and not source.problems(), timeout=30)
    assert "session_timeout" not in reports(source)


def test_what_is_removed_before_it_is_read_is_told(cluster: MockCluster) -> None:
    """Retention does not wait for readers: how many records were removed unread is said."""
    cluster.put([b'{"n":%d}' % number for number in range(10)], partition=0)
    cluster.commit("archive", 0, 10)
    cluster.put([b'{"n":%d}' % number for number in range(10, 40)], partition=0)
    cluster.remove("logs", 0, 35)
    kept = Kept()
    source = receiver(cluster, kept)
    with running(source):
        wait_for(lambda: len(kept.messages) == 5, timeout=20)
        wait_for(lambda: "25 records were removed from partition 0" in reports(source), timeout=20)


def test_a_group_that_began_with_what_was_new_misses_nothing_of_what_is_left(cluster: MockCluster) -> None:
    """If its place was removed, it goes on with the first record that is there, not with the next one."""
    cluster.commit("archive", 0, 0)
    cluster.put([b'{"n":%d}' % number for number in range(40)], partition=0)
    cluster.remove("logs", 0, 35)
    kept = Kept()
    source = receiver(cluster, kept, start="new")
    with running(source):
        wait_for(lambda: len(kept.messages) == 5, timeout=20)
        wait_for(lambda: "35 records were removed from partition 0" in reports(source), timeout=20)
        wait_for(lambda: source.info()["lag"] == 0, timeout=20)
    assert numbers_in(kept) == [*range(35, 40)]


def test_a_partition_that_was_added_later_is_read_from_its_beginning() -> None:
    """Also by a group that began with what was new: all that is in such a partition is."""
    source = KafkaInput(topic="logs", group="archive", start="new", output_to=Kept())
    asked: dict[int, int] = {}

    class Library:
        """What the thread asks."""

        def committed(self, places: list[Any], timeout: float) -> list[Any]:
            """The group has never been here."""
            return places

        def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
            """Some are there."""
            return 2, 7

        def incremental_assign(self, places: list[Any]) -> None:
            """Where it begins."""
            asked.update({one.partition: one.offset for one in places})

        def store_offsets(self, offsets: list[Any]) -> None:
            """They are."""

    thread: Any = source._thread
    thread._first_partitions = 2
    thread._assign(Library(), [TopicPartition("logs", 1), TopicPartition("logs", 2)])
    assert asked == {1: 7, 2: OFFSET_INVALID}  # the library then begins with the first
    assert thread.offsets.next(2) == 2


def test_a_node_without_a_partition_says_so_and_knows_no_lag_before_it_has_joined(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More nodes than partitions: one is idle, and that is no mystery."""
    monkeypatch.setattr(consuming, "_SHARING", 0.2)
    cluster.make("one")
    first, second = receiver(cluster, Kept(), topic="one"), receiver(cluster, Kept(), topic="one")
    assert first.info()["lag"] is None
    with running(first), running(second):
        wait_for(
            lambda: (
                sorted(len(source.notes()) for source in (first, second)) == [0, 1]
                and first.info()["partitions"] + second.info()["partitions"] == 1
            ),
            timeout=20,
        )
        idle = first if first.notes() else second
        wait_for(lambda: "it has no partition" in str(idle.notes()) and idle.info()["lag"] == 0, timeout=20)


def test_a_new_group_begins_with_the_next_message(cluster: MockCluster) -> None:
    """With `start` new."""
    publish(cluster, numbers(50), 10)
    kept = Kept()
    source = receiver(cluster, kept, start="new")
    with running(source):
        wait_for(lambda: source.info()["partitions"] == 4 and source.info()["lag"] == 0, timeout=20)
        wait_for(lambda: cluster.left() == 0, timeout=20)
        publish(cluster, numbers(50, 50), 10)
        wait_for(lambda: len(kept.messages) == 50, timeout=20)
    assert sorted(numbers_in(kept)) == list(range(50, 100))


def test_a_killed_node_leaves_nothing_behind(cluster: MockCluster, tmp_path: Path, nodes: list[Node]) -> None:
    """Killed while it reads: another member of the group goes on, and every message has come."""
    publish(cluster, numbers(3000), 50)
    options = {
        "bootstrap_servers": cluster.servers,
        "topic": "logs",
        "group": "archive",
        **QUICK,
        "session_timeout": 1.0,
        "window": 5,
    }
    words = ["--input", "Kafka", "--input_options", json.dumps(options), "--output", "File"]
    path = tmp_path / "archive.log"
    command = [*OURS, *words, "--output_options", json.dumps({"filename": str(path)})]
    nodes.append(Node(command))
    wait_for(lambda: path.exists() and path.stat().st_size > 0, timeout=20)
    nodes[-1].signal(signal.SIGKILL)
    nodes.pop().end()
    kept = Kept()
    with running(receiver(cluster, kept)):
        wait_for(lambda: cluster.left() == 0, timeout=30)
    lines = [line for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert {json.loads(line)["n"] for line in lines} | set(numbers_in(kept)) == set(range(3000))


def test_the_command_of_the_guide_reads_a_real_broker(tmp_path: Path) -> None:
    """As it is typed. Tansu takes half of `session_timeout` to make a group."""
    tansu = Tansu(tmp_path)
    tansu.start()
    try:
        to = KafkaOutput(bootstrap_servers=tansu.servers, topic="logs", create=True, batch_age=0.0)
        lines = [json.dumps(one).encode() for one in numbers(100)]
        run_input(ListInput(messages=lines, output_to=to), timeout=60)
        assert to.metrics.lost() == 0
        options = {
            "bootstrap_servers": tansu.servers,
            "topic": "logs",
            "group": "archive",
            "session_timeout": 2.0,
        }
        words = ["--input", "Kafka", "--input_options", json.dumps(options), "--output", "STDOUT"]
        with subprocess.Popen([*OURS, *words], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            found = sorted(json.loads(process.stdout.readline())["n"] for _ in range(100))
            process.terminate()
        assert found == list(range(100))
        assert process.returncode == 0
        assert tansu.left() == 0
    finally:
        tansu.end()
