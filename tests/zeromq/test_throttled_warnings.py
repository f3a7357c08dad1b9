"""What is said of peers: each kind once in a period, with a count, in bounded memory."""

from __future__ import annotations

from message_passing.zeromq.throttled_warnings import WARNING_PERIOD, ThrottledWarnings


def noted(now: list[float]) -> tuple[ThrottledWarnings, list[int]]:
    """Notices with a clock to set, and a list with an element for each time that they woke their reader."""
    notices, woken = ThrottledWarnings(lambda: now[0]), [0]
    woken.clear()
    notices.wake = lambda: woken.append(1)
    return notices, woken


def test_one_peer_is_in_the_singular() -> None:
    """It tries again and again."""
    now = [0.0]
    notices, _ = noted(now)
    for _ in range(4):
        notices.say("refused key", "refused", "10.0.0.7")
    now[0] = 6.0
    assert notices.take(all_counts=True) == [
        "refused",
        "refused (this was the last of 3 times in 6 s, from 1 peer)",
    ]


def test_a_flood_of_different_peers_is_two_sentences_a_period() -> None:
    """The first at once, and the last with how many there were, and of how many peers."""
    now = [0.0]
    notices, woken = noted(now)
    for number in range(500):
        notices.say("refused key", f"refused {number}", str(number % 50))
        now[0] += 0.1
    assert notices.take() == ["refused 0"]
    now[0] = WARNING_PERIOD
    notices.look()
    assert len(woken) == 2
    assert notices.take() == ["refused 499 (this was the last of 499 times in 60 s, from 50 peers)"]
    notices.look()
    assert (len(woken), notices.take()) == (2, [])
    now[0] += WARNING_PERIOD
    notices.say("refused key", "refused again")
    assert notices.take() == ["refused again"]


def test_a_flood_that_goes_on_is_said_once_a_period() -> None:
    """By whoever says the next one, if nobody else looks."""
    now = [0.0]
    notices, _ = noted(now)
    for number in range(int(10 * WARNING_PERIOD)):
        notices.say("kind", f"{number}")
        now[0] += 1
    assert len(notices.take()) == 11


def test_one_more_is_no_count() -> None:
    """It is said as it was."""
    now = [0.0]
    notices, _ = noted(now)
    notices.say("kind", "first")
    notices.say("kind", "second")
    now[0] = WARNING_PERIOD
    assert notices.take() == ["first", "second"]


def test_kinds_are_told_apart_and_counts_said_at_the_end() -> None:
    """When nobody will ask again."""
    notices, _ = noted([0.0])
    for _ in range(3):
        notices.say("one", "first")
        notices.say("two", "second")
    assert notices.take() == ["first", "second"]
    assert notices.take(all_counts=True) == [
        "first (this was the last of 2 times in 0 s)",
        "second (this was the last of 2 times in 0 s)",
    ]
    assert notices.take(all_counts=True) == []


def test_what_is_remembered_has_a_bound() -> None:
    """Of kinds, of peers within one, of sentences that nobody takes, and of their length."""
    now = [0.0]
    notices, _ = noted(now)
    for number in range(5000):
        notices.say(f"kind {number}", "x" * 10_000)
        notices.say("one", "one", f"peer {number}" * 100)
    assert len(notices._kinds) <= 1000
    now[0] = WARNING_PERIOD
    texts = notices.take()
    assert len(texts) <= 1000
    assert max(map(len, texts)) <= 2003  # with the mark of the cut
    for number in range(5000):
        notices.say("one", "one", f"peer {number}" * 100)
    (text,) = [one for one in notices.take(all_counts=True) if "last of 5,000 times" in one]
    assert text.endswith("s, from more than 1,000 peers)")


def test_a_reader_that_has_gone_is_no_failure() -> None:
    """As an event loop that has ended."""
    notices = ThrottledWarnings()

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    notices.wake = gone
    notices.say("kind", "text")
    assert notices.take() == ["text"]
