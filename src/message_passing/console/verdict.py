"""Findings: what an operator should know first about a node, in sentences, for both the page and `top`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.metrics import FAILED_REASON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FULL = 0.5
"""The share of a component's capacity from which it counts as filling up; from 0.95 on it is full."""

_FULL_UP = 0.95
SLOW_SHARE = 0.5
"""The share of the chain's time from which a component is called slow."""

LATE = 0.2
"""Seconds of loop delay from which it is reported."""

_MOST, _LONGEST, _NAME = 100, 1000, 80
"""The most sentences of one verdict, and characters of each and of the names in it. They contain untrusted text: what
shows them must escape control characters or markup."""

_WEIGHTS = ("bad", "warn", "note")

Finding = dict[str, str]
"""`weight`, one of `bad`, `warn`, `note` and `good`; `text`, a sentence; `where`, a component's id or a section."""


def condition(component: Mapping[str, Any]) -> str:
    """A component's condition.

    Returns:
        `bad` while it is losing messages, `warn` when it fills up, `lost` when it has lost some, or an empty text.
    """
    if component["lost_rate"] > 0:
        return "bad"
    if _fill(component) >= FULL:
        return "warn"
    return "lost" if _losses(component)[0] else ""


def slowest(components: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The component that takes the most time, if that is a large share."""
    timed = [one for one in components if one["utilization"] is not None]
    most = max(timed, key=lambda one: float(one["utilization"]), default=None)
    return most if most and most["utilization"] >= SLOW_SHARE else None


def verdict(state: Mapping[str, Any]) -> list[Finding]:
    """The findings, the worst first; if there are none, one sentence that says whether it is idle or all is well.

    Args:
        state: as `GET /state` gives it.
    """
    found = [
        {"weight": weight, "text": text[:_LONGEST], "where": where} for weight, text, where in _found(state)
    ]
    found.sort(key=lambda one: _WEIGHTS.index(one["weight"]))
    if not found and state["headline"]["state"] != "ok":
        return [{"weight": "note", "text": state["headline"]["text"], "where": "chain"}]
    if not found:
        text = "All is well: nothing was lost, and no queue is filling up."
        return [{"weight": "good", "text": text, "where": "chain"}]
    return found[:_MOST]


def _found(state: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if state["stopping"]:
        yield "warn", "The node is stopping.", "chain"
    elif not state["ready"]:
        yield "warn", "The node is not ready yet.", "chain"
    for one in state["components"]:
        yield from _of_component(one)
    yield from _of_senders(state["senders"])
    if state["loop_delay"] is None:
        yield "warn", "The chain has not responded for a second: it is blocked.", "chain"
    elif state["loop_delay"] > LATE:
        yield "warn", f"The event loop is delayed by {state['loop_delay'] * 1000:.0f} ms.", "chain"
    if slow := slowest(state["components"]):
        whose = "the workers'" if slow["in_workers"] else "the chain's"
        share = _percent(slow["utilization"])
        text = f"{slow['id'][:_NAME]} is the slowest component: it takes {share} of {whose} time."
        yield "warn", text, slow["id"]
    for worker in state["workers"]:
        if not worker["ready"]:
            yield "warn", f"Worker {worker['number']} is not ready.", "chain"
    yield from _of_errors(state)


def _of_component(one: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    name, where = one["id"][:_NAME], one["id"]
    for problem in one.get("problems", ()):
        yield "bad", f"{name}: {problem}", where
    lost, why = _losses(one)
    if one["lost_rate"] > 0:
        yield "bad", f"{name} is losing {rate_text(one['lost_rate'])}; so far {why}.", where
    elif lost:
        yield "warn", f"{name} has lost {message_text(lost)}: {why}. None in the last second.", where
    if again := sum(one.get("coming_again", {}).values()):
        yield (
            "note",
            f"{name} failed on messages that its input delivers again: {again:,} attempts.",
            where,
        )
    if _fill(one) >= FULL:
        how = "is full" if is_full(one) else "is filling up"
        buffered = f"{one['buffered']:,} of {one['capacity'] or one['buffered']:,} messages are buffered"
        if one.get("full"):
            buffered = "it has dropped messages in the last 10 s because it was full"
        yield "bad" if is_full(one) else "warn", f"{name} {how}: {buffered}.", where
    for note in one["notes"]:
        if note not in one.get("problems", ()):
            yield "note", f"{name}: {note}", where


def _of_senders(senders: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    if not senders:
        return
    if lost := senders["lost"]:
        yield (
            "warn",
            f"{message_text(lost)} did not arrive from their senders: see the table of senders.",
            "senders",
        )
    if idle := senders.get("idle", 0):
        verb = "is" if idle == 1 else "are"
        yield "note", f"{idle:,} of {senders['senders']:,} senders {verb} idle.", "senders"


def _of_errors(state: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if last := state["errors"]["last"]:
        count = state["errors"]["count"]
        errors = "1 error" if count == 1 else f"{count:,} errors"
        ago = duration_text(state["time"] - last["time"])
        text = f"{errors}; the last {ago} ago, in {last['component']}: {str(last['error'])[:200]}"
        yield "warn", text, "errors"


def _losses(component: Mapping[str, Any]) -> tuple[int, str]:
    """How many messages it has lost, and why: `3 queue full, 1 failed`. What is delivered again is not lost."""
    counted: Sequence[tuple[str, int]] = [*component["dropped"].items(), (FAILED_REASON, component["failed"])]
    again = component.get("coming_again", {})
    reasons = [(reason, max(0, count - again.get(reason, 0))) for reason, count in counted]
    told = [f"{count:,} {reason}" for reason, count in reasons if count]
    return sum(count for _, count in reasons), ", ".join(told)


def _fill(component: Mapping[str, Any]) -> float:
    """How full it is, from 0 to 1; 0 without a bound; 1 if it drops messages because it is full.

    Part of a queue may be uncountable, as in ZeroMQ: then only drops show that it is full.
    """
    if component.get("full"):
        return 1.0
    return min(1.0, component["buffered"] / component["capacity"]) if component["capacity"] else 0.0


def is_full(component: Mapping[str, Any]) -> bool:
    """Whether it is at least 95 % full, or has recently dropped messages because it was full."""
    return _fill(component) >= _FULL_UP


def message_text(count: int) -> str:
    """How many messages: `1 message`, `1,200 messages`."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def rate_text(number: float) -> str:
    """Messages a second: `0.4/s`, `12/s`, `1,234/s`."""
    if 0 < number < 0.05:
        return "<0.1/s"
    return f"{number:.1f}/s".replace(".0/", "/") if number < 10 else f"{number:,.0f}/s"


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def duration_text(seconds: float) -> str:
    """`42 s`, `3 min`, `2 h 5 min`, `3 days`."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if whole < 100:
        return f"{whole} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} days"
