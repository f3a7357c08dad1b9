"""The ledger's file: bounded, shared, set aside when damaged, and nothing that a sender calls itself breaks it."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from message_passing.errors import OpenError
from message_passing.ledger.database import MOST_RUNS, LossLedger, NewerLedgerError, Run
from message_passing.ledger.period import Period
from message_passing.ledger.reading import MOST_ROWS, MOST_STEPS, read_losses
from message_passing.loss_monitor import NOT_ARRIVED, Loss

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
MINUTE = int(NOW) // 60 * 60
ALWAYS = Period(NOW - 36_000, NOW + 36_000)
RUN = Run("1", "node", 4711, NOW - 100)
FULL = Loss("out", "queue full")


def made(path: Path, max_bytes: int = 1 << 20) -> LossLedger:
    """A ledger."""
    ledger = LossLedger(path / "losses.sqlite", max_bytes)
    assert ledger.check() == ""
    return ledger


def counts(ledger: LossLedger, asked: Period = ALWAYS) -> dict[str, int]:
    """What was lost, by reason."""
    return {one["reason"]: one["count"] for one in read_losses(ledger.path, asked)["by_reason"]}


def test_sums_by_reason_sender_and_minute(tmp_path: Path) -> None:
    """Only of the period, in which minutes count wholly."""
    ledger = made(tmp_path)
    theirs = Loss("follow", NOT_ARRIVED, "shop@web-1")
    ledger.add(RUN, {(MINUTE, FULL): 5, (MINUTE, theirs): 7, (MINUTE - 60, FULL): 1}, NOW)
    ledger.add(RUN, {(MINUTE, FULL): 2}, NOW + 1)
    ledger.add(Run("2", "other", 1, NOW), {(MINUTE, FULL): 100}, NOW, ended=True)
    found = read_losses(ledger.path, Period(MINUTE + 30, MINUTE + 40), "node")
    assert [(one["component"], one["reason"], one["count"]) for one in found["by_reason"]] == [
        ("follow", NOT_ARRIVED, 7),
        ("out", "queue full", 7),
    ]
    assert [(one["sender"], one["count"]) for one in found["by_sender"]] == [("shop@web-1", 7)]
    assert found["minutes"] == [{"time": MINUTE, "lost": 7, "not_arrived": 7}]
    assert [one["count"] for one in read_losses(ledger.path, ALWAYS)["by_reason"]] == [100, 8, 7]
    assert [(one["node"], one["ended"]) for one in read_losses(ledger.path, ALWAYS)["runs"]] == [
        ("node", 0),
        ("other", 1),
    ]
    assert ledger.path.stat().st_mode & 0o077 == 0


def test_what_comes_after_all_is_no_loss_of_its_minute(tmp_path: Path) -> None:
    """It is taken from the latest minutes; more than was lost makes nothing less than nothing."""
    ledger = made(tmp_path)
    ledger.add(RUN, {(MINUTE - 60, FULL): 5, (MINUTE, FULL): 3}, NOW)
    ledger.add(RUN, {(MINUTE + 60, FULL): -4}, NOW)
    assert read_losses(ledger.path, ALWAYS)["minutes"] == [{"time": MINUTE - 60, "lost": 4, "not_arrived": 0}]
    ledger.add(RUN, {(MINUTE + 60, FULL): -40}, NOW)
    assert counts(ledger) == {}


def test_the_oldest_gives_way_at_the_bound(tmp_path: Path) -> None:
    """The file stays within its bytes, and says since when it has all."""
    ledger = made(tmp_path, 1 << 20)
    for minute in range(60):
        losses = {
            (MINUTE + 60 * minute, Loss("out", NOT_ARRIVED, f"{sender} {'x' * 200}")): 1
            for sender in range(100)
        }
        ledger.add(RUN, losses, NOW)
        assert ledger.path.stat().st_size <= 1 << 20
    found = read_losses(ledger.path, ALWAYS)
    assert MINUTE < found["kept_from"] <= found["minutes"][0]["time"] + 60
    assert found["minutes"][-1]["time"] == MINUTE + 59 * 60


def test_what_is_too_old_is_forgotten(tmp_path: Path) -> None:
    """And it says so."""
    ledger = made(tmp_path)
    ledger.add(RUN, {(MINUTE - 600, FULL): 5, (MINUTE, FULL): 3}, NOW)
    ledger.forget(MINUTE - 300)
    assert counts(ledger) == {"queue full": 3}
    assert read_losses(ledger.path, ALWAYS)["kept_from"] == MINUTE - 300


def test_an_answer_is_bounded(tmp_path: Path) -> None:
    """However many senders, minutes and runs there are."""
    ledger = made(tmp_path, 1 << 24)
    ledger.add(
        RUN, {(MINUTE - 60 * n, Loss("f", f"reason {n}", f"sender {n}")): n for n in range(1, 600)}, NOW
    )
    for number in range(3):
        ledger.add(Run(f"run {number}", "node", 1, NOW), {}, NOW)
    found = read_losses(ledger.path, ALWAYS)
    assert len(found["by_reason"]) == len(found["by_sender"]) == MOST_ROWS
    assert found["by_sender"][0]["sender"] == "sender 599"
    assert len(found["minutes"]) <= MOST_STEPS
    with closing(sqlite3.connect(ledger.path)) as db:
        db.executemany(
            "INSERT INTO runs VALUES (?, 'node', 1, 1, 1, 1)",
            [(f"more {number}",) for number in range(MOST_RUNS)],
        )
        db.commit()
        ledger.add(Run("last", "node", 1, NOW), {}, NOW)
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == MOST_RUNS


@pytest.mark.parametrize(
    "name", ["half \ud800 a pair", "x" * 100_000, "nul \0", "'; DROP TABLE losses; --", "", "\x1b[2J"]
)
def test_what_a_sender_calls_itself(name: str, tmp_path: Path) -> None:
    """And whatever number it claims to have sent."""
    ledger = made(tmp_path)
    for begin in range(-1000, 1000, 200):
        losses = {(MINUTE + n, Loss("f", NOT_ARRIVED, name)): 2**70 for n in range(begin, begin + 200)}
        ledger.add(RUN, losses, NOW)
        ledger.add(RUN, losses, NOW)
    found = read_losses(ledger.path, ALWAYS)
    assert found["by_reason"][0]["count"] > 2**60
    assert len(found["by_sender"]) == bool(name)


@pytest.mark.parametrize("damage", ["no database", "in the middle", "cut off"])
def test_a_damaged_file_is_set_aside(damage: str, tmp_path: Path) -> None:
    """It is told where to, and a new one begins."""
    ledger = made(tmp_path)
    ledger.add(RUN, {(MINUTE - 60 * n, Loss("f", "reason", f"sender {n}")): n for n in range(1, 2000)}, NOW)
    data = ledger.path.read_bytes()
    middle = data[:4096] + b"\xff" * 40_000 + data[44_096:]
    ledger.path.write_bytes(
        {"no database": b"x" * 5000, "in the middle": middle, "cut off": data[:30_000]}[damage]
    )
    told = ledger.check()
    assert (
        told == f"the ledger {ledger.path} is damaged: it was set aside as {ledger.path}.damaged, "
        "and a new one was started"
    )
    ledger.add(RUN, {(MINUTE, FULL): 1}, NOW)
    assert counts(ledger) == {"queue full": 1}
    assert sorted(one.name for one in tmp_path.iterdir() if "-" not in one.name) == [
        "losses.sqlite",
        "losses.sqlite.damaged",
    ]


def test_one_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """Neither written nor set aside."""
    ledger = made(tmp_path)
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(NewerLedgerError):
        ledger.check()
    with pytest.raises(OpenError, match="a later version"):
        read_losses(ledger.path, ALWAYS)


def test_what_is_no_ledger(tmp_path: Path) -> None:
    """A sentence each."""
    with pytest.raises(OpenError, match="there is no ledger at"):
        read_losses(tmp_path / "none", ALWAYS)
    (tmp_path / "text").write_text("hello\n" * 1000)
    with pytest.raises(OpenError, match="cannot read the ledger"):
        read_losses(tmp_path / "text", ALWAYS)
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE other (name TEXT)")
    with pytest.raises(OpenError, match="is not a ledger of message-passing"):
        read_losses(tmp_path / "other", ALWAYS)
    (tmp_path / "empty").touch()  # a node is about to begin it
    found = read_losses(tmp_path / "empty", ALWAYS)
    assert (found["by_reason"], found["runs"]) == ([], [])


@pytest.mark.parametrize("kind", ["a link", "a named pipe", "a directory", "the database of another program"])
def test_what_a_node_does_not_write_to(kind: str, tmp_path: Path) -> None:
    """Anything but a ledger in its place is left as it is, and told; to read it does not wait."""
    path = tmp_path / "losses.sqlite"
    if kind == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE other (name TEXT)")
    before = path.lstat()[:7], path.lstat().st_mtime_ns
    ledger = LossLedger(path, 1 << 20)
    with pytest.raises(OSError, match=kind):
        ledger.check()
    with pytest.raises(OSError, match=kind):
        ledger.add(RUN, {(MINUTE, FULL): 1}, NOW)
    assert (path.lstat()[:7], path.lstat().st_mtime_ns) == before
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(OpenError, match="ledger"):
        read_losses(path, ALWAYS)


def test_a_ledger_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    """As it may be after a copy was put back."""
    ledger = made(tmp_path)
    ledger.path.chmod(0o644)
    ledger.add(RUN, {(MINUTE, FULL): 1}, NOW)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("column", ["reason", "minute", "count"])
def test_a_row_of_something_else_is_told(column: str, tmp_path: Path) -> None:
    """SQLite takes bytes in any column; an answer has names and numbers."""
    ledger = made(tmp_path)
    ledger.add(RUN, {(MINUTE, FULL): 1}, NOW)
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute(f"UPDATE losses SET {column} = ?", (b"\xff",))  # noqa: S608 - our own text
        db.execute("UPDATE runs SET seen = 9e999")
        db.commit()
    with pytest.raises(OpenError, match=r"cannot read the ledger .*a row is damaged"):
        read_losses(ledger.path, ALWAYS)


def test_several_nodes_share_one(tmp_path: Path) -> None:
    """At once, from the moment on that none is there; nothing is lost of what each adds."""
    ledgers = [LossLedger(tmp_path / "losses.sqlite", 1 << 20) for _ in range(4)]

    def work(number: int) -> None:
        ledgers[number].check()
        for _ in range(10):
            ledgers[number].add(Run(str(number), f"node {number}", number, NOW), {(MINUTE, FULL): 1}, NOW)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one["count"] for one in read_losses(ledgers[0].path, ALWAYS)["by_reason"]] == [10] * 4
