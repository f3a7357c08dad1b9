"""A message that a component both drops and fails, or fails and raises for, is counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONDecoder
from message_passing.flow import Encoder, Filter, Output
from message_passing.lines import MultiMessage
from support import Kept

if TYPE_CHECKING:
    from message_passing.component import Component

MESSAGES = ["good", "drop", "fail", "drop and raise", "good", "fail and raise", "raise", "good"]


def treated(component: Component, message: Any) -> bool:
    """Do what a message says, and say whether it is good."""
    if "drop" in message:
        component.drop([message], "not wanted")
    if "fail" in message:
        component.fail(ValueError("failed"), [message])
    if "raise" in message:
        raise ValueError("raised")
    return bool(message == "good")


class WritesEach(Output):
    """Message by message."""

    def write(self, message: Any) -> None:
        """Do what it says."""
        treated(self, message)


class WritesMany(Output):
    """A batch at a time, until it raises."""

    def write_many(self, messages: list[Any]) -> None:
        """Do what each says."""
        for message in messages:
            if treated(self, message):
                self.drop([message], "good")


class FiltersEach(Filter):
    """Message by message."""

    def filter(self, message: Any) -> Any:
        """Keep what is good."""
        return message if treated(self, message) else None


class FiltersMany(Filter):
    """A batch at a time."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Keep what is good; what raises, raises for all."""
        return [message for message in messages if treated(self, message)]


class Keeps(Filter):
    """By a field alone."""

    reads = ("do",)

    def keeps(self, fields: Any) -> bool:
        """Keep what is good."""
        return treated(self, fields.do)


class Encodes(Encoder):
    """For an output that takes objects."""

    def filter(self, message: Any) -> Any:
        """Encode what is good."""
        return message.encode() if treated(self, message) else None


class TakesObjects(Output):
    """Has its batch encoded."""

    takes_objects = True

    def write_many(self, messages: list[Any]) -> None:
        """Encode it."""
        self.written = [*self.encoded(messages)]


class HoldsOne(Output):
    """Drops an older one for a new one, which is no loss of the new one."""

    waiting: Any = None

    def held(self) -> int:
        """One at most."""
        return int(self.waiting is not None)

    def write(self, message: Any) -> None:
        """Keep it instead of the one before, if that can be done."""
        if self.waiting is not None:
            self.drop([self.waiting], "made room")
            self.waiting = None
        if message == "raise":
            raise ValueError("raised")
        self.waiting = message


def counted(component: Component) -> tuple[int, int, int]:
    """How many were dropped and failed, and all that are accounted for."""
    found = component.snapshot()
    dropped = found["dropped"].get("not wanted", 0)
    return (
        dropped,
        found["failed"],
        sum(found["dropped"].values()) + found["failed"] + found["filtered"] + found["passed"],
    )


@pytest.mark.parametrize("whole", [True, False], ids=["a batch", "one by one"])
@pytest.mark.parametrize("kind", [WritesEach, FiltersEach])
def test_each_message_counts_once(kind: type[Output], whole: bool) -> None:
    """As what it was counted as first; that it raised besides is reported."""
    errors = Kept()
    component = kind(error=errors)
    if isinstance(component, Filter):
        component.output_to = Kept()
    for batch in [MESSAGES] if whole else [[one] for one in MESSAGES]:
        component.consume_many(batch)
    assert counted(component) == (2, 3, len(MESSAGES))
    assert [one["exception"] for one in errors.messages] == ["failed", "raised", "failed", "raised", "raised"]
    assert "drop and raise" in str(errors.messages[1])


@pytest.mark.parametrize("kind", [WritesMany, FiltersMany])
def test_a_batch_counts_once(kind: type[Output]) -> None:
    """What is left of it when it raises has failed, and no more than that."""
    component = kind(error=Kept())
    if isinstance(component, Filter):
        component.output_to = Kept()
    component.consume_many(MESSAGES)
    assert counted(component)[2] == len(MESSAGES)
    component.consume("drop and raise")
    assert counted(component)[2] == len(MESSAGES) + 1


@pytest.mark.parametrize("lines", [True, False])
def test_what_is_chosen_by_a_field_counts_once(lines: bool) -> None:
    """As lines, of which only the field is decoded, and as objects."""
    kept = Kept()
    keeps = Keeps(error=Kept(), output_to=kept)
    decoder = JSONDecoder(output_to=keeps)
    texts = [b'{"do":"%s"}' % one.encode() for one in MESSAGES]
    if lines:
        with decoder:
            decoder.consume_many(texts)
    else:
        keeps.consume_many([{"do": one} for one in MESSAGES])
    found = keeps.snapshot()
    assert (found["dropped"], found["failed"]) == ({"not wanted": 2}, 3)
    assert (found["passed"], found["filtered"]) == (3, 0)


def test_what_an_output_has_encoded_counts_once_there() -> None:
    """The encoder's losses are its output's."""
    output = TakesObjects(error=Kept())
    encoder = Encodes(error=Kept(), output_to=output)
    with encoder:
        encoder.consume_many(MESSAGES)
    assert output.written == [b"good"] * 3
    assert counted(output)[:2] == (2, 3)
    assert counted(output)[2] == len(MESSAGES)


def test_an_older_one_that_makes_room_is_no_loss_of_the_new_one() -> None:
    """Who keeps messages may drop one and fail with another."""
    output = HoldsOne(error=Kept())
    output.consume_many(["good", "raise", "good"])
    found = output.snapshot()
    assert (found["dropped"], found["failed"], found["held"]) == ({"made room": 1}, 1, 1)


class DropsOne(Output):
    """Of what a frame carries, and fails with the rest."""

    weighs = True

    def write(self, message: Any) -> None:
        """Lose one of it."""
        self.drop(1, "not wanted")
        raise ValueError("raised")


def test_the_rest_of_a_frame_has_failed() -> None:
    """Where one of three was dropped, two have failed."""
    output = DropsOne(error=Kept())
    output.consume(MultiMessage(b"a\nb\nc", 3))
    assert counted(output) == (1, 2, 3)
