"""Each message to the first output whose condition holds."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.codecs.json import JSONEncoder
from message_passing.delivery import Outcome
from message_passing.errors import OptionError, OutputClosedError
from message_passing.filters.remove import RemoveFilter
from message_passing.filters.route import MOST_ROUTES, RouteFilter
from message_passing.filters.t import TFilter
from message_passing.filters.where import WhereFilter
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
        {"when": "a == 1", "to": [end.chain_name], "matched": 2},
        {"when": "", "to": [], "matched": len(BATCH) - 2},
    ]
    assert accounted_for(route)


def test_one_output_on_several_routes_keeps_the_order() -> None:
    """Whichever route a message takes to it; in one batch."""
    end, other = Kept(), Kept()
    route = routed(["a == 2", "b == 1", "a == 1"], [end, other, end])
    assert end.batches == [[{"a": 1}, {"a": 2}]]
    assert other.messages == [{"b": 1}, {"a": 1, "b": 1}]
    assert [one["matched"] for one in route.info()["routes"]] == [1, 2, 1, 4]


def test_a_route_to_several_outputs_keeps_the_order_beside_one_to_a_single_one() -> None:
    """What an output gets of either is in one batch, in order; and the last route may have several too."""
    first, second, third = Kept(), Kept(), Kept()
    route = RouteFilter(
        conditions=["a == 1", "b == 1"], fan_out=[2, 1, 2], output_to=[first, second, first, third, second]
    )
    batch: list[Any] = [{"b": 1}, {"a": 1}, {}, {"a": 1, "n": 2}, {"b": 1, "n": 3}, "text"]
    route.consume_many(batch)
    assert first.batches == [[batch[0], batch[1], batch[3], batch[4]]]
    assert second.batches == [[batch[1], batch[2], batch[3], "text"]]
    assert third.batches == [[{}, "text"]]
    assert [one["matched"] for one in route.info()["routes"]] == [2, 2, 2]
    assert route.info()["routes"][0]["to"] == [first.chain_name, second.chain_name]


@pytest.mark.parametrize("splits", [False, True])
def test_only_a_branch_that_may_change_messages_has_copies(splits: bool) -> None:
    """What becomes text or is only looked at is shared, in a route as in a `T`; nothing sees another's change."""

    def branch() -> tuple[Any, Any]:
        where = WhereFilter(condition="a == 1", output_to=(end := JSONEncoder(output_to=Kept())))
        return where, end.outputs()[0]

    (where, kept), (other, other_kept), changed = branch(), branch(), Kept()
    removes = RemoveFilter(fields=["b"], output_to=changed)
    ends = [where, removes, other]
    made: Any = (
        TFilter(output_to=ends) if splits else RouteFilter(conditions=["a == 1"], fan_out=[3], output_to=ends)
    )
    message = {"a": 1, "b": {"c": 2}}
    seen: list[Any] = []
    for one in (where, removes, other):
        one.observers = (seen.extend,)
    made.consume(message)
    assert [one is message for one in seen] == [True, False, True]
    assert changed.messages == [{"a": 1}]
    assert [*kept.messages, *other_kept.messages] == [b'{"a":1,"b":{"c":2}}'] * 2


def test_what_cannot_be_copied_fails_alone() -> None:
    """It is reported once, and the others reach both."""
    deep: dict[str, Any] = {"a": 1}
    deep["self"] = deep
    ends, errors = [Kept(), Kept()], Kept()
    route = RouteFilter(conditions=["a == 1"], fan_out=[2], output_to=[*ends], error=errors)
    route.consume_many([{"a": 1}, deep, {"a": 1, "n": 2}])
    assert [end.messages for end in ends] == [[{"a": 1}, {"a": 1, "n": 2}]] * 2
    assert "contains itself" in errors.messages[0]["exception"]
    assert route.metrics.failed == 1


def test_without_outputs_messages_are_counted_as_lost() -> None:
    """On every route, whatever it holds."""
    route = RouteFilter(conditions=["a == 1", "b == 1"])
    route.consume_many([{"a": 1}, {"b": 1}, {}])
    assert route.outputs()[0].snapshot()["dropped"] == {"no output_to": 3}


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
        ({"conditions": ["a", "b"], "output_to": [Kept()], "fan_out": [1]}, "for 1 outputs of 1 routes"),
        (
            {"conditions": ["a"], "output_to": [Kept()], "fan_out": [2]},
            "there are 1 outputs, and 1 conditions",
        ),
        ({"conditions": ["a"], "output_to": [Kept()], "fan_out": [1, 0]}, "the least is 1"),
    ],
)
def test_mistakes(given: dict[str, Any], problem: str) -> None:
    """Each says which condition it is, or how many outputs are needed."""
    with pytest.raises(OptionError) as caught:
        RouteFilter(**given)
    assert problem in str(caught.value)
