"""What an engine's input passes on together, and how: pure."""

from __future__ import annotations

import pytest

from message_passing.network.consumer_window import ConsumerWindow, Received
from message_passing.network.engine_input import EngineInput
from message_passing.wiring import Wiring
from message_passing.zeromq.hop.packing import BLOCK_BYTES, TOGETHER_BYTES


def window_of(*given: tuple[bytes, bool, int]) -> ConsumerWindow[Received]:
    """A window with these, by their bytes, whether they are frames, and how often they were delivered."""
    window = ConsumerWindow[Received](1000, 1 << 20, wake=lambda: None)
    for number, (body, lines, deliveries) in enumerate(given):
        window.admit(Received(number, body, len(body), deliveries, 0.0, lines=lines))
    return window


def test_frames_go_together_and_so_do_single_messages() -> None:
    """Never both, nor what was lost before with anything else; what is no frame keeps its line breaks."""
    window = window_of(
        (b"a\nb", True, 1),
        (b"c", True, 1),
        (b"d\ne", False, 1),
        (b"f", False, 1),
        (b"g\nh", True, 2),
        (b"i", True, 1),
    )
    taken = []
    while window.ready:
        taken.append([message for one in window.take() for message in one.messages])
    assert taken == [[b"a", b"b", b"c"], [b"d\ne", b"f"], [b"g", b"h"], [b"i"]]


def test_what_goes_together_has_bounds() -> None:
    """In bytes, which only a single one exceeds, and in number."""
    window = window_of((b"x" * 50, True, 1), (b"x" * 51, True, 1), (b"x" * 200, True, 1))
    assert [len(window.take(100)) for _ in range(3)] == [1, 1, 1]
    window = window_of((b"x" * 50, True, 1), (b"x" * 50, True, 1), (b"x", True, 1))
    assert [len(window.take(100)) for _ in range(2)] == [2, 1]
    window = window_of(*[(b"", False, 1)] * 1500)
    assert [len(window.take()) for _ in range(2)] == [1000, 500]
    window = window_of((b"", False, 1), (b"", False, 1))
    assert len(window.take(-1)) == 1


@pytest.mark.parametrize(
    ("blocks", "most", "expected"), [(True, 0, BLOCK_BYTES), (False, 2, TOGETHER_BYTES), (True, 1, -1)]
)
def test_more_is_passed_on_as_a_block_and_nothing_together_where_a_loss_is_final(
    blocks: bool, most: int, expected: int
) -> None:
    """With `max_deliveries` 1, what the chain loses fails: nothing else may fail with it."""
    source = EngineInput(max_deliveries=most)
    source.wiring = Wiring(blocks=blocks)
    assert source._together() == expected
