"""How a chain looks to an operator."""

from __future__ import annotations

from message_passing.chain import message_chain
from message_passing.console.topology import Topology


def forked() -> Topology:
    """A chain that forks, with an error chain of its own."""
    with message_chain() as chain:
        chain.input("in", "Null", output_to="split")
        chain.filter("split", "T", output_to=["first", "second"])
        chain.output("second", "Null")
        chain.output("first", "Null")
        chain.error_log(output_to="errors")
        chain.output("errors", "Null")
    return Topology(chain.heads, chain.components)


def test_names_flow_and_error_chains() -> None:
    """Each before those it hands messages to, by its name in the chain; what belongs to errors alone is marked."""
    layout = forked()
    order = [place.id for place in layout.places]
    assert order.index("in") < order.index("split") < min(order.index("first"), order.index("second"))
    assert {place.id for place in layout.places if place.errors} == {"error_log", "errors"}
    assert {place.id: place.outputs for place in layout.places}["split"] == ("first", "second")


def test_the_main_end_is_the_first_way_at_each_fork() -> None:
    """Whatever order they were declared in."""
    end = forked().shown_at()
    assert end
    assert end.id == "first"


def test_messages_are_shown_where_they_can_be_read() -> None:
    """What is packed is looked at before that, and what workers do before them, though they make text."""
    with message_chain() as chain:
        chain.input("in", "Null", output_to="lines")
        chain.encoder("lines", "JSONLines", output_to="packed")
        chain.encoder("packed", "Zstd", output_to="out")
        chain.output("out", "Null")
    shown = Topology(chain.heads, chain.components).shown_at()
    assert shown
    assert shown.id == "packed"


def test_components_without_a_name_are_told_apart() -> None:
    """By their label, and a number from the second on."""
    with message_chain() as chain:
        chain.input("in", "Null", output_to="out")
        chain.output("out", "Null")
    ids = [place.id for place in Topology(chain.heads).places]
    assert ids == ["in", "out", "JSON encoder", "STDERR output"]
    place, hint = Topology(chain.heads).find("STDER output")
    assert (place, "did you mean 'STDERR output'" in hint) == (None, True)
