"""Walking over components, and opening and closing all of them."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing import graph
from message_passing.errors import OpenError
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.flow import Filter, Output
from message_passing.options import option
from support import Kept


class Noted(Filter):
    """Notes when it is opened and closed."""

    log: Any = option(description="The list to note it in.", python_only=True)
    title: str = option(default="?", description="What to call it.")

    def on_open(self) -> None:
        """Note it."""
        self.log.append(f"open {self.title}")

    def on_close(self) -> None:
        """Note it."""
        self.log.append(f"close {self.title}")


class Refused(Noted):
    """Cannot be opened."""

    def on_open(self) -> None:
        """Refuse."""
        raise OpenError(f"{self.title} is in use")


class Stuck(Noted):
    """Cannot be closed."""

    def on_close(self) -> None:
        """Fail."""
        raise RuntimeError("stuck")


def test_each_comes_before_whatever_it_hands_messages_to() -> None:
    """Also where two ways meet again, and each comes once."""
    end = Kept()
    left, right = NullFilter(output_to=end), NullFilter(output_to=end)
    head = TFilter(output_to=[left, right])
    order = graph.topological_order([head, left])
    assert sorted(map(id, order)) == sorted(map(id, [head, left, right, end]))
    assert id(order[0]) == id(head)
    assert id(order[-1]) == id(end)


def test_a_loop_is_an_error() -> None:
    """A chain that leads back to itself is refused, and says where."""
    first = NullFilter()
    first.connect_to(NullFilter(output_to=first))
    with pytest.raises(ValueError, match="Null filter leads back to itself"):
        graph.topological_order([first])


def test_the_far_end_is_opened_first_and_closed_last() -> None:
    """Nothing arrives at a closed door."""
    log: list[str] = []
    head = Noted(log=log, title="head", output_to=Noted(log=log, title="end"))
    with head:
        pass
    assert log == ["open end", "open head", "close head", "close end"]


def test_all_that_cannot_be_opened_is_told_at_once() -> None:
    """Two refusals are one error with two faults, each with its component."""
    head = Refused(log=[], title="8080", output_to=Refused(log=[], title="9090"))
    with pytest.raises(OpenError) as caught:
        graph.open_all([head])
    assert [str(fault) for fault in caught.value.faults] == [
        "Refused filter: 9090 is in use",
        "Refused filter: 8080 is in use",
    ]


def test_only_some_may_be_opened() -> None:
    """What needs privileges is opened before they are given up, the rest later."""
    log: list[str] = []
    head = Noted(log=log, title="head", output_to=Noted(log=log, title="end"))
    graph.open_all([head], only=lambda component: component is head)
    assert log == ["open head"]


def test_one_that_cannot_be_closed_keeps_no_other_from_it() -> None:
    """The failure goes to its error chain."""
    log: list[str] = []
    errors = Kept()
    head = Stuck(log=log, error=errors, output_to=Noted(log=log, title="end"))
    with head:
        pass
    assert log[-1] == "close end"
    assert errors.messages[0]["exception"] == "stuck"


def test_error_chains_come_after_all_that_may_report() -> None:
    """Also the error chain of an error chain, and one that leads to an end of the chain itself."""
    end, last = Kept(), Kept()
    second = NullFilter(output_to=last)
    first = NullFilter(output_to=end, error=second)
    head = NullFilter(output_to=NullFilter(output_to=end, error=first), error=first)
    assert len(graph.topological_order([head])) == 3
    order = graph.topological_order([head], errors=True)
    assert list(map(id, order)) == list(map(id, [head, head.outputs()[0], first, end, second, last]))


def test_an_error_chain_may_lead_back_to_whatever_reports_to_it() -> None:
    """That is no loop of messages: a failing error chain is told on stderr."""
    end = Kept()
    encoder = NullFilter(output_to=end)
    end.error = encoder
    encoder.error = encoder
    assert list(map(id, graph.topological_order([encoder], errors=True))) == list(map(id, [encoder, end]))


def test_an_error_chain_that_is_no_component_is_left_alone() -> None:
    """Anything with `consume` will do, and needs no opening."""

    class Anything:
        """A stranger."""

        def consume(self, message: Any) -> None:
            """Take a report."""

    head = NullFilter(output_to=Kept(), error=Anything())
    assert len(graph.topological_order([head], errors=True)) == 2


def test_where_messages_end_is_closed_after_all_that_pass_them_on() -> None:
    """An end that waits at its close has everything; an error chain is open until all that may report is closed."""
    closed: list[str] = []

    class Named(Filter):
        """Notes that it was closed."""

        label_: str = option(default="", description="Its name.")

        def on_close(self) -> None:
            """Note it."""
            closed.append(self.label_)

    class End(Output):
        """Notes that it was closed."""

        label_: str = option(default="", description="Its name.")

        def write(self, message: Any) -> None:
            """Nothing."""

        def on_close(self) -> None:
            """Note it."""
            closed.append(self.label_)

    shared = End(label_="shared end")
    errors = Named(label_="error encoder", output_to=shared)
    branches = [End(label_="end"), Named(label_="late", output_to=shared), End(label_="end")]
    head = TFilter(output_to=branches, error=errors)
    graph.open_all([head], errors=True)
    graph.close_all([head], errors=True)
    assert closed == ["late", "end", "end", "error encoder", "shared end"]
