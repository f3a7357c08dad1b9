"""One stream to several outputs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.errors import OptionError, OutputClosedError
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter, Output
from support import Kept


class Wreck(Filter):
    """Changes all it can reach of a message."""

    def filter(self, message: Any) -> Any:
        """Leave nothing as it was."""
        if isinstance(message, dict):
            for value in list(message.values()):
                self.filter(value)
            message.clear()
        elif isinstance(message, list):
            for value in message:
                self.filter(value)
            message.append("wrecked")
        return message


class Gone(Output):
    """Its reader has gone."""

    def write_many(self, messages: list[Any]) -> None:
        """Say so."""
        raise OutputClosedError("nobody reads")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
)


def test_every_output_gets_every_message() -> None:
    """In whole batches; false messages too."""
    ends = [Kept(), Kept(), Kept()]
    TFilter(output_to=ends).consume_many(["a", "0", "", {"a": 1}])
    assert [end.batches for end in ends] == [[["a", "0", "", {"a": 1}]]] * 3


@given(st.lists(json_values.filter(lambda value: value is not None)))
def test_a_branch_cannot_change_what_another_sees(messages: list[Any]) -> None:
    """Whichever branch is first, and however deep the change."""
    expected = copy.deepcopy(messages)
    ends = [Kept(), Kept()]
    TFilter(output_to=[Wreck(output_to=Kept()), ends[0], Wreck(output_to=Kept()), ends[1]]).consume_many(
        messages
    )
    assert ends[0].messages == expected
    assert ends[1].messages == expected


def test_the_last_branch_changes_no_other() -> None:
    """It has the messages themselves, so the others must have copies."""
    end = Kept()
    TFilter(output_to=[end, Wreck(output_to=Kept())]).consume({"a": {"b": [1]}})
    assert end.messages == [{"a": {"b": [1]}}]


def test_without_copying_all_see_the_same_objects() -> None:
    """It is an option, for speed."""
    ends = [Kept(), Kept()]
    message = {"a": 1}
    TFilter(output_to=ends, copy=False).consume(message)
    assert ends[0].messages[0] is ends[1].messages[0] is message


def test_a_branch_that_keeps_its_batch_has_one_of_its_own() -> None:
    """Even when messages are shared, the list is not."""

    class Hoarder(Output):
        def on_init(self) -> None:
            self.batches: list[list[Any]] = []

        def write_many(self, messages: list[Any]) -> None:
            self.batches.append(messages)

    first, second = Hoarder(), Hoarder()
    TFilter(output_to=[first, second], copy=False).consume_many(["a"])
    first.batches[0].append("b")
    assert second.batches == [["a"]]


def test_a_single_output_needs_no_list() -> None:
    """And copies nothing."""
    end = Kept()
    message = {"a": 1}
    TFilter(output_to=end).consume(message)
    assert end.messages[0] is message


def test_outputs_can_be_connected_later() -> None:
    """A list or a single one, as a declared chain does it; all are known to those who walk the chain."""
    ends = [Kept(), Kept()]
    t = TFilter()
    t.connect_to(ends)
    assert list(t.outputs()) == ends
    t.consume("a")
    t.connect_to(ends[0])
    t.consume("b")
    assert [end.messages for end in ends] == [["a", "b"], ["a"]]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_without_outputs_messages_are_counted_as_lost(nothing: Any) -> None:
    """As with any filter."""
    t = TFilter(output_to=nothing)
    t.consume_many([1, 2])
    assert t.outputs()[0].metrics.dropped == {"no output_to": 2}


def test_a_list_with_something_else_is_refused() -> None:
    """The message shows what was found."""
    with pytest.raises(OptionError, match="must have a `consume` method, not 5"):
        TFilter(output_to=[Kept(), 5])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_reader_that_has_gone_keeps_nothing_from_the_others(position: int) -> None:
    """They get the whole batch; then the chain learns that one has gone."""
    ends: list[Output] = [Kept(), Kept()]
    gone = Gone()
    t = TFilter(output_to=[*ends[:position], gone, *ends[position:]])
    with pytest.raises(OutputClosedError):
        t.consume_many(["a", "b"])
    assert [end.metrics.received for end in ends] == [2, 2]
    assert gone.metrics.dropped == {"closed": 2}
    assert t.metrics.lost() == 0


def test_it_passes_more_than_it_received() -> None:
    """Each branch's messages count."""
    t = TFilter(output_to=[Kept(), Kept(), Kept()])
    t.consume_many([1, 2])
    assert (t.metrics.received, t.metrics.passed) == (2, 6)


def test_a_message_that_cannot_be_copied_fails_for_all_branches() -> None:
    """Once; the others of its batch go on, in order, and the giver's list is left alone."""
    circle: list[Any] = []
    circle.append(circle)
    ends, errors = [Kept(), Kept()], Kept()
    messages: list[Any] = [{"a": 1}, circle, {"a": 2}]
    t = TFilter(output_to=ends, error=errors)
    NullFilter(output_to=t).consume_many(messages)
    assert [end.messages for end in ends] == [[{"a": 1}, {"a": 2}]] * 2
    assert t.metrics.failed == 1
    assert "contains itself" in errors.messages[0]["exception"]
    assert len(messages) == 3
