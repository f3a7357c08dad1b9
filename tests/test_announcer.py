"""When problems are told, and how often: at once, after a minute, then every ten; and that they are over."""

from __future__ import annotations

from typing import Any

from message_passing.announcer import Announcer, totals
from message_passing.flow import Filter, Output


class Ailing(Output):
    """An output that says of itself what a test wants."""

    def on_init(self) -> None:
        """All is well."""
        self.wrong: list[str] = []
        self.noted: list[str] = []
        self.known: dict[str, Any] = {"endpoints": ("tcp://there:1",), "peers": 0}
        self.left = 0

    def write(self, message: Any) -> None:
        """Nothing."""

    def held(self) -> int:
        """As a test wants."""
        return self.left

    def problems(self) -> list[str]:
        """As a test wants."""
        return self.wrong

    def notes(self) -> list[str]:
        """As a test wants."""
        return self.noted

    def info(self) -> dict[str, Any]:
        """As a test wants."""
        return self.known


class Heard:
    """What an announcer says of one component, with a clock that a test sets."""

    def __init__(self, **how: Any) -> None:
        self.now = 1000.0
        self.ailing = Ailing()
        self.said: list[str] = []
        self.announcer = Announcer(lambda: [self.ailing], self.said.append, clock=lambda: self.now, **how)

    def after(self, seconds: float) -> list[str]:
        """What is said so much later, without the label."""
        self.now += seconds
        self.said.clear()
        self.announcer.look()
        return [text.removeprefix("Ailing output: ") for text in self.said]


def test_a_problem_that_stands_is_told_after_a_minute_and_then_every_ten() -> None:
    """And a note once."""
    heard = Heard()
    heard.ailing.wrong, heard.ailing.noted = ["it is broken"], ["it may be well"]
    assert heard.after(0) == ["it is broken", "it may be well"]
    told = [seconds for seconds in range(1, 2000) if heard.after(1)]
    assert told == [60, 660, 1260, 1860]


def test_at_the_end_only_what_holds_messages_says_why() -> None:
    """Neither notes, nor who is connected, nor the problems of what has passed everything on."""
    heard = Heard(alive=True)
    heard.announcer.end()
    heard.ailing.wrong, heard.ailing.noted, heard.ailing.known["peers"] = ["it is broken"], ["a note"], 1
    assert heard.after(1) == []
    heard.ailing.left = 3
    assert heard.after(1) == ["it is broken"]
    assert heard.after(1) == []


def test_the_end_of_a_problem_is_told_once() -> None:
    """When somebody is connected; what comes back later is told anew."""
    heard = Heard()
    heard.ailing.wrong = ["nobody there"]
    heard.after(0)
    heard.ailing.wrong = []
    assert heard.after(1) == []
    heard.ailing.known["peers"] = 1
    assert heard.after(1) == ["connected to tcp://there:1"]
    assert heard.after(1) == []
    heard.ailing.wrong, heard.ailing.known["peers"] = ["nobody there"], 0
    assert heard.after(1) == ["nobody there"]


def test_sentences_that_change_all_the_time_are_bounded() -> None:
    """Ten a minute, whatever a stranger makes of them; and a hundred are remembered."""
    heard = Heard()
    count = 0
    for number in range(1000):
        heard.ailing.wrong = [f"{number} is wrong"]
        count += len(heard.after(0.5))
    assert 80 <= count <= 90
    (voice,) = heard.announcer._voices.values()
    assert len(voice.told) <= 100


def test_signs_of_life_and_notes_are_given_where_they_are_wanted() -> None:
    """Where it listens, that it is connected."""
    heard = Heard(alive=True, notes=False)
    heard.ailing.known["listens"] = True
    heard.ailing.noted = ["nobody there yet"]
    assert heard.after(0) == ["listening on tcp://there:1"]
    heard.ailing.known["peers"] = 2
    assert heard.after(1) == ["connected on tcp://there:1"]
    assert heard.after(1) == []


def test_a_component_that_fails_to_say_what_it_is_ends_nothing() -> None:
    """It is a user's, and the others are heard all the same."""
    heard = Heard()
    heard.ailing.wrong = 7  # type: ignore[assignment]
    assert heard.after(0) == []
    heard.ailing.wrong = ["it is broken\n\x1b[2J"]
    assert heard.after(1) == ["it is broken\\n\\e[2J"]


class Odd(Filter):
    """Removes what is even."""

    def filter(self, message: int) -> int | None:
        """None for what is even."""
        return message if message % 2 else None


def test_totals_are_of_both_ends_and_of_what_removes_something() -> None:
    """Received, passed, filtered; what was lost is told elsewhere."""
    output = Ailing()
    odd = Odd(output_to=output)
    with odd:
        odd.consume_many([*range(5)])
    assert totals([odd, output]) == [
        "Odd filter: total: received 5, passed 2, filtered 3",
        "Ailing output: total: received 2, passed 2",
    ]
