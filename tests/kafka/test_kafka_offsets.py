"""The offsets that may be committed: pure, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafka_broker import FRAME
from message_passing.kafka.records import KafkaRecord, PartitionOffsets, records_of, without_gaps
from message_passing.kafka.window import RecordWindow

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["receive", "settle", "lose", "advance", "revoke"]),
        st.integers(0, 2),
        st.integers(0, 5),
    ),
    max_size=200,
)


def record(assignment: int, partition: int, offset: int, value: bytes | None = b"x") -> KafkaRecord:
    """One that has just come."""
    return KafkaRecord((assignment, offset), partition, value, 0.0)


def settle(records: list[KafkaRecord], index: int, *, lost: bool) -> None:
    """The chain is done with it; or it has lost it, and each comes again by itself."""
    if not lost:
        records[index].settled = True
    elif not records[index].settled:
        records[index : index + 1] = records[index].each()


@given(EVENTS)
def test_offsets_never_pass_an_unsettled_record(events: list[tuple[str, int, int]]) -> None:
    """In any order, with gaps, several as one or lost and apart, and partitions that go; nothing settled stays."""
    offsets = PartitionOffsets()
    here: dict[int, list[KafkaRecord]] = {}
    following = dict.fromkeys(range(3), 0)
    left_behind: list[KafkaRecord] = []
    for what, number, choice in events:
        if number not in here:
            here[number] = []
            offsets.assign(number, None)
        if what == "receive":
            following[number] += choice  # compaction leaves gaps
            values, key = [b"x"] * (1 + choice % 3), (offsets.assignment(number), following[number])
            (one,) = records_of(key, number, values, [None] * len(values), 0.0, together=True)
            offsets.receive(one)
            here[number].append(one)
            following[number] += one.count
        elif what in {"settle", "lose"} and here[number]:
            settle(here[number], choice % len(here[number]), lost=what == "lose")
        elif what == "revoke":
            offsets.revoke([number])
            left_behind += here.pop(number)
        for one in left_behind:
            one.settled = True  # the chain is done with it when it is another node's
        for moved, offset in offsets.advance().items():
            first = next((one.offset for one in here[moved] if not one.settled), following[moved])
            assert offset <= first
            assert all(one.settled for one in here[moved] if one.offset < offset)
        for known, records in here.items():
            while records and records[0].settled:
                records.pop(0)
            assert (
                offsets.next(known) is None
                or not records
                or offsets.next(known) == records[0].offset
                or ((offsets.next(known) or 0) < records[0].offset)
            )
        assert offsets.count == sum(one.count for records in here.values() for one in records)
        assert offsets.size == offsets.count
        assert all(offsets.busy([known]) != all(one.settled for one in here[known]) for known in here)


def test_a_frame_is_said_to_be_one_and_a_tombstone_is_nothing() -> None:
    """By its header; a value with line breaks alone is one message, and none at all needs no chain."""
    values, headers = (
        [b"a\nb", b"c\nd", b"", b"", None],
        [[FRAME], [("other", b"lines")], [FRAME], None, None],
    )
    found = [*records_of((1, 7), 0, values, headers, 0.0, together=True)]
    assert [one.messages for one in found] == [[b"a", b"b"], [b"c\nd"], [b""], [b""], []]
    assert [one.offset for one in found] == [7, 8, 9, 10, 11]
    window = RecordWindow(10, 1000, wake=lambda: None, clock=lambda: 0.0)
    tombstone = record(1, 0, 0, None)
    window.arrived([tombstone])
    assert tombstone.settled
    assert not window.ready


def test_single_messages_that_follow_one_another_are_as_one_until_they_are_lost() -> None:
    """Not beyond what has line breaks, is a frame or nothing; then each comes again alone, and settles alone."""
    values: list[bytes | None] = [b"a", b"b", b"c\nd", None, b"e", b"f"]
    headers = [None, [("trace", b"1")], None, None, None, None]
    found = [*records_of((1, 0), 0, values, headers, 0.0, together=True)]
    assert [one.messages for one in found] == [[b"a"], [b"b"], [b"c\nd"], [], [b"e", b"f"]]
    assert [(one.offset, one.count, one.size) for one in found][-1] == (4, 2, 2)
    assert all(one.count == 1 for one in records_of((1, 0), 0, values, headers, 0.0, together=False))
    now = [0.0]
    window, offsets = RecordWindow(10, 1000, wake=lambda: None, clock=lambda: now[0]), PartitionOffsets()
    offsets.assign(0, 4)
    offsets.receive(found[-1])
    window.arrived(found[-1:])
    window.put_off(window.take()[0], 1.0)
    assert (offsets.count, offsets.size, offsets.busy([0]), offsets.advance()) == (2, 2, True, {})
    now[0] = 1.0
    window.repeat()
    first, second = window.take(), window.take()
    assert [one.messages for one in [*first, *second]] == [[b"e"], [b"f"]]
    window.acknowledge(second)
    assert offsets.advance() == {}
    window.acknowledge(first)
    assert (offsets.advance(), offsets.count, offsets.size) == ({0: 6}, 0, 0)


def test_runs_of_offsets_end_at_every_gap_and_step_back() -> None:
    """Also where the ends alone would look as if there was none."""
    assert [*without_gaps([3, 4, 5])] == [(0, 3)]
    assert [*without_gaps([5, 0, 7, 8])] == [(0, 1), (1, 2), (2, 4)]


def test_what_the_chain_lost_waits_here_unless_its_partition_goes() -> None:
    """It comes again after its delay, counted; what goes to another node is neither repeated nor settled."""
    now = [0.0]
    window = RecordWindow(10, 1000, wake=lambda: None, clock=lambda: now[0])
    first, second, third = (record(assignment, 0, 0) for assignment in (1, 2, 3))
    window.arrived([first, second, third])
    for one in window.take():
        window.put_off(one, 1.0 + one.key[0])
    window.repeat()
    assert not window.ready
    assert window.next_due == 2.0
    now[0] = 2.0
    window.repeat()
    assert [(one.key, one.deliveries) for one in window.ready] == [((1, 0), 2)]
    window.take()
    window.forget([1, 2])
    now[0] = 9.0
    window.repeat()
    assert [one.key[0] for one in window.ready] == [3]
    window.acknowledge([first])
    assert not first.settled
    assert second.dropped
    window.release(everything=True)
    assert window.unsettled() == 0
    assert not third.settled
