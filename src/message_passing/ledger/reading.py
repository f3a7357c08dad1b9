"""Querying the ledger: losses within a period, by reason, sender and minute, and the runs that recorded them."""

# ruff: noqa: S608 - the queries are our own text; what is asked for are parameters

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError
from message_passing.ledger.database import VERSION, contents
from message_passing.loss_monitor import NOT_ARRIVED

if TYPE_CHECKING:
    from pathlib import Path

    from message_passing.ledger.period import Period

MOST_ROWS = 100
"""Reasons, senders and runs of one answer: the largest, or latest."""

MOST_STEPS = 1440
"""Steps of time in one answer: minutes, or several together where a period has more."""

_NAMES = frozenset(("node", "component", "reason", "sender"))
_PATIENCE = 2.0  # seconds that a node's writing is waited for

# Sums of counts of 2**53 are beyond what SQLite's `sum` takes: it would fail.
_SUM = "CAST(min(total({}), 9e18) AS INTEGER)"
_WHERE = "minute > :since - 60 AND minute < :until AND (:node = '' OR node = :node)"
_SPAN = f"min(minute) AS first, max(minute) AS last, {_SUM.format('count')} AS count"

_QUERIES = {
    "by_reason": f"SELECT node, component, reason, {_SPAN} FROM losses WHERE {_WHERE} "
    "GROUP BY node, component, reason ORDER BY count DESC LIMIT :most",
    "by_sender": f"SELECT node, sender, {_SPAN} FROM losses WHERE {_WHERE} AND sender != '' "
    "GROUP BY node, sender ORDER BY count DESC LIMIT :most",
    "minutes": f"SELECT minute / :step * :step AS time, {_SUM.format('count * (reason != :not_arrived)')} AS lost, "
    f"{_SUM.format('count * (reason = :not_arrived)')} AS not_arrived FROM losses WHERE {_WHERE} "
    "GROUP BY 1 ORDER BY 1",
    "runs": "SELECT * FROM (SELECT node, pid, started, seen, ended FROM runs WHERE started < :until AND "
    "seen > :since - 60 AND (:node = '' OR node = :node) ORDER BY started DESC LIMIT :most) ORDER BY started",
}

_LATER = f"SELECT {_SUM.format('count')} FROM losses WHERE minute >= :after AND (:node = '' OR node = :node)"
"""Losses recorded in the future, by a clock that has been set back since, and after the requested period."""


def read_losses(path: Path, asked: Period, node: str = "") -> dict[str, Any]:
    """What was lost within a period, as `GET /losses` and `message-passing losses --json` give it.

    Args:
        path: the ledger.
        asked: the period; minutes count wholly.
        node: only what this node lost; empty for all.

    Raises:
        OpenError: it does not exist, cannot be read, or is not a ledger.
    """
    if not path.exists():
        raise OpenError(f"there is no ledger at {path}")
    if not path.is_file():  # to open a named pipe would wait for its other end
        raise OpenError(f"{path} is not a ledger of message-passing: it is not a regular file")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        try:
            return _read(uri, path, asked, node)
        except sqlite3.OperationalError:  # a copy where nothing can be written: SQLite would lock it
            return _read(f"{uri}&immutable=1", path, asked, node)
    except sqlite3.Error as error:
        raise OpenError(f"cannot read the ledger {path}: {error}") from error


def _read(uri: str, path: Path, asked: Period, node: str) -> dict[str, Any]:
    with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as db:
        db.row_factory = sqlite3.Row
        filled, version = contents(db)
        if version > VERSION:
            raise OpenError(f"{path} was written by a later version of message-passing")
        if filled and not version:
            raise OpenError(f"{path} is not a ledger of message-passing")
        since, until = asked
        step = 60 * max(1, -int(-(until - since) // (60 * MOST_STEPS)))
        values = {"since": since, "until": until, "node": node, "step": step, "most": MOST_ROWS}
        values["not_arrived"] = NOT_ARRIVED
        now = time.time()
        found: dict[str, Any] = {"since": since, "until": until, "time": now, "step": step, "later": 0}
        for name, query in _QUERIES.items():
            found[name] = [_sound(dict(row)) for row in db.execute(query, values)] if version else []
        if not version:  # a node is about to begin it
            return {**found, "kept_from": None}
        values["after"] = max(until, now)
        found["later"] = db.execute(_LATER, values).fetchone()[0]
        fact = db.execute("SELECT value FROM facts WHERE name = 'kept_from'").fetchone()
        return {**found, "kept_from": fact["value"] if fact else None}


def _sound(row: dict[str, Any]) -> dict[str, Any]:
    """A row of names and finite numbers. SQLite takes anything in any column (sqlite.org/flexextypes.html).

    Raises:
        sqlite3.DataError: it is something else.
    """
    for name, value in row.items():
        if not isinstance(value, str) if name in _NAMES else not _is_number(value):
            raise sqlite3.DataError(f"a row is damaged: its {name} is {str(value)[:40]!r}")
    return row


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
