"""The display of `message-passing top`: a function from the nodes' states to something that rich can render."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from message_passing.cli.formatting import size, span
from message_passing.console.verdict import LATE, SLOW_SHARE
from message_passing.errors import needs_extra
from message_passing.escaping import escape_control

with needs_extra("console"):
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from message_passing.cli.poller import NodeStatus

_BAD, _WARN, _GOOD, _DIM, _HEAD = "bold red", "yellow", "green", "dim", "bold"
_FULL, _FILLING = 0.8, 0.5
_NAMED = 30
_MOST_ROWS, _MOST_FINDINGS = 200, 10
"""Components, or workers, of one node that are shown, and sentences about what needs attention."""

_STYLES = {"bad": _BAD, "warn": _WARN, "note": ""}
_STATES = {"ok": _GOOD, "idle": _HEAD, "degraded": _WARN, "losing": _BAD, "down": _WARN}

_LONGEST_TEXT = 1000
"""Characters of a node's text that are processed: a line is cut at the terminal's width."""


def frame(
    nodes: Sequence[NodeStatus],
    *,
    order: str = "lost",
    paused: bool = False,
    keys: bool = True,
    now: float | None = None,
) -> RenderableType:
    """Render all nodes.

    Args:
        nodes: their states.
        order: how senders are sorted.
        paused: whether the display is paused, which is shown.
        keys: whether to show the keys.
        now: the time, in seconds since 1970.
    """
    moment = time.time() if now is None else now
    parts: list[RenderableType] = [_title(len(nodes), order, paused=paused, keys=keys, now=moment)]
    if not nodes:
        parts.append(Text("no node of this user is running with --control; one that is started is shown"))
    for seen in nodes:
        parts += [Text(), *_node(seen, order, moment)]
    return Group(*parts)


def count(number: float) -> str:
    """A number of messages in few characters: `12.0k`; small ones as they are."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 999.5:
            whole = float(number).is_integer() and not unit
            return f"{number:.0f}{unit}" if whole or abs(number) >= 100 else f"{number:.1f}{unit}"
        number /= 1000
    return f"{number:.1f}T"


def _title(nodes: int, order: str, *, paused: bool, keys: bool, now: float) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    text = _line(("message-passing top", _HEAD), (f"  {nodes} node{'' if nodes == 1 else 's'}  {clock}", ""))
    if paused:
        text.append("  PAUSED", _WARN)
    if keys:
        text.append(f"  q quit  p pause  s sort senders ({order})", _DIM)
    return text


def _node(seen: NodeStatus, order: str, now: float) -> Iterator[RenderableType]:
    state = seen.state
    if seen.gone:
        when = f" for {span(now - seen.since)}" if seen.since else ""
        yield _line((_short(seen.target), _HEAD), (f"  gone{when}: ", _BAD), (_escaped(seen.gone), ""))
        return
    if state is None:
        yield _line((_short(seen.target), _HEAD), ("  connecting", _DIM))
        return
    yield from _heading(state, now)
    yield from _verdict(state)
    main = [one for one in state["components"] if not one["errors"] or one["received"]]
    yield _components(main[:_MOST_ROWS])
    if len(main) > _MOST_ROWS:
        yield _line((f" and {len(main) - _MOST_ROWS} more components", _DIM))
    yield from _routes(main)
    yield from _workers(state["workers"])
    yield from _senders(state["senders"], seen.senders, order, now)


def _escaped(text: str) -> str:
    return escape_control(text[:_LONGEST_TEXT])


def _short(target: str) -> str:
    """A node's name: of a long path, its end."""
    text = escape_control(target)
    return text if len(text) <= _NAMED else f"...{text[3 - _NAMED :]}"


def _heading(state: Any, now: float) -> Iterator[RenderableType]:
    """Its name, state and figures, each line within 80 columns."""
    headline, process = state["headline"], state["process"]
    text = _line((_short(state["name"]), _HEAD))
    text.append(f"  {headline['state'].upper()}", _STATES[headline["state"]])
    text.append(f"  {_escaped(state['host'])} {state['pid']}, up {span(max(0, now - state['started']))}")
    text.append(f"  cpu {process['cpu']:.0%}  mem {size(process['memory'])}")
    text.append(f"  {_escaped(state['title'])} {_escaped(state['version'])}", _DIM)
    yield text
    yield _sentence(headline["text"], _STATES[headline["state"]])
    yield _figures(state)
    yield _times(state, now)
    if state["config"]:
        yield _sentence(f"config {state['config']}", _DIM)


def _figures(state: Any) -> Text:
    totals = state["totals"]
    text = _line((f" received {count(totals['received'])}  passed {count(totals['passed'])}", ""))
    for name, number in (("dropped", totals["dropped"]), ("failed", totals["failed"])):
        text.append(f"  {name} {count(number)}", _WARN if number else "")
    if (lost := totals["lost_by_senders"]) is not None:
        text.append(f"  lost by senders {count(lost)}", _WARN if lost else "")
    return text


def _times(state: Any, now: float) -> Text:
    age, last = state["newest_age"], state["last_message"]
    text = _line((f" backlog {count(state['backlog'])}  last message ", ""))
    text.append("none yet" if last is None else f"{span(max(0, now - last))} ago")
    if age is not None:
        text.append(f"  newest {span(age)} old" if age >= 0 else f"  newest {span(-age)} ahead of our clock")
    if state["loop_delay"] is None:
        text.append("  loop delay over 1 s", _BAD)
    else:
        delay = state["loop_delay"]
        text.append(f"  loop delay {delay * 1000:.0f} ms", _WARN if delay > LATE else "")
    return text


def _components(components: Sequence[Any]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=True, expand=False, header_style=_DIM)
    table.add_column("component", overflow="ellipsis", no_wrap=True, min_width=10, max_width=26)
    for name in ("in/s", "out/s", "queue", "util", "filtered", "dropped", "failed"):
        table.add_column(name, justify="right", no_wrap=True, min_width=min(len(name), 6))
    for one in components:
        dropped, failed = sum(one["dropped"].values()), one["failed"]
        losing = one["lost_rate"] > 0
        table.add_row(
            Text(_escaped(one["id"]), style=_DIM if one["errors"] else ""),
            count(one["in_rate"]),
            count(one["out_rate"]),
            _queue(one),
            ""
            if one["utilization"] is None
            else Text(f"{one['utilization']:.0%}", _HEAD if one["utilization"] >= SLOW_SHARE else ""),
            _nonzero(one["filtered"], ""),
            _nonzero(dropped, _BAD if losing else _WARN),
            _nonzero(failed, _BAD if losing else _WARN),
        )
    return table


def _nonzero(number: int, style: str) -> Text:
    return Text(count(number), style) if number else Text("-", _DIM)


def _queue(component: Any) -> Text:
    buffered, capacity = component["buffered"], component["capacity"]
    if (lag := component.get("lag")) is not None:
        return Text(f"lag {count(lag)}", _WARN if lag else "")
    if component.get("full"):
        return Text(f"{count(buffered)}/{count(capacity or buffered)} full", _BAD)
    if not capacity:
        return Text(count(buffered) if buffered else "-", "" if buffered else _DIM)
    share = buffered / capacity
    style = _BAD if share >= _FULL else _WARN if share >= _FILLING else ""
    return Text(f"{count(buffered)}/{count(capacity)} {share:4.0%}", style)


def _verdict(state: Any) -> Iterator[Text]:
    """What needs attention, in the node's words, untruncated: a command in it can be copied."""
    said = state["headline"]["text"]
    found = state.get("verdict", ())
    findings = [one for one in found if one["weight"] != "good" and one["text"] != said]
    for one in findings[:_MOST_FINDINGS]:
        yield _sentence(one["text"], _STYLES[one["weight"]])
    if len(findings) > _MOST_FINDINGS:
        yield _line((f" and {len(findings) - _MOST_FINDINGS} more, shown on the console's page", _DIM))


def _sentence(text: str, style: str) -> Text:
    """A line that wraps at the terminal's width: nothing of it is hidden."""
    return Text.assemble((" ", ""), (_escaped(text), style), overflow="fold")


def _routes(components: Sequence[Any]) -> Iterator[Text]:
    """How many messages took each route."""
    routed = [one for one in components if one.get("routes")]
    for one in routed[:_MOST_ROWS]:
        routes = one["routes"]
        said = [f"{_escaped(', '.join(route['to']) or 'none')} {count(route['matched'])}" for route in routes]
        more = f", and {len(said) - _MOST_ROWS} more" if len(said) > _MOST_ROWS else ""
        yield _sentence(f"{_escaped(one['id'])}: {', '.join(said[:_MOST_ROWS])}{more}", _DIM)
    if len(routed) > _MOST_ROWS:
        yield _line((f" and {len(routed) - _MOST_ROWS} more with routes", _DIM))


def _workers(workers: Sequence[Any]) -> Iterator[Text]:
    if workers:
        ready = sum(bool(worker["ready"]) for worker in workers)
        text = _line(
            (" workers: ", _DIM), (f"{ready} of {len(workers)} ready", "" if ready == len(workers) else _BAD)
        )
        waiting = ", ".join(count(worker["outstanding"] or 0) for worker in workers[:_MOST_ROWS])
        text.append(f", messages at each: {waiting}")
        yield text


def _senders(totals: Any, answer: Any, order: str, now: float) -> Iterator[RenderableType]:
    if totals is None:
        return
    lost = totals["lost"]
    text = _line((" senders: ", _DIM), (f"{totals['senders']} known, {totals.get('idle', 0)} idle, ", ""))
    everything = totals["received"] + lost
    share = f" ({lost / everything:.1%})" if lost and everything else ""
    text.append(f"{lost} lost{share}", _BAD if lost else _GOOD)
    if perhaps := totals.get("perhaps_lost"):
        text.append(f", perhaps {perhaps} more", _WARN)
    if ambiguous := totals.get("ambiguous"):
        text.append(f", an estimate: {ambiguous} ambiguous", _WARN)
    text.append(f", {totals['duplicated']} duplicates, {totals['late']} late, {totals['restarted']} restarts")
    yield text
    table = Table(box=None, padding=(0, 1), header_style=_DIM)
    table.add_column(f"by {order}", overflow="ellipsis", no_wrap=True, max_width=40)
    for name in ("lost", "received", "idle for"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in answer["senders"][:_MOST_ROWS] if answer else ():
        row = (str(one["lost"]), str(one["received"]), span(max(0, now - one["seen"])))
        table.add_row(
            Text(_escaped(str(one.get("label") or one["name"]))), *row, style=_BAD if one["lost"] else ""
        )
    if table.row_count:
        yield table


def _line(*parts: tuple[str, str]) -> Text:
    """One line, cut at the terminal's width."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
