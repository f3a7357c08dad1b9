"""Following senders: what is missing is told exactly."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.filters._senders import NAME
from message_passing.filters._sequences import HIGHEST, RUNS, every_run
from message_passing.filters.follow import FollowFilter
from message_passing.filters.stamp import StampFilter
from message_passing.testing import wait_for
from nodes import node, part
from support import Kept, accounted_for, untimed

if TYPE_CHECKING:
    from pathlib import Path


def sent(name: str, *numbers: int) -> list[dict[str, Any]]:
    """Messages of a sender."""
    return [{"sender": name, "sequence": number, "text": "…"} for number in numbers]


UNIQUE = "web-1:4711:18a2b3c4d5e6f708"
"""A name that one process has, as they are made."""


def books(*numbers: int, name: str = "a") -> dict[str, Any]:
    """What is known of one sender after these."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many(sent(name, *numbers))
    follow.close()
    found = follow.by_sender()[name]
    return {name: value for name, value in found.items() if value and name != "seen"}


def test_books() -> None:
    """In order, with a gap, late, met in the middle; twice or begun anew, which nobody can tell without a run."""
    assert books(1, 2, 3) == {"received": 3, "highest": 3}
    assert books(1, 2, 5) == {"received": 3, "lost": 2, "highest": 5}
    assert books(1, 3, 2) == {"received": 3, "late": 1, "highest": 3}
    assert books(1, 5, 3) == {"received": 3, "lost": 2, "late": 1, "highest": 5}
    assert books(1, 2, 2) == {"received": 2, "duplicated": 1, "ambiguous": 1, "highest": 2}
    assert books(1, 2, 3, 1, 2) == {"received": 5, "restarted": 1, "ambiguous": 1, "highest": 2}
    assert books(1, 3, 1, 2) == {"received": 4, "lost": 1, "restarted": 1, "ambiguous": 1, "highest": 2}
    assert books(7, 8) == {"received": 2, "before": 6, "highest": 8}
    assert books(7, 5, 8) == {"received": 3, "before": 5, "late": 1, "highest": 8}
    assert books(2, 1, 3) == {"received": 3, "late": 1, "highest": 3}
    assert books(2000, 1, 2) == {"received": 3, "restarted": 1, "before": 1999, "ambiguous": 1, "highest": 2}


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
    """Every loss is counted; what then comes late in an old gap is neither lost nor received for certain."""
    odd, even = range(1, 5002, 2), range(2, 5002, 2)
    assert books(*odd) == {"received": 2501, "lost": 2500, "highest": 5001}
    found = books(*odd, 2, 5000)
    assert found.pop("ambiguous") == 1  # there is no run either
    assert found == {"received": 2502, "lost": 2498, "perhaps_lost": 1, "late": 1, "highest": 5001}
    found = books(*odd, *even, name=UNIQUE)
    assert found == {"received": 3501, "perhaps_lost": 1500, "late": 1000, "highest": 5001}
    found = books(*odd, *even, *even, *odd, name=UNIQUE)
    assert found.pop("duplicated") == 5001
    assert found == {"received": 3501, "perhaps_lost": 1500, "late": 1000, "highest": 5001}


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
        "perhaps_lost": 0,
        "duplicated": 0,
        "late": 0,
        "restarted": 0,
        "before": 0,
        "ambiguous": 0,
        "estimated": 0,
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
    assert (event["received"], event["lost"], event["senders"], event["idle"]) == (6, 3, 3, 0)
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
    follow = FollowFilter(report_interval=0.01, idle_after=0.001, output_to=kept)

    async def run() -> None:
        follow.consume_many(sent("a", 1))
        for _ in range(1000):
            await asyncio.sleep(0.005)
            if len(kept.messages) > 3:
                return

    asyncio.run(run())
    follow.close()
    assert len(kept.messages) > 3
    assert kept.messages[-1]["idle"] == 1


def test_remarks() -> None:
    """What is told at the end names the senders that lost most."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many(sent("a", 1, 2))
    assert follow.summary() == []
    follow.consume_many(sent("a", 4))
    assert follow.summary() == ["1 message did not arrive here: 1 of a"]
    for name in "bcde":
        follow.consume_many(sent(name, 1, 7))
    follow.close()
    (remark,) = follow.summary()
    assert remark == "21 messages did not arrive here: 5 of e, 5 of d, 5 of c and 2 more senders"


def test_remarks_with_doubts() -> None:
    """Bounds where there are some, and the sender's name as it may be shown on a terminal."""
    follow = FollowFilter(output_to=Kept())
    name = "\x1b[31m\n\x9b\u202e" + UNIQUE
    follow.consume_many(sent(name, *range(1, 4002, 2), 2, 4))
    follow.close()
    (remark,) = follow.summary()
    assert remark.startswith("1998 to 2000 messages did not arrive here: 1998 of ")
    assert "web-1:4711" in remark
    assert remark.isprintable()
    long = FollowFilter(output_to=Kept())
    long.consume_many(sent("x" * NAME, 1, 3))
    long.close()
    assert len(long.summary()[0]) < 300


def stamped(*lives: int) -> list[list[dict[str, Any]]]:
    """What processes that have one name after the other send."""
    found = []
    for count in lives:
        kept = Kept()
        with StampFilter(sender="web", output_to=kept) as stamp:
            stamp.consume_many([{"n": n} for n in range(count)])
        found.append(kept.messages)
    return found


@pytest.mark.parametrize(
    ("arrived", "lost"),
    [
        (slice(1001, None), 1001),  # it seems to go on where the first life ended
        (slice(1, None), 1),
        (slice(1, None, 2), 1000),
        (slice(1999, None), 1999),
        (slice(0, None), 0),
    ],
)
@pytest.mark.parametrize("first", [1, 1001, 1999, 2000])
def test_a_restart_whose_beginning_is_lost(arrived: slice, lost: int, first: int) -> None:
    """Whatever number its first message that arrives has: the books say how many are missing."""
    follow = FollowFilter(output_to=Kept())
    (before,) = stamped(first)
    follow.consume_many(before)
    (after,) = stamped(2000)
    follow.consume_many(after[arrived])
    follow.close()
    totals = follow.totals()
    assert (totals["lost"], totals["before"], totals["duplicated"]) == (lost, 0, 0)
    assert (totals["received"], totals["restarted"]) == (first + 2000 - lost, 1)
    assert totals["ambiguous"] == totals["perhaps_lost"] == 0


def test_a_life_that_we_may_have_met_in_the_middle() -> None:
    """Two that began before anything came: what is missing at the beginning of either may not be lost."""
    first, second = stamped(10, 10)
    follow = FollowFilter(output_to=Kept())
    follow.consume_many([*second[5:], *first[7:]])
    follow.close()
    totals = follow.totals()
    assert (totals["lost"], totals["before"], totals["received"]) == (0, 12, 8)


def test_processes_that_share_a_name() -> None:
    """Each run has its own numbers, however their messages are mixed."""
    follow = FollowFilter(output_to=Kept())
    lives = stamped(*[50] * 20)
    follow.consume_many([life[0] for life in lives])
    follow.consume_many([one for same in zip(*lives, strict=True) for one in same])
    follow.close()
    found = follow.by_sender()["web"]
    assert (found["received"], found["duplicated"], found["restarted"]) == (20 * 50, 20, 19)
    assert (found["lost"], found["highest"]) == (0, 50)


def test_runs_are_bounded() -> None:
    """Of a name with very many runs the latest are remembered; the sums are those of all."""
    follow = FollowFilter(output_to=Kept())
    count = 3 * RUNS
    for number in range(1, count + 1):
        run = f"{number:016x}"
        follow.consume_many([{**one, "sender_run": run} for one in sent("a", 1, 3)])
    (sender,) = follow._books.senders.values()
    assert sender.runs is not None
    assert len(sender.runs.known) == RUNS
    assert follow.totals().items() >= {"received": 2 * count, "lost": count, "ambiguous": 0}.items()
    follow.consume_many([{"sender": "a", "sender_run": f"{1:016x}", "sequence": 2}])
    follow.close()
    assert follow.totals().items() >= {"received": 2 * count + 1, "ambiguous": 1}.items()
    assert follow.totals()["restarted"] == count - 1


@pytest.mark.parametrize(
    "run", [None, 5, ["x"], "x", "18A2B3C4D5E6F708", "18a2b3c4d5e6f7080", "", "x" * 10_000_000]
)
def test_what_is_no_run_is_none(run: Any) -> None:
    """Only what has the form counts: nothing else is kept."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many([{**one, "sender_run": run} for one in sent("a", 1, 2, 4, 2)])
    follow.close()
    found = follow.by_sender()["a"]
    assert (found["received"], found["lost"], found["duplicated"], found["ambiguous"]) == (3, 1, 1, 1)


def test_messages_with_and_without_a_run() -> None:
    """Under one name they are different runs, in whatever order."""
    follow = FollowFilter(output_to=Kept())
    with_run = [{**one, "sender_run": "18a2b3c4d5e6f708"} for one in sent("a", *range(1, 11))]
    without = sent("a", *range(1, 11))
    follow.consume_many([with_run[0], *without[:5], *with_run[1:5], *without[5:], *with_run[5:]])
    follow.close()
    assert follow.totals().items() >= {"received": 20, "lost": 0, "duplicated": 0, "ambiguous": 0}.items()


@pytest.mark.parametrize(
    "sequence",
    [
        True,
        False,
        0,
        -1,
        -(2**63),
        2**53,
        2**63,
        10**30,
        1.5,
        1e300,
        float("nan"),
        float("inf"),
        "3",
        None,
        [3],
    ],
)
def test_what_is_no_sequence_number(sequence: Any) -> None:
    """It is unstamped, of a sender that is known and of one that is not, and spoils nothing."""
    for name in (UNIQUE, "a"):
        follow = FollowFilter(output_to=Kept())
        odd = {"sender": name, "sequence": sequence}
        follow.consume_many([odd, *sent(name, 1), odd, *sent(name, 2), odd, *sent(name, 3)])
        follow.close()
        totals = follow.totals()
        assert (totals["unstamped"], totals["received"], totals["lost"]) == (3, 3, 0)
        assert follow.by_sender()[name]["highest"] == 3


def test_numbers_with_a_decimal_point() -> None:
    """JSON makes no difference between 2 and 2.0, so nor do the books."""
    follow = FollowFilter(output_to=Kept())
    for number in (1.0, 2.0, 4, 5.0, 3.0, 6):
        follow.consume_many([{"sender": "a", "sequence": number}])
    follow.close()
    found = follow.by_sender()["a"]
    assert (found["received"], found["lost"], found["late"]) == (6, 0, 1)
    assert type(found["highest"]) is int


def test_a_jump_to_the_end() -> None:
    """The largest number there may be costs no more than any other."""
    assert books(1, HIGHEST, 5) == {"received": 3, "lost": HIGHEST - 3, "late": 1, "highest": HIGHEST}


def test_long_names_are_not_kept() -> None:
    """They are unstamped, and cost nothing once they are gone."""
    follow = FollowFilter(output_to=Kept())
    tracemalloc.start()
    try:
        for number in range(50):
            follow.filter_many(sent(f"{number}" + "x" * 1_000_000, 1, 2))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    follow.filter_many(sent("x" * NAME, 1, 3))
    follow.close()
    assert used < 1_000_000
    assert follow.totals().items() >= {"unstamped": 100, "senders": 1, "lost": 1}.items()


def many_names(number: int) -> dict[str, Any]:
    """A sender a message, with a name as long as one may be, in characters of four bytes."""
    return {"sender": f"{number}".ljust(NAME, "\U0001f600"), "sequence": number % 7 + 1, "key": "a"}


def many_gaps(number: int) -> dict[str, Any]:
    """Senders whose every second message is missing."""
    return {"sender": f"{number % 10}", "sequence": number // 10 * 2 + 1, "key": "a"}


def many_runs(number: int) -> dict[str, Any]:
    """A run a message, of few names."""
    return {"sender": f"{number % 10}", "sender_run": f"{number + 1:016x}", "sequence": 2, "key": "a"}


def many_of_all(number: int) -> dict[str, Any]:
    """Names, runs and gaps."""
    run = f"{number // 20 % 3:016x}"
    return {"sender": f"{number % 20}", "sender_run": run, "sequence": number // 60 * 2 + 1, "key": "a"}


@pytest.mark.parametrize("options", [{}, {"key_field": "key"}], ids=["names", "keys"])
@pytest.mark.parametrize("make", [many_names, many_gaps, many_runs, many_of_all])
def test_the_books_are_bounded_in_bytes(make: Any, options: Any) -> None:
    """Whatever somebody makes up, they take no more than they may, and every arrival stays counted."""
    most, count = 200_000, 6_000
    follow = FollowFilter(max_bytes=most, output_to=Kept(), **options)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for start in range(0, count, 500):
            follow.filter_many([make(number) for number in range(start, start + 500)])
            used, _ = tracemalloc.get_traced_memory()
            assert used - before < most + 100_000
    finally:
        tracemalloc.stop()
    books = follow._books
    assert books._gaps == sum(run.gaps for one in books.senders.values() for run in every_run(one))
    assert books._bytes == sum(books._size(whose, one) for whose, one in books.senders.items())
    follow.close()
    totals = follow.totals()
    assert totals["received"] + totals["duplicated"] + totals["perhaps_lost"] == count


def test_one_key_cannot_crowd_out_another_with_long_names_or_gaps() -> None:
    """Those whose senders take most give way first, however few they are."""
    follow = FollowFilter(key_field="key", max_bytes=300_000, output_to=Kept())
    honest = [f"web {number}" for number in range(50)]
    for name in honest:
        follow.filter_many(by_key("web", *sent(name, 1, 3)))
    for number in range(500):
        follow.filter_many([{**many_names(number), "key": "stranger"}])
    for number in range(0, 20_000, 2):
        follow.filter_many(by_key("stranger", *sent(f"{number % 20}", number // 20 + 1)))
    for name in honest:
        follow.filter_many(by_key("web", *sent(name, 2, 4)))
    follow.close()
    for name in honest:
        assert follow.by_sender()["web", name].items() >= {"received": 4, "late": 1, "lost": 0}.items()


def sent_by_a_process(count: int) -> list[bytes]:
    """What the command stamps with a name of ours."""
    stamping = ["--decoder", "JSON", *part("filter", "Stamp", sender="web"), "--encoder", "JSON"]
    with node("--input", "STDIN", *stamping, "--output", "STDOUT") as sender:
        sender.write(b'{"text":"x"}\n' * count)
        status, out, err = sender.end()
    assert (status, err) == (0, b"")
    return out.splitlines(keepends=True)


@pytest.mark.parametrize("lost", [1, 1001])
def test_a_process_that_is_started_again(lost: int, tmp_path: Path) -> None:
    """With the same name: of the second, the first messages never reach the one that follows."""
    followed = tmp_path / "followed"
    output = ["--output", "File", "--output_options", f"filename={followed}"]
    with node("--input", "STDIN", "--filter", "Follow", *output) as receiver:
        receiver.write(b"".join(sent_by_a_process(lost)))
        wait_for(lambda: followed.exists() and followed.read_bytes().count(b"\n") == lost, 20)
        receiver.write(b"".join(sent_by_a_process(1500)[lost:]))
        status, _, err = receiver.end()
    assert status == 0
    plural = "s" if lost > 1 else ""
    told = f"message-passing: filter (Follow): {lost} message{plural} did not arrive here: {lost} of web\n"
    assert untimed(err.decode()) == told


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
    assert follow.summary() == [
        "1 message did not arrive here: 1 of a with the key web",
        (
            "1 message repeated an earlier number (a duplicate, or a restart without sender_run), "
            "so what these senders lost is only estimated, at 998: "
            "1 of a with the key stranger"
        ),
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


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ({"service": "shop", "host": "web-1"}, "shop@web-1"),
        ({"service.name": "shop", "host.name": "web-1"}, "shop@web-1"),
        ({"Resource": {"service.name": "shop", "host.name": "web-1"}}, "shop@web-1"),
        ({"service": "shop"}, "shop"),
        ({"service": "s" * 5000, "host": "h" * 5000}, f"{'s' * 100}@{'h' * 100}"),
        ({"service": ["shop"], "host": "web-1"}, "web-1:4711"),
        ({}, "web-1:4711"),
    ],
    ids=["plain", "ecs", "otel", "no host", "long", "no text", "nothing"],
)
def test_a_sender_is_called_by_its_service_and_host(said: dict[str, Any], label: str) -> None:
    """As its first message has them, whatever the field set; else its name without the run's id."""
    follow = FollowFilter(output_to=Kept())
    follow.consume_many([{"sender": UNIQUE, "sequence": 1, **said}, {"sender": UNIQUE, "sequence": 2}])
    assert follow.label_of(UNIQUE) == label
    assert follow.label_of("never seen") == "never seen"
    follow.consume({"sender": UNIQUE, "sequence": 4})
    assert follow.summary()[0].startswith(f"1 message did not arrive here: 1 of {label[:90]}")
    follow.close()


def test_a_further_run_keeps_the_label() -> None:
    """A name that another process takes over is called the same."""
    follow = FollowFilter(output_to=Kept())
    for run in ("18a2b3c4d5e6f708", "18a2b3c4d5e6f709"):
        follow.consume({"sender": "a", "sequence": 1, "sender_run": run, "service": "shop", "host": "web-1"})
        assert follow.label_of("a") == "shop@web-1"
    follow.close()
