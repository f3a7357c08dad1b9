"""Dead letters: whole messages in the error chain, and what becomes of a delivery that has them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from commands import finished
from message_passing import Output
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.delivery import Hold, Outcome
from message_passing.errors import MessageError
from message_passing.flow import Input
from message_passing.inputs.stdin import StdinInput
from message_passing.outputs.null import NullOutput
from nodes import part
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

DELIVERED, REJECTED, LOST = Outcome


class Source(Input):
    """Delivers what a test says."""


class Waits(Output):
    """An error chain that keeps reports until somebody says so."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.holds: list[Hold] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep them."""
        self.holds.append(self.hold())


class Refuses(Output):
    """Fails with what it is told to."""

    reason: Any = MessageError("never")

    def write_many(self, messages: list[Any]) -> None:
        """Fail."""
        raise self.reason


class Drops(Output):
    """An error chain whose queue is full."""

    def write_many(self, messages: list[Any]) -> None:
        """Drop them."""
        self.drop(messages, "queue full")


def outcomes(head: Output, messages: list[Any]) -> list[Outcome]:
    """What becomes of a delivery through this component: as it is settled."""
    found: list[Outcome] = []
    Source(output_to=head).deliver(messages, found.append)
    return found


def decoder(error: Any, **options: Any) -> JSONDecoder:
    """One that leaves dead letters in this error chain."""
    return JSONDecoder(output_to=NullOutput(), error=error, dead_letters=True, **options)


def test_a_rejected_message_is_delivered_once_its_dead_letter_is() -> None:
    """Not before the error chain keeps it no more."""
    errors = Waits()
    found = outcomes(decoder(errors), [b'{"n":1}', b"no"])
    assert found == []
    errors.holds.pop().release()
    assert found == [DELIVERED]


@pytest.mark.parametrize("why", ["note", "drop", "raise"])
def test_a_lost_dead_letter_is_a_loss(why: str) -> None:
    """However the error chain loses it: it is to be sent again."""
    if why == "note":
        errors: Output = Waits()
        found = outcomes(decoder(errors), [b"no"])
        errors = cast("Waits", errors)
        (hold,) = errors.holds
        hold.note(LOST)
        hold.release()
    else:
        errors = Drops() if why == "drop" else Refuses(error=Kept(), reason=OSError(28, "No space left"))
        found = outcomes(decoder(errors), [b"no"])
    assert found == [LOST]


def test_without_an_error_chain_it_is_rejected(capfd: pytest.CaptureFixture[str]) -> None:
    """It is on standard error, whole, where nobody keeps it."""
    assert outcomes(JSONDecoder(output_to=NullOutput(), dead_letters=True), [b"x" * 5000]) == [REJECTED]
    assert "x" * 5000 in capfd.readouterr().err


def test_a_message_that_is_too_large_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dead letter has not all of it, and says so."""
    monkeypatch.setattr("message_passing.component.MOST_DATA", 10)
    errors = Kept()
    assert outcomes(decoder(errors), [b"x" * 11]) == [REJECTED]
    assert outcomes(decoder(errors), [b"x" * 10]) == [DELIVERED]
    assert [one.get("truncated") for one in errors.messages] == [True, None]


def test_each_failed_message_has_a_whole_report_of_its_own() -> None:
    """More than reports are made otherwise, of whatever bytes, with the component's name, and the attempts."""
    errors = Kept()
    one = decoder(errors, report_limit=3)
    one.chain_name = "first"
    given = [b"\xff\xfe" + b"%d" % n for n in range(300)]
    assert outcomes(one, [*given]) == [DELIVERED]
    assert [base64.b64decode(letter["packed_data_base64"]) for letter in errors.messages] == given
    assert {(letter["component"], letter["attempts"]) for letter in errors.messages} == {("first", 1)}
    assert one.metrics.failed == 300


def test_an_encoder_and_an_output_leave_dead_letters_too() -> None:
    """Objects as JSON, as far as JSON has them."""
    errors = Kept()
    refuses = Refuses(error=errors, dead_letters=True)
    encoder = JSONEncoder(output_to=refuses, error=errors, dead_letters=True)
    assert outcomes(encoder, [{"n": object}, {"n": 2}]) == [DELIVERED]
    shown = [one.get("packed_data") or one["stringified_data"] for one in errors.messages]
    assert (len(shown), shown[1]) == (2, '{"n":2}')


def test_a_frame_leaves_each_line_that_is_malformed() -> None:
    """And not only the first, as otherwise."""
    errors = Kept()
    lines = JSONLinesDecoder(output_to=NullOutput(), error=errors, dead_letters=True)
    assert outcomes(lines, [b'{"n":1}\nno\n{"n":2}\nnor this\n']) == [DELIVERED]
    assert [one["packed_data"] for one in errors.messages] == ["no", "nor this"]
    assert lines.metrics.failed == 2


def test_what_the_system_refused_is_sent_again_where_somebody_does() -> None:
    """A full disk does not turn all that is delivered into dead letters; what is only emitted comes once."""
    errors = Kept()
    refuses = Refuses(reason=OSError(28, "No space left"), error=errors, dead_letters=True)
    assert outcomes(refuses, [b"one"]) == [LOST]
    assert not any("attempts" in one for one in errors.messages)
    Source(output_to=refuses).emit([b"two"])
    assert [one["packed_data"] for one in errors.messages if "attempts" in one] == ["two"]


def test_a_line_that_was_not_read_whole_is_no_dead_letter() -> None:
    """Nobody has all of it."""
    errors = Kept()
    stdin = StdinInput(output_to=NullOutput(), error=errors, dead_letters=True, max_line=10)
    stdin.too_long(b"x" * 11)
    assert "attempts" not in errors.messages[0]
    assert stdin.metrics.failed == 1


FORMS = {
    "toml": """
input = "STDIN"
output = "STDOUT"
error = "File"
error_options = {filename = "letters"}
dead_letters = true
""",
    "named.toml": """
error_log = "reports"
dead_letters = true
inputs.in = {class = "STDIN", output_to = "decoder"}
decoders.decoder = {class = "JSON", output_to = "out"}
encoders.out = {class = "JSON", output_to = "stdout"}
outputs.stdout = {class = "STDOUT"}
encoders.reports = {class = "JSON", output_to = "letters"}
outputs.letters = {class = "File", options = {filename = "letters"}}
""",
}


@pytest.mark.parametrize("form", ["words", "workers", *FORMS])
def test_a_chain_leaves_dead_letters_in_a_file(form: str, tmp_path: Path) -> None:
    """By one option, in every form, and of every component."""
    words = [
        "--input",
        "STDIN",
        "--output",
        "STDOUT",
        *part("error", "File", filename="letters"),
        "--dead-letters",
    ]
    if form in FORMS:
        (tmp_path / f"chain.{form}").write_text(FORMS[form])
        words = [f"chain.{form}"]
    elif form == "workers":
        words += ["--workers", "1"]
    poison = "poison " + "x" * 5000
    done = finished(*words, given=f'{{"n":1}}\n{poison}\n{{"n":2}}\n'.encode(), cwd=tmp_path)
    assert done.out == b'{"n":1}\n{"n":2}\n'
    (letter,) = [json.loads(line) for line in (tmp_path / "letters").read_text().splitlines()]
    assert (letter["packed_data"], letter["attempts"], letter["component"]) == (poison, 1, "decoder")


@pytest.mark.parametrize("form", ["words", *FORMS])
def test_dead_letters_need_an_error_chain(form: str, tmp_path: Path) -> None:
    """Standard error keeps nothing: the command says what to do."""
    words = ["--input", "STDIN", "--output", "STDOUT", "--dead_letters"]
    if form in FORMS:
        kept = [line for line in FORMS[form].splitlines() if not line.startswith("error")]
        (tmp_path / f"chain.{form}").write_text("\n".join(kept))
        words = [f"chain.{form}"]
    done = finished(*words, cwd=tmp_path)
    assert done.status == 2
    assert "no error chain stores these: name one (--error File" in done.err
