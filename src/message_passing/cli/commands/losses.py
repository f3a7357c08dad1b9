"""The command `message-passing losses`: what nodes lost within a period, including before their last restart."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.cli.command import Command
from message_passing.cli.formatting import span
from message_passing.cli.terminal import print_out
from message_passing.clock import iso_time
from message_passing.console.client import NodeClient, process_exists
from message_passing.environment import expand_home, from_environment
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.escaping import ascii_json, escape_control
from message_passing.ledger.period import Period, local, period
from message_passing.ledger.reading import MOST_ROWS, read_losses
from message_passing.ledger.state_dir import LEDGER, default_state_dir
from message_passing.ledger.writer import ALIVE_INTERVAL
from message_passing.metrics import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

_EPILOG = """\
examples:
  message-passing losses --since 02:00 --until 03:00     last night, by reason and by sender
  message-passing losses --since 'yesterday 22:00' /var/lib/message-passing
  message-passing losses --since 2h --json http://logs:9090 --token env:TOKEN

times: 02:00 (the last one before now; as --until, the first one after --since), yesterday 22:00, 2026-11-26,
'2026-11-26 02:00', 2026-11-26T02:00:00Z, 90m (ago), now. exit status: 0 answered, 2 usage error or no ledger.
"""

_GRACE = 2 * ALIVE_INTERVAL
"""The most seconds between two records that a node is running."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        nargs="?",
        type=expand_home,
        default="",
        metavar="FILE|NODE",
        help="a ledger, or its directory; or a running node: process ID, control socket, or http://host:port "
        "(default: the ledger of this user's nodes)",
    )
    parser.add_argument("--since", default="", metavar="TIME", help="default: a day before --until")
    parser.add_argument("--until", default="", metavar="TIME", help="default: now")
    parser.add_argument("--node", default="", metavar="NAME", help="only what this node lost")
    parser.add_argument("--token", default="", help="the node's --http_token, or env:NAME")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run(given: argparse.Namespace) -> int:
    try:
        asked = period(given.since, given.until, time.time())
    except OptionError as error:
        raise OptionError(*(Fault(one.text, f"--{one.where}") for one in error.faults)) from error
    name, found = _asked(given, asked)
    if not name.startswith("node "):  # the file is here, and so, most likely, are the processes
        for run in found["runs"]:
            run["gone"] = not run["ended"] and not process_exists(run["pid"])
    if given.json:
        print_out(ascii_json(json.dumps(found)) + "\n")
    else:
        print_out("".join(f"{line}\n" for line in _lines(name, asked, found, given.node)))
    return 0


def _asked(given: argparse.Namespace, asked: Period) -> tuple[str, dict[str, Any]]:
    """The source of the answer, and the answer."""
    target = given.target
    if target.isdigit() or "://" in target or _is_socket(target):
        node = NodeClient(target, from_environment(given.token) if given.token else None)
        found = node.get(
            "/losses", since=iso_time(asked.since), until=iso_time(asked.until), node=given.node or None
        )
        return f"node {target}", found
    if given.token:
        raise OpenError("--token is for a running node, not for a file: see --help")
    path = Path(target) if target else default_state_dir()
    if path.is_dir() or not target:
        path /= LEDGER
    if not target and not path.exists():
        raise OpenError(
            f"there is no ledger at {path}: nodes of this user with --control, --http or --state_dir keep one; "
            "name its directory, or a running node"
        )
    return str(path), read_losses(path, asked, given.node)


def _is_socket(target: str) -> bool:
    try:
        return bool(target) and stat.S_ISSOCK(Path(target).stat().st_mode)
    except OSError:
        return False


def _lines(name: str, asked: Period, found: Mapping[str, Any], node: str) -> Iterator[str]:
    when = f"from {local(asked.since)} to {local(asked.until)}"
    reasons = found["by_reason"]
    here, senders = (sum(one[which] for one in found["minutes"]) for which in ("lost", "not_arrived"))
    by = escape_control(name)
    gaps = [*_gaps(asked, found)]
    if not reasons and found["runs"]:
        yield f"{'No loss is known' if gaps else 'Nothing was lost'} {when}, by {by}."
    elif not reasons:
        recorded = (
            f"There is no record of a node called {escape_control(node)}"
            if node
            else "Losses were not recorded"
        )
        yield f"{recorded} {when}, by {by}."
    else:
        yield f"{plural(here)} lost here, {plural(senders)} lost by senders on the way, {when}, by {by}:"
        yield ""
        yield from _table(
            ("lost", "reason", "component", "node", "when"),
            [(one["count"], one["reason"], one["component"], one["node"], _when(one)) for one in reasons],
        )
    if found["by_sender"]:
        yield ""
        yield from _table(
            ("lost", "sender", "seen by", "when"),
            [(one["count"], one["sender"], one["node"], _when(one)) for one in found["by_sender"]],
        )
    if max(len(reasons), len(found["by_sender"])) >= MOST_ROWS:
        yield f"Only the {MOST_ROWS} largest of each are shown: choose a shorter period, or --node."
    if found["later"]:
        yield f"{plural(found['later'])} lost later than now: a clock has been set back. See --until."
    yield from gaps


def _gaps(asked: Period, found: Mapping[str, Any]) -> Iterator[str]:
    """The times without a record, when losses are unknown."""
    if found["kept_from"] and found["kept_from"] > asked.since:
        yield f"Losses before {local(found['kept_from'])} were removed to make room, or were too old."
    for node in dict.fromkeys(one["node"] for one in found["runs"]):
        runs = [one for one in found["runs"] if one["node"] == node]
        seen, why, latest = asked.since, "did not run", 0.0
        for run in runs:
            if run["started"] > seen + 1:
                yield _gap(node, seen, run["started"], why)
            if run["seen"] >= latest:  # also of one that was killed shortly before
                latest = run["seen"]
                why = (
                    "had ended"
                    if run["ended"]
                    else "was killed, or the machine stopped, up to a minute later"
                )
            seen = max(seen, run["seen"])
        last = max(runs, key=lambda one: float(one["seen"]))
        end = min(asked.until, found["time"])
        if last.get("gone") and end <= seen + _GRACE:
            why = f"has no process {last['pid']} on this machine any more: it was killed, or runs elsewhere"
            yield _gap(node, seen, end, why)
        elif end > seen + (1 if last["ended"] else _GRACE):
            yield _gap(node, seen, end, why)


def _gap(node: str, begin: float, end: float, why: str) -> str:
    what = f"{_short(node)} recorded nothing from {local(begin)} to {local(end)} ({span(end - begin)})"
    return f"{what}: it {why}."


def _when(one: Mapping[str, Any]) -> str:
    """The minutes of the losses."""
    first, last = (local(one[which], "%m-%d %H:%M") for which in ("first", "last"))
    if first == last:
        return first
    same_day = first.partition(" ")[0] == last.partition(" ")[0]
    return f"{first} to {last.partition(' ')[2] if same_day else last}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    texts = [head, *([f"{row[0]:,}", *map(_short, row[1:])] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        cells = [
            row[0].rjust(widths[0]),
            *(cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        yield f" {'  '.join(cells)}".rstrip()


def _short(text: object) -> str:
    shown = escape_control(str(text))
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


COMMAND = Command(
    name="losses",
    description="Show what nodes lost within a period, including before their last restart.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
