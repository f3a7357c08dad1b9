"""What every component shares: options, life cycle, error chain."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from message_passing import options
from message_passing.component import Component
from message_passing.errors import OptionError
from message_passing.failures import REPORT_BURST
from message_passing.flow import Filter, Output
from message_passing.options import option
from support import Kept


class Greeting(Filter):
    """Greets."""

    name = "Greeting"
    word: str = option(default="hello", description="What to say.", min_length=1)
    times: int = option(description="How often.", ge=1)
    log: list[str] = option(default_factory=list, description="What happened.")

    def on_open(self) -> None:
        """Note it."""
        self.log.append("open")

    def on_close(self) -> None:
        """Note it."""
        self.log.append("close")

    def reopen(self) -> None:
        """Note it."""
        self.log.append("reopen")

    def filter(self, message: Any) -> Any:
        """Greet."""
        return f"{self.word} {message}" if message != "nobody" else None


class Failing(Output):
    """Cannot take anything."""

    def write(self, message: Any) -> None:
        """Fail."""
        raise OSError("disk full")


def test_options_become_attributes() -> None:
    """Those given, checked, and the defaults of the others."""
    written: dict[str, Any] = {"times": "3"}
    greeting = Greeting(**written)
    assert (greeting.word, greeting.times) == ("hello", 3)


class Renamed(Greeting):
    """Has an argument besides its options, and changes one of them."""

    def __init__(self, *, prefix: str = "", **given: Any) -> None:
        super().__init__(**{**given, "word": prefix + given.get("word", "")})


@pytest.mark.parametrize(
    ("cls", "given", "often"),
    [
        (Greeting, {}, {"times": 1, "word": 1}),
        (Renamed, {}, {"times": 1, "word": 1}),
        (Renamed, {"prefix": "oh, "}, {"prefix": 1, "times": 1, "word": 2}),
    ],
)
def test_options_are_checked_once(
    cls: type[Greeting], given: dict[str, Any], often: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a class with a constructor of its own; what that changes is checked then."""
    checked: Counter[str] = Counter()
    convert = options.convert

    def count(one: options.Option, value: Any) -> Any:
        checked[one.name] += 1
        return convert(one, value)

    monkeypatch.setattr(options, "convert", count)
    made = cls.make({"times": "3", "word": "hi", **given}, from_text=True)
    assert (made.word, made.times) == (given.get("prefix", "") + "hi", 3)
    assert checked == often


def test_wrong_options_are_told_all_at_once() -> None:
    """Each fault names the component as its documentation does."""
    wrong: dict[str, Any] = {"wrod": "x", "word": "", "times": 0}
    with pytest.raises(OptionError) as caught:
        Greeting(**wrong)
    assert [str(fault) for fault in caught.value.faults] == [
        "Greeting filter has no option 'wrod' (did you mean 'word'?)",
        "Greeting filter: option 'word' must be non-empty str, not ''",
        "Greeting filter: option 'times' must be int >= 1, not 0",
    ]


def test_two_components_share_no_default_list() -> None:
    """A default that can change is made anew for each."""
    first, second = Greeting(times=1), Greeting(times=1)
    first.open()
    assert second.log == []


def test_a_class_without_a_name_is_called_by_its_own() -> None:
    """Messages to a person always have something to call it."""
    assert Failing.describe_self() == "Failing output"
    assert Component.describe_self() == "Component component"


def test_opening_and_closing_again_is_harmless() -> None:
    """Each happens once."""
    greeting = Greeting(times=1)
    greeting.open()
    greeting.open()
    greeting.close()
    greeting.close()
    greeting.open()
    assert greeting.log == ["open", "close"]


def test_what_was_never_opened_needs_no_closing() -> None:
    """`on_close` may rely on `on_open`."""
    greeting = Greeting(times=1)
    greeting.close()
    assert greeting.log == []


def test_a_message_opens_what_was_not_opened() -> None:
    """A chain made by hand works without a word about opening."""
    greeting = Greeting(times=1, output_to=Kept())
    greeting.consume("you")
    assert greeting.log == ["open"]


def test_the_snapshot_counts_everything_once() -> None:
    """Received is what was passed, filtered, dropped, failed or is held."""
    greeting = Greeting(times=1, output_to=Kept())
    greeting.consume_many(["you", "nobody", "me"])
    greeting.close()
    greeting.consume("late")
    assert greeting.snapshot() == {
        "received": 4,
        "passed": 2,
        "filtered": 1,
        "dropped": {"closed": 1},
        "failed": 0,
        "held": 0,
    }


def test_a_failure_goes_to_the_error_chain() -> None:
    """Counted, and told with the component, the reason and the message."""
    errors = Kept()
    failing = Failing(error=errors)
    failing.consume_many(["a", "b"])
    assert failing.metrics.failed == 2
    assert [(e["component"], e["exception"], e["packed_data"]) for e in errors.messages] == [
        ("Failing output", "disk full", "a"),
        ("Failing output", "disk full", "b"),
    ]


def test_without_an_error_chain_stderr_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line for each failure."""
    Failing().consume("a")
    assert json.loads(capsys.readouterr().err)["exception"] == "disk full"


def test_any_object_with_consume_can_be_an_error_chain() -> None:
    """It needs no base class."""

    class Plain:
        def __init__(self) -> None:
            self.got: list[Any] = []

        def consume(self, message: Any) -> None:
            self.got.append(message)

    plain = Plain()
    Failing(error=plain).consume("a")
    assert plain.got[0]["exception"] == "disk full"


def test_an_error_chain_that_fails_ends_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Both the failure and the error chain's own are told, and neither goes round."""
    chain = Failing()
    chain.error = chain
    Failing(error=chain).consume("a")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["exception"] for line in lines] == ["disk full"]
    assert "stringified_data" in lines[0], "it is the error chain's failure to take the report"
    assert "disk full" in lines[0]["stringified_data"]


def test_an_error_chain_that_raises_takes_nothing_down(capsys: pytest.CaptureFixture[str]) -> None:
    """What a stranger's `consume` raises stops there, and the report is on stderr."""

    class Hostile:
        def consume(self, message: Any) -> None:
            raise RuntimeError("hostile")

    Failing(error=Hostile()).consume("a")
    assert json.loads(capsys.readouterr().err)["exception"] == "disk full"


def test_a_flood_of_failures_is_counted_and_not_all_reported() -> None:
    """The rest is told with the next report, or at the end: every failed message is in exactly one number."""
    errors = Kept()
    failing = Failing(error=errors)
    count = 20 * REPORT_BURST
    failing.consume_many(["a"] * count)
    assert REPORT_BURST <= len(errors.messages) < count / 2
    failing.report(ValueError("it is about something else"))
    assert "suppressed" not in errors.messages[-1], (
        "a flood of messages takes nothing from what is said otherwise"
    )
    failing.close()
    last = errors.messages[-1]
    assert last["exception"].startswith(
        f"{last['suppressed']} more failed: at most {REPORT_BURST} reports at once"
    )
    told = sum("packed_data" in report for report in errors.messages)
    assert failing.metrics.failed == count == told + sum(r.get("suppressed", 0) for r in errors.messages)
    failing.close()
    assert errors.messages[-1] is last


def test_the_error_option_cannot_come_from_a_file() -> None:
    """No text can spell an object: the example and the reference know it as Python's."""
    assert options.declared(Greeting)["error"].python_only
