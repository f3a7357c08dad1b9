"""Lines of several files on their way to become messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from message_passing.inputs._line_queue import LineQueue, LineRun, LineRuns, texts_of_lines

RUNS: st.SearchStrategy[list[LineRun]] = st.lists(
    st.tuples(st.just({}), st.lists(st.binary(max_size=3), min_size=1, max_size=5)), max_size=6
)


@given(RUNS, st.integers(-3, 40), st.integers(-3, 40))
def test_runs_are_a_sequence_of_lines(runs: list[LineRun], a: int, b: int) -> None:
    """As long as all their lines are, each of which, and each part, is found by its index."""
    lines = [line for _, some in runs for line in some]
    found = LineRuns(runs)
    assert len(found) == len(lines)
    assert [line for _, (line,) in found] == lines
    assert [line for _, (line,) in found[a:b]] == lines[a:b]
    assert found.size == sum(map(len, lines))


@given(RUNS, st.integers(1, 7))
def test_taken_in_order(runs: list[LineRun], most: int) -> None:
    """So many at a time at most, until none is left."""
    queue = LineQueue()
    for fields, lines in runs:
        queue.add(fields, list(lines))
    taken = []
    while queue.count:
        part = [line for _, some in queue.take(most) for line in some]
        assert 0 < len(part) <= most
        taken += part
    assert taken == [line for _, some in runs for line in some]


@given(st.lists(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\xe2", b"\x82", b"\xac"])), min_size=1))
def test_lines_decoded_together(parts: list[list[bytes]]) -> None:
    """They become what each becomes by itself, with invalid bytes, CR and newlines within them."""
    lines = [b"".join(some) for some in parts]
    assert texts_of_lines(lines) == [
        one.removesuffix(b"\r").decode("utf-8", "backslashreplace") for one in lines
    ]
