"""Each message to the first output whose condition holds."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.delivery import Outcome
from message_passing.errors import OptionError, OutputClosedError
from message_passing.filters.route import MOST_ROUTES, RouteFilter
from message_passing.flow import Output
from message_passing.testing import ListInput
from support import Kept, accounted_for

BATCH: list[Any] = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1}, {}, "text", None, {"a": "x"}]


def routed(conditions: list[str], ends: list[Output], batch: list[Any] = BATCH) -> RouteFilter:
    """A filter that has had a batch."""
    route = RouteFilter(conditions=conditions, output_to=ends)
    route.consume_many(list(batch))
    return route


def test_the_first_that_holds() -> None:
    """Each message goes one way, in its order; what has no fields or lacks them is for the others."""
    ends = [Kept(), Kept(), Kept()]
    route = routed(["a == 1", "b == 1"], [*ends])
    assert [end.messages for end in ends] == [
        [{"a": 1}, {"a": 1, "b": 1}],
        [{"b": 1}],
        [{"a": 2}, {}, "text", None, {"a": "x"}],
    ]
    assert route.snapshot()["passed"] == len(BATCH)
    assert accounted_for(route)


def test_without_another_output_the_others_are_filtered_out() -> None:
    """That is no loss, and it is counted."""
    end = Kept()
    route = routed(["a == 1"], [end])
    assert end.messages == [{"a": 1}, {"a": 1, "b": 1}]
    assert route.snapshot()["filtered"] == len(BATCH) - 2
    assert route.metrics.lost() == 0
    assert route.info()["routes"] == [
        {"when": "a == 1", "to": end.chain_name, "matched": 2},
        {"when": "", "to": None, "matched": len(BATCH) - 2},
    ]
    assert accounted_for(route)


def test_one_output_on_several_routes_keeps_the_order() -> None:
    """Whichever route a message takes to it; in one batch."""
    end, other = Kept(), Kept()
    route = routed(["a == 2", "b == 1", "a == 1"], [end, other, end])
    assert end.batches == [[{"a": 1}, {"a": 2}]]
    assert other.messages == [{"b": 1}, {"a": 1, "b": 1}]
    assert [one["matched"] for one in route.info()["routes"]] == [1, 2, 1, 4]


def test_a_reader_that_has_gone_keeps_nothing_from_the_others() -> None:
    """They have their messages before it is said."""

    class Gone(Output):
        def write_many(self, messages: list[Any]) -> None:
            raise OutputClosedError(f"nobody reads {len(messages)}")

    end = Kept()
    route = RouteFilter(conditions=["a == 1"], output_to=[Gone(), end])
    with pytest.raises(OutputClosedError):
        route.consume_many([{"a": 1}, {"a": 2}])
    assert end.messages == [{"a": 2}]
    assert accounted_for(route)


def test_outcomes() -> None:
    """What no route takes counts as delivered; what its output loses, as lost."""
    found: list[Outcome] = []

    class Loses(Output):
        def write_many(self, messages: list[Any]) -> None:
            self.drop(messages, "queue full")

    route = RouteFilter(conditions=["a == 1"], output_to=[Loses()])
    feed = ListInput(output_to=route)
    feed.deliver([{"a": 2}], found.append)
    feed.deliver([{"a": 1}, {"a": 2}], found.append)
    assert found == [Outcome.DELIVERED, Outcome.LOST]


def test_a_value_that_cannot_be_compared_is_for_the_others() -> None:
    """An object of a user's own that raises costs none of the others its way."""

    class Bad:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    ends = [Kept(), Kept()]
    bad = {"a": Bad()}
    routed(["a == 1"], [*ends], [{"a": 1}, bad, {"a": 1}])
    assert ends[0].messages == [{"a": 1}, {"a": 1}]
    assert ends[1].messages[0] is bad


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"conditions": []}, "non-empty"),
        ({"conditions": ["a"] * (MOST_ROUTES + 1)}, f"101 conditions; {MOST_ROUTES} are allowed"),
        ({"conditions": ["a", "a ="]}, "conditions.1: "),
        ({"conditions": ["a"], "output_to": [Kept(), Kept(), Kept()]}, "3 outputs for 1 condition"),
        ({"conditions": ["a", "b"], "output_to": [Kept()]}, "1 outputs for 2 conditions"),
    ],
)
def test_mistakes(given: dict[str, Any], problem: str) -> None:
    """Each says which condition it is, or how many outputs are needed."""
    with pytest.raises(OptionError) as caught:
        RouteFilter(**given)
    assert problem in str(caught.value)
