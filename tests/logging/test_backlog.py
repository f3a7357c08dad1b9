"""The queues: bounded, nothing lost but what they say, order kept, and the least severe first to go."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.logging.backlog import Backlog, Item, Policy, make_backlog

policies = st.sampled_from(get_args(Policy))
levels = st.lists(st.sampled_from([10, 20, 30, 40]), max_size=60)


def items(numbers: list[int]) -> list[Item]:
    """An item for each level; what they hold are their numbers."""
    return [(level, str(level), str(place).encode()) for place, level in enumerate(numbers)]


def put(backlog: Backlog, item: Item) -> list[Item]:
    """Put an item in; all that went for it."""
    gone, before = [], backlog.added
    while backlog.added == before:
        lost = backlog.add(item)
        gone += [lost] if lost else []
    return gone


@given(policy=policies, limit=st.integers(0, 12), given_levels=levels, taken=st.lists(st.integers(0, 5)))
def test_it_is_bounded_and_conserves(
    policy: Policy, limit: int, given_levels: list[int], taken: list[int]
) -> None:
    """Each item is inside, was taken, or was given back when there was no room; the rest are in order."""
    backlog, gone, out = make_backlog(policy, limit), [], []
    takes = iter(taken)
    for item in items(given_levels):
        gone += [lost[2] for lost in put(backlog, item)]
        assert len(backlog) <= (limit or len(given_levels))
        if count := min(next(takes, 0), len(backlog)):
            first = backlog.first(count)
            assert len(first) == count
            backlog.remove(count)
            out += first
    first = backlog.first(1000)
    left = [item[2] for item in backlog.drain()]
    assert first == left
    assert len(backlog) == 0
    out += left
    assert Counter(gone + out) == Counter(item[2] for item in items(given_levels))
    assert list(map(int, out)) == sorted(map(int, out))
    if not limit:
        assert gone == []


@given(limit=st.integers(1, 12), given_levels=levels)
def test_what_goes_is_what_the_policy_says(limit: int, given_levels: list[int]) -> None:
    """The first stay, the last stay, or the most severe stay, and of those the first."""
    offered = items(given_levels)
    severe = sorted(offered, key=lambda item: (-item[0], int(item[2])))[:limit]
    expected = {
        "drop_newest": offered[:limit],
        "drop_oldest": offered[-limit:],
        "drop_least_severe": sorted(severe, key=lambda item: int(item[2])),
    }
    for policy in get_args(Policy):
        backlog = make_backlog(policy, limit)
        for item in offered:
            put(backlog, item)
        assert list(backlog.drain()) == expected[policy]


@given(
    policy=policies,
    limit=st.integers(0, 12),
    most=st.sampled_from([0, 1, 500, 2000]),
    batches=st.lists(levels, max_size=4),
)
def test_many_at_once_are_as_one_by_one(
    policy: Policy, limit: int, most: int, batches: list[list[int]]
) -> None:
    """What there is room for goes in, in order, and nothing else; the two bounds hold."""
    together, single = make_backlog(policy, limit, most), make_backlog(policy, limit, most)
    for batch in map(items, batches):
        before = together.added
        together.extend([item[:2] for item in batch], [item[2] for item in batch])
        count = together.added - before
        for item in batch[:count]:
            assert single.add(item) is None
        assert count == len(batch) or put(single, batch[count])
        assert not limit or len(together) <= limit
        assert not most or together.size <= most
        single = make_backlog(policy, limit, most)
        for item in (kept := together.items(1000)):
            assert single.add(item) is None
        assert single.items(1000) == kept


@pytest.mark.parametrize("policy", get_args(Policy))
def test_nothing_is_taken_by_looking(policy: Policy) -> None:
    """`first` leaves what it gives."""
    backlog = make_backlog(policy, 5)
    for item in items([30, 10]):
        assert backlog.add(item) is None
    assert backlog.first(1) == [b"0"]
    assert backlog.first(9) == [b"0", b"1"]
    assert len(backlog) == 2
