"""Counting has one door: nobody but the base classes touches a component's counters."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import message_passing
from message_passing.codecs.jsonlines import JSONLinesEncoder
from message_passing.component import MOST_REASONS, OTHER_REASONS
from message_passing.errors import MessageError
from message_passing.flow import Input, Output
from message_passing.lines import MultiMessage
from message_passing.metrics import Metrics
from support import Kept, accounted_for

ROOT = Path(message_passing.__file__).parent

DOORS = {"component", "output", "flow", "source", "metrics"}
"""The modules that count."""

COUNTERS = set(Metrics.__slots__)


def written(source: str) -> set[int]:
    """The lines in which a counter of some `metrics` is changed, or its `dropped` is given away to be."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
            if any(is_counter(one) for target in targets for one in ast.walk(target)):
                found.add(node.lineno)
        elif isinstance(node, ast.Call):
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            method = isinstance(inner, ast.Attribute) and inner.attr == "dropped" and is_counter(inner)
            if method and isinstance(node.func, ast.Attribute) and node.func.attr in {"update", "subtract"}:
                found.add(node.lineno)
            found |= {
                one.lineno
                for one in given
                if isinstance(one, ast.Attribute) and one.attr == "dropped" and is_counter(one)
            }
    return found


def is_counter(node: ast.AST) -> bool:
    """Whether this is `ANYTHING.metrics.COUNTER` (or of a local `metrics`)."""
    if not isinstance(node, ast.Attribute) or node.attr not in COUNTERS:
        return False
    of = node.value
    return (isinstance(of, ast.Attribute) and of.attr == "metrics") or (
        isinstance(of, ast.Name) and of.id == "metrics"
    )


def test_nobody_else_counts() -> None:
    """No module of the package but those of the contract changes a counter."""
    names = {path: path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.py")}
    found = {
        name: lines
        for path, name in names.items()
        if name not in DOORS and (lines := written(path.read_text("utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "self.metrics.dropped['x'] += 1",
        "self.metrics.received += 2",
        "metrics.passed = 3",
        "component.metrics.dropped.update(x=1)",
        "Sender(dropped=self.metrics.dropped)",
        "del self.metrics.dropped['x']",
    ],
)
def test_the_guard_sees_every_way(source: str) -> None:
    """What the search above looks for is found."""
    assert written(source) == {1}


class Loses(Output):
    """Loses everything, by number."""

    def write_many(self, messages: list[object]) -> None:
        """Drop them."""
        self.drop(len(messages), "no room")


def test_a_number_of_messages_is_dropped() -> None:
    """Who loses messages says how many and why; none is no reason."""
    loses = Loses()
    loses.consume_many([1, 2])
    loses.drop(0, "another reason")
    assert loses.snapshot()["dropped"] == {"no room": 2}
    assert accounted_for(loses)


@pytest.mark.parametrize(
    ("lost", "reason", "error"),
    [(1, 5, TypeError), (1, None, TypeError), (-5, "why", ValueError), (1, "", ValueError)],
)
def test_what_is_no_loss_is_the_component_s_mistake(lost: int, reason: Any, error: type[Exception]) -> None:
    """It is told where it is made, and counts nothing, rather than end whoever adds up the losses later."""
    for one in (Loses(), Reads(error=Kept(), output_to=Kept())):
        with pytest.raises(error, match="drop: "):
            one.drop(lost, reason)
        assert one.snapshot()["dropped"] == {}
        assert one.snapshot()["received"] == 0


def test_reasons_are_bounded() -> None:
    """However many a component makes up, nothing is uncounted."""
    loses = Loses()
    for number in range(MOST_REASONS + 50):
        loses.drop(2, f"reason {number}")
    dropped = loses.snapshot()["dropped"]
    assert len(dropped) == MOST_REASONS + 1
    assert dropped[OTHER_REASONS] == 100
    assert sum(dropped.values()) == 2 * (MOST_REASONS + 50)


class Reads(Input):
    """Loses some of what it reads before it has emitted it."""


def test_what_an_input_loses_it_has_received() -> None:
    """By number, as messages, and failed: its counters add up, whatever it was."""
    reads = Reads(error=Kept(), output_to=Kept())
    reads.emit([1])
    reads.drop(2, "socket full")
    reads.drop([b"a", MultiMessage(b"a\nb\nc", 3)], "socket full")
    reads.fail(MessageError("bad"), [b"x", b"y"])
    reads.fail(MessageError("bad"), [MultiMessage(b"a\nb", 2)])
    assert reads.snapshot()["dropped"] == {"socket full": 6}
    assert (reads.metrics.received, reads.metrics.failed) == (11, 4)
    assert accounted_for(reads)


class Weighs(Output):
    """Knows from the beginning that a frame is several messages."""

    weighs = True

    def write_many(self, messages: list[object]) -> None:
        """Lose the first, and fail with what is left."""
        self.drop(messages[:1], "no room")
        self.fail(MessageError("bad"), messages[1:])


@pytest.mark.parametrize("weighs", [True, False])
def test_a_frame_weighs_what_it_carries_once(weighs: bool) -> None:
    """Whether that is counted when it comes or when it is lost, the sum is the same."""
    output = type("Output", (Weighs,), {"weighs": weighs})(error=Kept())
    encoder = JSONLinesEncoder(size=20, output_to=output)
    encoder.consume_many([{"n": number} for number in range(7)])
    counted = output.snapshot()
    assert encoder.metrics.passed == 7
    assert counted["dropped"]["no room"] + counted["failed"] == counted["received"] == 7
    assert accounted_for(output)
