"""Following senders: what is missing is told exactly."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from message_passing.filters.follow import FollowFilter
from message_passing.filters.stamp import StampFilter
from support import Kept, accounted_for


def sent(name: str, *numbers: int) -> list[dict[str, Any]]:
    """Messages of a sender."""
    return [{"sender": name, "sequence": number, "text": "…"} for number in numbers]


def books(*numbers: int) -> dict[str, Any]:
    """What is known of one sender after these."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many(sent("a", *numbers))
    follow.close()
    found = follow.by_sender()["a"]
    return {name: value for name, value in found.items() if value and name != "seen"}


def test_books() -> None:
    """In order, with a gap, late, twice, begun anew, and met in the middle."""
    assert books(1, 2, 3) == {"received": 3, "highest": 3}
    assert books(1, 2, 5) == {"received": 3, "lost": 2, "highest": 5}
    assert books(1, 3, 2) == {"received": 3, "late": 1, "highest": 3}
    assert books(1, 5, 3) == {"received": 3, "lost": 2, "late": 1, "highest": 5}
    assert books(1, 2, 2) == {"received": 2, "duplicated": 1, "highest": 2}
    assert books(1, 2, 3, 1, 2) == {"received": 5, "restarted": 1, "highest": 2}
    assert books(1, 3, 1, 2) == {"received": 4, "lost": 1, "restarted": 1, "highest": 2}
    assert books(7, 8) == {"received": 2, "before": 6, "highest": 8}
    assert books(7, 5, 8) == {"received": 3, "before": 5, "late": 1, "highest": 8}
    assert books(2, 1, 3) == {"received": 3, "late": 1, "highest": 3}
    assert books(2000, 1, 2) == {"received": 3, "restarted": 1, "before": 1999, "highest": 2}


@given(st.lists(st.integers(2, 60), max_size=80))
def test_against_sets(numbers: list[int]) -> None:
    """However they come, the books say what comparing the sets of numbers says."""
    came = [1, *numbers]
    found = dict.fromkeys(("received", "lost", "duplicated"), 0) | books(*came)
    assert found["received"] == len(set(came))
    assert found["lost"] == max(came) - len(set(came))
    assert found["duplicated"] == len(came) - len(set(came))
    assert found["highest"] == max(came)


def test_more_gaps_than_are_remembered() -> None:
    """Every loss is counted; what then comes late in an old gap is taken for a duplicate."""
    odd = range(1, 5002, 2)
    assert books(*odd) == {"received": 2501, "lost": 2500, "highest": 5001}
    assert books(*odd, 2, 5000) == {
        "received": 2502,
        "lost": 2499,
        "late": 1,
        "duplicated": 1,
        "highest": 5001,
    }


def test_messages_pass_unchanged_with_or_without_a_stamp() -> None:
    """Whatever they are; those without are counted."""
    kept = Kept()
    follow = FollowFilter(output_to=kept)
    messages: list[Any] = [*sent("a", 1), {"no": "stamp"}, "text", 5, [1], {"sender": "a"}, {"sequence": 1}]
    messages += [{"sender": ["a"], "sequence": 1}, {"sender": "a", "sequence": "2"}, *sent("b", 0, -1)]
    follow.consume_many(messages)
    follow.close()
    assert kept.messages == messages
    assert follow.totals() == {
        "received": 1,
        "lost": 0,
        "duplicated": 0,
        "late": 0,
        "restarted": 0,
        "before": 0,
        "senders": 1,
        "forgotten": 0,
        "unstamped": 10,
    }
    assert accounted_for(follow)


def test_senders_are_bounded() -> None:
    """Those that were silent longest are forgotten, and what they lost stays in the sum."""
    follow = FollowFilter(senders=100, output_to=Kept())
    for number in range(250):
        follow.consume_many(sent(f"sender {number}", 1, 3))
    totals = follow.totals()
    follow.close()
    assert totals["senders"] <= 100
    assert totals["senders"] + totals["forgotten"] == 250
    assert (totals["received"], totals["lost"]) == (500, 250)
    assert "sender 249" in follow.by_sender()


def test_an_event_at_the_end() -> None:
    """It has the totals and who lost most; without an interval there is none."""
    kept = Kept()
    follow = FollowFilter(report_interval=3600, output_to=kept)
    follow.consume_many([*sent("a", 1, 4), *sent("b", 1, 2), *sent("c", 1, 3)])
    follow.close()
    event = kept.messages[-1]
    assert event["event"] == "senders"
    assert (event["received"], event["lost"], event["senders"], event["silent"]) == (6, 3, 3, 0)
    assert event["lost_by_sender"] == {"a": 2, "c": 1}
    assert follow.snapshot()["passed"] == follow.snapshot()["received"] + 1
    silent = Kept()
    other = FollowFilter(output_to=silent)
    other.consume_many(sent("a", 1, 4))
    other.close()
    assert len(silent.messages) == 2


def test_events_in_a_loop() -> None:
    """They come at their interval, also when no message does."""
    kept = Kept()
    follow = FollowFilter(report_interval=0.01, silent_after=0.001, output_to=kept)

    async def run() -> None:
        follow.consume_many(sent("a", 1))
        for _ in range(1000):
            await asyncio.sleep(0.005)
            if len(kept.messages) > 3:
                return

    asyncio.run(run())
    follow.close()
    assert len(kept.messages) > 3
    assert kept.messages[-1]["silent"] == 1


def test_remarks() -> None:
    """What is told at the end names the senders that lost most."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many(sent("a", 1, 2))
    assert follow.remarks() == []
    follow.consume_many(sent("a", 4))
    assert follow.remarks() == ["1 message did not arrive here: 1 of a"]
    for name in "bcde":
        follow.consume_many(sent(name, 1, 7))
    follow.close()
    (remark,) = follow.remarks()
    assert remark == "21 messages did not arrive here: 5 of e, 5 of d, 5 of c and 2 more senders"


def test_stamped_messages_are_followed() -> None:
    """What is dropped between the two filters is what the second one says."""
    kept = Kept()
    stamp = StampFilter(output_to=kept)
    stamp.consume_many([{"n": n} for n in range(100)])
    follow = FollowFilter(output_to=Kept())
    follow.consume_many([message for message in kept.messages if message["n"] % 10 != 5])
    follow.close()
    totals = follow.totals()
    assert (totals["received"], totals["lost"]) == (90, 10)


def by_key(key: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """These messages, as the ZeroMQ input names the key that they came with."""
    return [{**message, "key": key} for message in messages]


def test_a_stranger_with_another_key_cannot_spoil_the_books() -> None:
    """Who claims another's name has books of his own, in every place where they are told."""
    kept = Kept()
    follow = FollowFilter(key_field="key", report_interval=3600, output_to=kept)
    follow.consume_many(by_key("web", *sent("a", 1, 2, 4)))
    follow.consume_many(by_key("stranger", *sent("a", 9000, 9999, 5, 1)))
    follow.consume_many(by_key("web", *sent("a", 5, 6, 7)))
    follow.consume_many(sent("a", 8))
    follow.close()
    assert follow.by_sender()["web", "a"].items() >= {"received": 6, "lost": 1, "highest": 7}.items()
    assert follow.by_sender()["stranger", "a"]["restarted"] == 1
    assert follow.totals().items() >= {"senders": 2, "unstamped": 1, "received": 10}.items()
    event = kept.messages[-1]
    assert event["lost_by_key"] == {"stranger": {"a": 998}, "web": {"a": 1}}
    assert "lost_by_sender" not in event
    assert follow.remarks() == [
        "999 messages did not arrive here: 998 of a with the key stranger, 1 of a with the key web"
    ]


def test_without_the_option_a_name_is_a_name() -> None:
    """Whatever fields there are besides."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many([*by_key("web", *sent("a", 1, 2)), *by_key("other", *sent("a", 3))])
    follow.close()
    assert follow.by_sender()["a"]["received"] == 3


def test_names_made_up_with_one_key_cost_no_other_key_its_books() -> None:
    """They push out one another, though the others have been silent for longer."""
    follow = FollowFilter(key_field="key", senders=100, output_to=Kept())
    for number in range(30):
        follow.consume_many(by_key("web", *sent(f"web {number}", 1, 3)))
    for number in range(1000):
        follow.consume_many(by_key("stranger", *sent(f"made up {number}", 1)))
    books = follow.by_sender()
    follow.close()
    assert {name for key, name in books if key == "web"} == {f"web {number}" for number in range(30)}
    assert ("stranger", "made up 999") in books
    assert len(books) <= 100
    assert follow.totals()["senders"] + follow.totals()["forgotten"] == 1030


def test_a_key_that_is_no_text_is_none() -> None:
    """Messages whose field was not set by an input pass, and count as unstamped."""
    kept = Kept()
    follow = FollowFilter(key_field="key", output_to=kept)
    messages: list[Any] = [*by_key(["web"], *sent("a", 1)), *by_key(None, *sent("a", 1)), "text", 5, [1]]
    follow.consume_many(messages)
    follow.close()
    assert kept.messages == messages
    assert follow.totals().items() >= {"unstamped": 5, "senders": 0}.items()
