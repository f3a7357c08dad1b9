"""The last minute, from counters that are looked at now and then."""

from __future__ import annotations

from message_passing.console.activity import MINUTE, Activity
from message_passing.console.topology import ComponentView
from message_passing.filters.null import NullFilter
from message_passing.inputs.null import NullInput
from message_passing.loss_monitor import Loss
from message_passing.outputs.null import NullOutput

NOW = 1_764_000_000.0


def view(component: object, name: str) -> ComponentView:
    """A component by this name."""
    return ComponentView(name, component, (), errors=False, in_workers=False)  # type: ignore[arg-type]


def test_losses_are_recent_for_a_minute() -> None:
    """By component and reason; what was lost before is not."""
    one, activity = NullFilter(output_to=NullOutput()), Activity()
    places = [view(one, "one")]
    for second in range(200):
        if second in (10, 20):
            one.drop(3, "queue full")
        if second == 20:
            one.fail(ValueError("no"), [b""])
        activity.note(NOW + second, places, {"one": one.snapshot()})
        if second == 30:
            found = activity.lost(NOW + second)
            assert found == {Loss("one", "queue full"): 6, Loss("one", "failed"): 1}
        if second == 100:
            assert not activity.lost(NOW + second)


def test_a_counter_that_began_anew_and_one_that_goes() -> None:
    """A component that takes another's place, or name, brings no losses that were not."""
    old, new, activity = NullFilter(output_to=NullOutput()), NullFilter(output_to=NullOutput()), Activity()
    old.drop(5, "queue full")
    activity.note(NOW, [view(old, "a")], {"a": old.snapshot()})
    new.drop(2, "queue full")
    activity.note(NOW + 1, [view(new, "a")], {"a": new.snapshot()})
    activity.note(NOW + 2, [view(new, "b")], {"b": new.snapshot()})
    assert activity.lost(NOW + 2) == {Loss("a", "queue full"): 7}


def test_what_senders_lose_and_what_comes_late() -> None:
    """What comes after all is no loss; where nobody counts, there is none."""
    activity = Activity()
    for second, lost in ((0, 40), (5, 44), (10, 42)):
        activity.note_senders(NOW + second, lost)
    assert activity.lost_by_senders(NOW + 10) == 2
    activity.note_senders(NOW + 15, 30)
    assert activity.lost_by_senders(NOW + 15) == 0
    assert activity.lost_by_senders(NOW + 15 + 2 * MINUTE) == 0
    activity.note_senders(NOW, None)
    assert Activity().lost_by_senders(NOW) == 0


def test_the_last_message_is_an_input_s() -> None:
    """None before there was one; then when it was seen that more have come."""
    one, activity = NullInput(output_to=NullOutput()), Activity()
    activity.note(NOW, [view(one, "in")], {"in": one.snapshot()})
    assert activity.last_message is None
    one.emit([b"x"])
    activity.note(NOW + 1, [view(one, "in")], {"in": one.snapshot()})
    activity.note(NOW + 2, [view(one, "in")], {"in": one.snapshot()})
    assert activity.last_message == NOW + 1


def test_memory_is_bounded() -> None:
    """However long it runs and however often it is asked, it keeps a minute."""
    one, activity = NullFilter(output_to=NullOutput()), Activity()
    for tick in range(5000):
        one.drop(1, "queue full")
        activity.note(NOW + tick / 10, [view(one, "one")], {"one": one.snapshot()})
    assert len(activity._buckets) <= 14
    assert 600 <= activity.lost(NOW + 500).total() <= 651
