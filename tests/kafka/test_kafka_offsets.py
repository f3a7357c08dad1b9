"""The offsets that may be committed: pure, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafka_broker import FRAME
from message_passing.kafka.records import (
    KafkaRecord,
    PartitionOffsets,
    RecordWindow,
    records_of,
)

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["receive", "settle", "advance", "revoke"]), st.integers(0, 2), st.integers(0, 5)
    ),
    max_size=200,
)


def record(assignment: int, partition: int, offset: int, value: bytes | None = b"x") -> KafkaRecord:
    """One that has just come."""
    return KafkaRecord((assignment, offset), partition, value, 0.0)


@given(EVENTS)
def test_offsets_never_pass_an_unsettled_record(events: list[tuple[str, int, int]]) -> None:
    """In any order of settling, with gaps, and partitions that go and come back; and nothing settled stays behind."""
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
            one = record(offsets.assignment(number), number, following[number])
            offsets.receive(one)
            here[number].append(one)
            following[number] += 1
        elif what == "settle" and here[number]:
            here[number][choice % len(here[number])].settled = True
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
        assert offsets.count == sum(map(len, here.values()))
        assert offsets.size == offsets.count


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
