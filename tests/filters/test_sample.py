"""The filter Sample."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters.sample import SampleFilter
from support import Kept, accounted_for


def sampled(messages: list[Any], **options: Any) -> list[Any]:
    """What passes."""
    kept = Kept()
    sample = SampleFilter(**options, output_to=kept)
    sample.consume_many(messages)
    assert accounted_for(sample)
    return kept.messages


def test_the_part_that_passes() -> None:
    """About as many as asked for; of ten thousand, five standard deviations are 150."""
    messages = [{"n": n} for n in range(10_000)]
    assert abs(len(sampled(messages, rate=0.1)) - 1000) < 150
    assert sampled(messages, rate=0) == []
    assert sampled(messages, rate=1) == messages


def test_what_belongs_together_stays_together() -> None:
    """All messages of a trace pass, or none, and in every process the same."""
    messages = [{"trace": f"t{n % 500}", "n": n} for n in range(5_000)]
    passed = sampled(messages, rate=0.2, key="trace")
    traces = {one["trace"] for one in passed}
    assert len(passed) == 10 * len(traces)
    assert 50 < len(traces) < 150
    assert sampled(messages, rate=0.2, key="trace") == passed
    assert {one["trace"] for one in sampled(messages, rate=0.4, key="trace")} > traces


@pytest.mark.parametrize("form", ["user{}", "req-{:08}", "10.0.0.{}", "{}", "order/{}"])
def test_a_part_of_numbered_keys(form: str) -> None:
    """Keys that differ in a few digits are chosen as evenly as others: within three standard deviations."""
    messages = [{"k": form.format(n)} for n in range(1000)]
    for rate in (0.05, 0.1, 0.5):
        deviation = (1000 * rate * (1 - rate)) ** 0.5
        assert abs(len(sampled(messages, rate=rate, key="k")) - 1000 * rate) < 3 * deviation


def test_rates_by_level_and_what_always_passes() -> None:
    """The levels of any field set."""
    messages = [{"level": "ERROR"}, {"log": {"level": "debug"}}, {"level": "INFO"}, {"path": "/pay"}, "text"]
    passed = sampled(messages, rate=0, levels={"ERROR": 1, "10": 1}, always='path == "/pay"')
    assert passed == [messages[0], messages[1], messages[3]]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 2}, "rate"),
        ({"rate": 0.5, "levels": {"EROR": 1}}, "there is no level 'EROR' (did you mean 'ERROR'?)"),
        ({"rate": 0.5, "levels": {"ERROR": 7}}, "the rate of ERROR is 7"),
        ({"rate": 0.5, "always": "a ="}, "always: "),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        SampleFilter(**options)
    assert problem in str(caught.value)
