"""The last hour, step by step."""

from __future__ import annotations

from message_passing.console.history import STEPS, Counted, History


def test_steps_are_what_came_since_the_one_before() -> None:
    """The first one is nothing: how long it took to come to that is not known."""
    history = History()
    for now, received in ((100.0, 5), (101.0, 7), (102.5, 10)):
        history.add(now, {"in": Counted(received, received, 0)})
    assert history.took == 1.5
    assert history.rates("in") == Counted(3, 3, 0)
    assert history.rates("unknown") == Counted(0, 0, 0)
    found = history.last(10, ["in"])
    assert found["times"] == [100.0, 101.0, 102.5]
    assert found["components"] == {"in": {"received": [0, 2, 3], "passed": [0, 2, 3], "lost": [0, 0, 0]}}
    assert history.last(1, ["in"])["times"] == [102.5]
    assert history.last(0, ["in"])["times"] == []


def test_counters_that_begin_anew_do_not_go_backwards() -> None:
    """A component that was replaced counts from zero: what it has is new."""
    history = History()
    for now, received in enumerate((0, 100, 4)):
        history.add(float(now), {"in": Counted(received, 0, 0)})
    assert history.rates("in").received == 4


def test_an_hour_is_kept_and_no_more() -> None:
    """The oldest step gives way to the latest."""
    history = History()
    for now in range(STEPS + 5):
        history.add(float(now), {"in": Counted(now, 0, 0)})
    times = history.last(2 * STEPS, ["in"])["times"]
    assert isinstance(times, list)
    assert (len(times), times[0], times[-1]) == (STEPS, 5.0, STEPS + 4.0)


def test_a_component_that_has_gone_leaves_no_old_steps_behind() -> None:
    """When one of its name comes back an hour later, it begins with nothing."""
    history = History()
    history.add(0.0, {"a": Counted(0, 0, 0), "b": Counted(0, 0, 0)})
    history.add(1.0, {"a": Counted(9, 9, 9), "b": Counted(9, 9, 9)})
    for now in range(2, STEPS + 2):
        history.add(float(now), {"a": Counted(9, 9, 9)})
    components = history.last(STEPS, ["a", "b"])["components"]
    assert isinstance(components, dict)
    assert sum(components["b"]["received"]) == 0


def test_what_senders_lose_is_in_the_step_in_which_it_is_seen() -> None:
    """What was lost before, or comes late after all, is in none; nor is anything where nobody counts it."""
    history = History()
    for now, lost in enumerate((7, 9, 8, 8, 11, None, 3, 5)):
        history.note_senders(lost)
        history.add(float(now), {})
    assert history.last(10, [])["lost_by_senders"] == [0, 2, 0, 0, 3, 0, 0, 2]
