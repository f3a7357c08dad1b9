"""A node's state in one word and one sentence: what `top`, the page and `/state` say first.

down: it does not run yet, or is stopping. losing: it has dropped messages in the last minute, an output could not
write some, or senders have lost some on the way to it. degraded: messages failed elsewhere in the last minute, such
as malformed ones in a decoder, a queue is full, an end does not fit, a peer was refused, a worker is missing, the
event loop is delayed, or it falls behind: messages come older and older, and it has no time left or many are
buffered. idle: no message has come, or none for a minute. ok: none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.console.activity import MINUTE
from message_passing.console.verdict import LATE, duration_text, is_full, message_text, rate_text
from message_passing.metrics import FAILED_REASON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from message_passing.loss_monitor import Loss

STATES = ("ok", "degraded", "losing", "idle", "down")
QUIET = MINUTE
"""Seconds without a message from which a node is idle."""

_SHOWN = 3
"""Components' losses, and endpoints, that a sentence names."""

_LONGEST = 1000
"""Characters of a sentence."""

_SATURATED = 0.95
"""The share of the time from which components leave none for more messages."""

_LEAST_BACKLOG = 100
"""Buffered messages from which a backlog is a sign of falling behind, if it is more than a second's messages, too."""


def headline(
    state: Mapping[str, Any], lost: Mapping[Loss, int], behind: float | None = None
) -> dict[str, str]:
    """Its `state`, one of `STATES`, and `text`, a sentence.

    Args:
        state: as `GET /state` gives it, but for this.
        lost: what was lost in the last minute.
        behind: how old messages are when they come, in seconds, where that grows: see `MessageAge.behind`.
    """
    for word, text in _candidates(state, lost, behind):
        if text:
            return {"state": word, "text": text[:_LONGEST]}
    return {"state": "ok", "text": _all_is_well(state)[:_LONGEST]}


def _candidates(
    state: Mapping[str, Any], lost: Mapping[Loss, int], behind: float | None
) -> Iterator[tuple[str, str]]:
    if state["stopping"]:
        yield "down", "Stopping: it receives no more messages."
    elif not state["ready"]:
        yield "down", "Not running yet: it receives no messages."
    yield "losing", _losing(state, lost)
    for one in state["components"]:
        for problem in one["problems"]:
            yield "degraded", f"{one['id'][:80]}: {problem}"
    yield "degraded", _falling_behind(state, behind)
    for text in _degraded(state, lost):
        yield "degraded", text
    yield "idle", _idle(state)


def _losing(state: Mapping[str, Any], lost: Mapping[Loss, int]) -> str:
    dropped = {loss: count for loss, count in lost.items() if loss.reason != FAILED_REASON and count > 0}
    outputs = {  # what is delivered again is not lost
        one["id"]
        for one in state["components"]
        if one["kind"] == "output" and not one["errors"] and not one.get("coming_again")
    }
    unwritten = {
        loss: count
        for loss, count in lost.items()
        if loss.reason == FAILED_REASON and count > 0 and loss.component in outputs
    }
    by_senders = state["last_minute"]["lost_by_senders"]
    parts = []
    if unwritten:
        parts.append(f"{sum(unwritten.values()):,} failed in the last minute ({_named(unwritten)})")
    if dropped:
        parts.append(f"{sum(dropped.values()):,} dropped in the last minute ({_named(dropped)})")
    if by_senders:
        parts.append(f"{by_senders:,} lost by senders on the way here in the last minute")
    return f"Losing messages: {'; '.join(parts)}." if parts else ""


def _named(lost: Mapping[Loss, int]) -> str:
    worst = sorted(lost.items(), key=lambda one: -one[1])
    named = ", ".join(f"{count:,} {loss.component[:80]}: {loss.reason}" for loss, count in worst[:_SHOWN])
    return named + (f" and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else "")


def _degraded(state: Mapping[str, Any], lost: Mapping[Loss, int]) -> Iterator[str]:
    if state["loop_delay"] is None:
        why = _bottleneck(state)
        yield f"Blocked: the chain has not responded for a second{f', and {why}' if why else ''}."
    for one in state["components"]:
        if is_full(one):
            room = f"{one['buffered']:,} of {one['capacity'] or one['buffered']:,} messages are buffered"
            yield f"{one['id'][:80]} is full: {room}."
    if waiting := [worker["number"] for worker in state["workers"] if not worker["ready"]]:
        count = len(waiting)
        of = f"{count} of {len(state['workers'])} workers"
        yield f"{of} {'is' if count == 1 else 'are'} not ready."
    failed = {loss: count for loss, count in lost.items() if loss.reason == FAILED_REASON and count > 0}
    if failed:
        where = ", ".join(loss.component[:80] for loss in [*failed][:_SHOWN])
        yield f"{message_text(sum(failed.values()))} failed in the last minute, in {where}."
    if text := state["last_minute"]["peer_error"]:
        yield f"A peer was refused or not understood in the last minute: {text}"
    if state["loop_delay"] and state["loop_delay"] > LATE:
        yield f"The event loop is delayed by {state['loop_delay'] * 1000:.0f} ms."


def _falling_behind(state: Mapping[str, Any], behind: float | None) -> str:
    if behind is None or not (why := _bottleneck(state)):
        return ""
    return f"Falling behind: messages are {duration_text(behind)} old when they arrive, and {why}."


def _bottleneck(state: Mapping[str, Any]) -> str:
    """What messages wait for, with the component's name; empty if nothing says that they wait here.

    An input may wait for messages in its own code, so its time is no sign.
    """
    main = [one for one in state["components"] if not one["errors"]]
    timed = [one for one in main if one["utilization"] is not None and one["kind"] != "input"]
    for there, whose in ((False, "the chain's"), (True, "the workers'")):
        group = [one for one in timed if one["in_workers"] == there]
        if sum(one["utilization"] for one in group) >= _SATURATED:
            slow = max(group, key=lambda one: float(one["utilization"]))
            return f"{_titled(slow)} takes {slow['utilization'] * 100:.0f} % of {whose} time"
    rate = sum(one["in_rate"] for one in main if one["kind"] == "input")
    if state["backlog"] >= max(_LEAST_BACKLOG, rate):
        most = max(main, key=lambda one: int(one["buffered"]))
        return f"{message_text(most['buffered'])} are buffered in {_titled(most)}"
    return ""


def _titled(one: Mapping[str, Any]) -> str:
    """A component's name in the chain, and its type: see `Component.title`."""
    name, label = one["id"][:80], one["label"][:80]
    return name if name.startswith(label) else f"{name} ({label.rpartition(' ')[0] or label})"


def _idle(state: Mapping[str, Any]) -> str:
    last, now = state["last_message"], state["time"]
    if last is None:
        since = f"No message yet, {duration_text(now - state['started'])} after the start."
    elif now - last > QUIET:
        since = f"No message for {duration_text(now - last)}."
    else:
        return ""
    return f"{since} {_where_from(state)}"


def _where_from(state: Mapping[str, Any]) -> str:
    """Where senders connect to, or where it connects to itself."""
    inputs = [one for one in state["components"] if one["kind"] == "input" and not one["errors"]]
    parts = []
    for one in inputs[:_SHOWN]:
        if not (named := ", ".join(map(str, one["endpoints"][:_SHOWN]))):
            parts.append(f"It reads from {one['label']}")
        elif one["listens"]:
            parts.append(f"Senders connect to {named}")
        else:
            parts.append(f"It connects to {named}")
    return "; ".join(parts) + "." if parts else "It has no input."


def _all_is_well(state: Mapping[str, Any]) -> str:
    inputs = [one for one in state["components"] if one["kind"] == "input" and not one["errors"]]
    totals = state["totals"]
    found = [
        (totals["dropped"], "dropped"),
        (totals["failed"], "failed"),
        (totals["lost_by_senders"], "by senders"),
    ]
    losses = ", ".join(f"{count:,} {what}" for count, what in found if count)
    lost = f"lost since the start: {losses}; none in the last minute" if losses else "nothing lost"
    if not losses and totals["lost_by_senders"] is None:
        lost += " here"  # what senders lose is not known without the filter Follow
    rate = rate_text(sum(one["in_rate"] for one in inputs))
    age = state["newest_age"]
    newest = "" if age is None else f"newest message {duration_text(age)} old, "
    return f"Receiving {rate}, {newest}{lost}."


def chain_totals(components: list[dict[str, Any]], lost_by_senders: int | None) -> dict[str, int | None]:
    """The sums since the start, error chains left out; what senders lost is None without the filter `Follow`."""
    main = [one for one in components if not one["errors"]]

    def added(name: str, kind: str = "") -> int:
        return sum(one[name] for one in main if not kind or one["kind"] == kind)

    return {
        "received": added("received", "input"),
        "passed": added("passed", "output"),
        "dropped": sum(sum(one["dropped"].values()) for one in main),
        "failed": added("failed"),
        "lost_by_senders": lost_by_senders,
    }


def recent_peer_error(errors: list[dict[str, Any]], prefix: str, now: float) -> str:
    """The last thing within a minute that was to be said of a peer; empty if there was none."""
    for one in errors:
        if now - one["time"] <= MINUTE and one["error"].startswith(prefix):
            return str(one["error"].removeprefix(prefix))
    return ""
