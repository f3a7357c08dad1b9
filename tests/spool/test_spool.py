"""The spool's queue on disk: bounds, damage, and disks without room."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import secure_files
from message_passing.delivery import NO_HOLD, Delivery, Hold, Outcome
from message_passing.errors import OpenError, PackageError
from message_passing.spool import store as stores
from message_passing.spool.directory import DATABASE
from message_passing.spool.pending import PENDING_BYTES, PENDING_FRAMES, PendingFrames, StoredBatch
from message_passing.spool.reader import SpoolReader
from message_passing.spool.repair import repair
from message_passing.spool.spool import DAMAGED, SPOOL_FULL, TOO_BIG_FOR_SPOOL, TOO_OLD, Spool
from message_passing.spool.store import SpoolStore
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from message_passing.spool.rows import SpoolFrame, SpoolLoss

MIB = 1 << 20


class Told:
    """What a spool lost, and said."""

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()
        self.earlier = 0
        self.frames: list[SpoolFrame] = []
        self.said: list[str] = []

    def drop(self, loss: SpoolLoss) -> None:
        """It lost something."""
        self.lost[loss.reason] += loss.count
        self.earlier += loss.earlier
        self.frames += loss.frames

    def say(self, _kind: str, text: str) -> None:
        """It said something."""
        self.said.append(text)


@contextmanager
def opened(directory: Path, **options: Any) -> Iterator[tuple[Spool, Told]]:
    """A spool at work."""
    told = Told()
    spool = Spool(
        directory, max_bytes=options.pop("max_bytes", MIB), on_drop=told.drop, say=told.say, **options
    )
    spool.open()
    try:
        yield spool, told
    finally:
        spool.close()


def frame(number: int, size: int = 50_000) -> tuple[bytes, int, bool]:
    """A frame of three messages."""
    return b"%d\n%s\n" % (number, b"x" * size), 3, True


def numbers(frames: list[SpoolFrame]) -> list[int]:
    """Which ones they are."""
    return [int(one.body.split(b"\n")[0]) for one in frames]


def taken(spool: Spool, count: int) -> list[SpoolFrame]:
    """So many frames, trimmed as if they were acknowledged."""
    found: list[SpoolFrame] = []

    def some() -> bool:
        frames = spool.take(100_000)
        found.extend(frames)
        spool.trim([one.sequence for one in frames])
        return len(found) >= count

    wait_for(some, timeout=20)
    return found


def stored(spool: Spool) -> None:
    """Wait until all that was put is on disk."""
    wait_for(lambda: not spool.pending, timeout=20)


def change(directory: Path, statement: str, *values: Any) -> None:
    """Change a database behind its owner's back."""
    with closing(sqlite3.connect(directory / DATABASE)) as db, db:
        db.execute(statement, values)


def test_it_is_a_queue_with_numbers_that_go_on(tmp_path: Path) -> None:
    """What is put is taken in order; a new run begins where the last one was, and old numbers keep their id."""
    with opened(tmp_path) as (spool, told):
        sender = spool.sender
        spool.put([frame(n) for n in range(10)], NO_HOLD)
        assert [one.sequence for one in taken(spool, 4)][:4] == [1, 2, 3, 4]
        stored(spool)
    with opened(tmp_path) as (spool, told):
        assert spool.sender != sender
        assert [spool.sender_of(number) for number in (10, 11)] == [sender, spool.sender]
        left = 30 - spool.content.messages
        first = spool.first()
        assert first == left // 3 + 1
        found = taken(spool, 11 - first)
        assert numbers(found) == list(range(first - 1, 10))
        assert not told.lost
    with opened(tmp_path) as (spool, told):
        assert spool.first() == 11
        spool.put([frame(10)], NO_HOLD)
        assert taken(spool, 1)[0].sequence == 11


def test_runs_of_which_nothing_is_left_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of those that have something in it are kept, up to a bound; later ones then share the last."""
    monkeypatch.setattr(stores, "MOST_NUMBERINGS", 3)
    senders = []
    for n in range(5):
        with opened(tmp_path) as (spool, _):
            senders.append(spool.sender)
            spool.put([frame(n)], NO_HOLD)
    assert len({*senders[:3]}) == 3
    assert senders[3:] == [senders[2]] * 2
    with opened(tmp_path) as (spool, _):
        assert [spool.sender_of(number) for number in range(1, 6)] == senders
        assert len(taken(spool, 5)) == 5
    for _ in range(2):
        with opened(tmp_path) as (spool, _):
            assert [spool.sender_of(number) for number in (1, 6)] == [spool.sender] * 2


@pytest.mark.parametrize("damage", ["DELETE FROM facts", "UPDATE facts SET value = 'junk'"])
def test_frames_are_sent_though_their_ids_are_not_known(tmp_path: Path, damage: str) -> None:
    """They may come twice then, and are neither set aside nor hidden by others' numbers."""
    with opened(tmp_path) as (spool, _):
        spool.put([frame(1)], NO_HOLD)
        stored(spool)
        before = spool.sender
    change(tmp_path, damage)
    with opened(tmp_path) as (spool, told):
        assert before not in (spool.sender_of(1), spool.sender)
        spool.put([frame(2)], NO_HOLD)
        assert numbers(taken(spool, 2)) == [1, 2]
        assert not told.said
    with opened(tmp_path) as (spool, told):
        assert spool.first() == 3


def test_a_batch_is_settled_when_it_is_on_disk(tmp_path: Path) -> None:
    """Before, it is not; and then another process sees it."""
    outcomes: list[Outcome] = []
    delivery = Delivery(outcomes.append, None)
    with opened(tmp_path) as (spool, _):
        with delivery:
            spool.put([frame(1), frame(2)], Hold(delivery))
        wait_for(lambda: outcomes, timeout=20)
        assert outcomes == [Outcome.DELIVERED]
        with SpoolReader(tmp_path) as reading:
            assert reading.content().messages == 6


def test_a_full_spool_waits(tmp_path: Path) -> None:
    """With `block`, what does not fit stays pending, says why, and is stored once there is room."""
    with opened(tmp_path) as (spool, told):
        spool.put([frame(n) for n in range(40)], NO_HOLD)
        wait_for(lambda: spool.stalled, timeout=20)
        assert "spool_bytes" in spool.stalled
        assert 0 < spool.pending < 120
        assert (tmp_path / DATABASE).stat().st_size <= MIB
        assert len(told.said) == 1
        assert numbers(taken(spool, 40)) == list(range(40))
        assert not told.lost
        assert len(set(told.said)) == 1  # said each time that it is full again: `ThrottledWarnings` counts
        wait_for(lambda: not spool.stalled and not spool.pending, timeout=20)


def test_memory_is_bounded_by_what_may_be_pending(tmp_path: Path) -> None:
    """A spool that cannot store says that it has no room long before memory is full."""
    for size, most in ((50_000, 400), (1, 11_000)):
        with opened(tmp_path / str(size)) as (spool, _):
            while not spool.stalled:
                spool.put([frame(0)], NO_HOLD)
            count = 0
            while count <= most and spool.has_room:
                spool.put([frame(count, size)], NO_HOLD)
                count += 1
            assert not spool.has_room


@pytest.mark.parametrize("when_full", ["drop_newest", "drop_oldest"])
def test_what_a_full_spool_drops_is_counted(tmp_path: Path, when_full: Any) -> None:
    """All is either there or counted; the newest survive `drop_oldest`, the oldest `drop_newest`."""
    with opened(tmp_path, when_full=when_full, reads_lost=True) as (spool, told):
        for n in range(60):
            spool.put([frame(n)], NO_HOLD)
            stored(spool)
        assert told.lost[SPOOL_FULL] == 180 - spool.content.messages > 0
        found = numbers(taken(spool, spool.content.frames))
        assert found == sorted(found)
        assert sorted(found + numbers(told.frames)) == [*range(60)]
        assert (found[-1] == 59) == (when_full == "drop_oldest")


def test_what_is_too_old_is_dropped(tmp_path: Path) -> None:
    """Of this run and of an earlier one, which is told apart."""
    with opened(tmp_path, max_bytes=64 * MIB) as (spool, _):
        spool.put([frame(n) for n in range(200)], NO_HOLD)
    change(tmp_path, "UPDATE frames SET time = time - 1000 WHERE sequence <= 150")
    with opened(tmp_path, max_bytes=64 * MIB, max_age=500) as (spool, told):
        assert numbers(taken(spool, 50)) == list(range(150, 200))
        assert told.lost == {TOO_OLD: 450}
        assert told.earlier == 450


def test_what_is_behind_a_younger_frame_hides_nothing(tmp_path: Path) -> None:
    """Where a clock was set back between two runs, the first frames seem younger, and are sent nevertheless."""
    with opened(tmp_path, max_bytes=64 * MIB) as (spool, _):
        spool.put([frame(n) for n in range(400)], NO_HOLD)
    change(tmp_path, "UPDATE frames SET time = time - 1000 WHERE sequence > 200")
    with opened(tmp_path, max_bytes=64 * MIB, max_age=500) as (spool, told):
        assert numbers(taken(spool, 200))[:200] == [*range(200)]
        wait_for(lambda: told.lost[TOO_OLD] or spool.take(MIB), timeout=20)


def test_a_frame_that_never_fits_is_dropped(tmp_path: Path) -> None:
    """It would stop everything behind it for ever."""
    with opened(tmp_path) as (spool, told):
        spool.put([frame(1, 2 * MIB), frame(2)], NO_HOLD)
        assert numbers(taken(spool, 1)) == [2]
        assert told.lost == {TOO_BIG_FOR_SPOOL: 3}


def test_a_damaged_row_is_set_aside_and_counted(tmp_path: Path) -> None:
    """A changed byte is found by the checksum; the frames around it are sent."""
    with opened(tmp_path) as (spool, _):
        spool.put([frame(n) for n in range(5)], NO_HOLD)
    change(tmp_path, "UPDATE frames SET body = replace(body, 'xxx', 'xyx') WHERE sequence = 3")
    change(tmp_path, "UPDATE frames SET count = 'many' WHERE sequence = 5")
    with opened(tmp_path) as (spool, told):
        assert numbers(taken(spool, 3)) == [0, 1, 3]
        wait_for(lambda: told.said, timeout=20)
        assert "checksums are wrong" in told.said[0]
        assert told.lost == {DAMAGED: 4}  # of the second nothing is known but that it was a frame
        spool.put([frame(5)], NO_HOLD)
        assert taken(spool, 1)[0].sequence == 6
    with SpoolReader(tmp_path) as reading:
        assert reading.content("damaged").frames == 2


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 200_000, b"no database at all"], ids=["torn", "zeroed", "junk"]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    """A new one begins, with a sender of its own, since the old numbers are not known; the old one is kept."""
    with opened(tmp_path, max_bytes=64 * MIB) as (spool, _):
        before = spool.sender
        spool.put([frame(n) for n in range(100)], NO_HOLD)
    path = tmp_path / DATABASE
    data = path.read_bytes()
    path.write_bytes(damage + data[len(damage) :] if damage else data[: len(data) // 3])
    with opened(tmp_path, max_bytes=64 * MIB) as (spool, told):
        wait_for(lambda: told.said, timeout=20)
        assert "set aside as" in told.said[0]
        spool.put([frame(7)], NO_HOLD)
        wait_for(lambda: (frames := spool.take(MIB)) and numbers(frames)[-1:] == [7], timeout=20)
        assert (spool.sender != before) or not damage
    assert any(".damaged-" in one.name for one in tmp_path.iterdir())


def test_what_is_set_aside_is_bounded(tmp_path: Path) -> None:
    """A disk that damages every file is not filled with them: the next one stays, and it says what to do."""
    tmp_path.chmod(0o700)
    for number in range(stores.MOST_ASIDE + 1):
        (tmp_path / DATABASE).write_bytes(b"garbage %d" % number * 1000)
        if number < stores.MOST_ASIDE:
            with opened(tmp_path) as (spool, told):
                spool.put([frame(number)], NO_HOLD)
                assert "is damaged: it is set aside" in told.said[0]
    with pytest.raises(OpenError, match="10 damaged databases are set aside there already"), opened(tmp_path):
        pass
    assert (tmp_path / DATABASE).read_bytes().startswith(b"garbage 10")
    assert len([*tmp_path.glob("*damaged*")]) == 10
    next(tmp_path.glob("*damaged*")).unlink()
    with opened(tmp_path):
        pass


def test_a_bound_that_was_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something must be dropped until there is room, that is done at once."""
    spool, tries = Spool(tmp_path, max_bytes=MIB, when_full="drop_oldest"), iter([*[0] * 5000, 1])
    spool.content.frames = 1
    monkeypatch.setattr(spool, "_number_fitting", lambda _queued: next(tries))
    monkeypatch.setattr(spool, "_drop_oldest", lambda: True)
    assert spool._fitting([(b"", 1, 0, StoredBatch(NO_HOLD))], []) == (1, [])


def test_a_file_that_is_damaged_while_it_runs_is_replaced(tmp_path: Path) -> None:
    """What is in memory goes on; the numbers too."""
    with opened(tmp_path, max_bytes=64 * MIB) as (spool, told):
        spool.put([frame(n) for n in range(400)], NO_HOLD)
        stored(spool)
        before, sender = spool.first(), spool.sender
        store = spool._store
        store._open_db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (tmp_path / DATABASE).open("r+b") as file:
            file.seek(5 * 16384)
            file.write(os.urandom(16384 * 900))
        found = []

        def some() -> bool:
            frames = spool.take(1 << 30)
            found.extend(frames)
            spool.trim([one.sequence for one in frames])
            return bool(told.said)

        wait_for(some, timeout=20)
        spool.put([frame(400)], NO_HOLD)

        def last() -> bool:
            found.extend(spool.take(1 << 30))
            return numbers(found)[-1] == 400

        wait_for(last, timeout=20)
        assert found[-1].sequence == before + 400
        assert spool.sender == sender
        assert told.lost[DAMAGED] == 3 * (401 - len(found))


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """Its owner knows what is in it."""
    with opened(tmp_path):
        pass
    change(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(OpenError, match="later version"), opened(tmp_path):
        pass


@pytest.mark.parametrize("version", [0, 1, 7, -1])
def test_another_programs_database_is_left_alone(version: int, tmp_path: Path) -> None:
    """It has tables, and is none of ours, whatever version it says it has: not a byte of it is changed."""
    tmp_path.chmod(0o700)
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE frames (theirs)")
        database.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(
        OpenError, match="is not a spool, but another program's database: name another directory"
    ):
        Spool(tmp_path, max_bytes=1 << 20).open()
    with pytest.raises(OpenError, match="is not a spool"):
        repair(tmp_path)
    with pytest.raises(OpenError, match="is not a spool"), SpoolReader(tmp_path):
        pass
    assert path.read_bytes() == before
    assert not path.with_name(f"{DATABASE}-wal").exists()


def test_a_directory_is_for_one_owner(tmp_path: Path) -> None:
    """A second one is refused in the same process, too; once the first is closed, it may have it."""
    with opened(tmp_path), pytest.raises(OpenError, match="in use by this process"), opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["file", "writable", "link"])
def test_a_directory_that_is_not_safe_is_refused(tmp_path: Path, kind: str) -> None:
    """No directory, or one in which others could put something."""
    path = tmp_path / "spool"
    if kind == "file":
        path.touch()
    else:
        path.mkdir()
        path.chmod(0o777 if kind == "writable" else 0o700)
        (path / DATABASE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OpenError, match="spool"), opened(path):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["lock", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"])
@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_is_in_a_files_place_is_named(name: str, kind: str, tmp_path: Path) -> None:
    """SQLite, and the system, would only say that they cannot; and what a link leads to stays as it was."""
    spool, victim = tmp_path / "spool", tmp_path / "victim"
    spool.mkdir(mode=0o700)
    victim.write_text("precious")
    if kind == "directory":
        (spool / name).mkdir()
    else:
        (spool / name).symlink_to(victim)
    if name.endswith("-wal") and kind == "link":  # SQLite removes the log of an empty database
        with opened(spool):
            pass
    else:
        with (
            pytest.raises(OpenError, match=f"{name}' is a link, or no regular file: remove it"),
            opened(spool),
        ):
            pass
    assert victim.read_text() == "precious"


def test_a_directory_that_is_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    """It cannot be made, and is not simply there."""
    (tmp_path / "spool").symlink_to(tmp_path / "nowhere")
    with (
        pytest.raises(OpenError, match=r"spool' is a link to .*nowhere', where nothing is"),
        opened(tmp_path / "spool"),
    ):
        pass


FILLED_BY_ITS_LOG = """
import resource, sys, time
from pathlib import Path
from message_passing.delivery import NO_HOLD
from message_passing.spool.spool import Spool

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
said = []
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 30, say=lambda _kind, text: said.append(text))
spool.open()
for n in range(60):
    spool.put([(b"%d" % n, 1, False)], NO_HOLD)
    while not (frames := spool.take(1)):
        time.sleep(0.001)
    assert frames[0].body == b"%d" % n
    spool.trim([frames[0].sequence])
print(len(said) > 0, flush=True)
spool.close()
"""


def test_a_log_that_fills_the_disk_is_emptied(tmp_path: Path) -> None:
    """SQLite's own, of a spool in which nothing is left: nobody else would make room."""
    done = subprocess.run(
        [sys.executable, "-c", FILLED_BY_ITS_LOG, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


LIMITED = """
import resource, sys, time
from pathlib import Path
from message_passing.delivery import NO_HOLD
from message_passing.spool.spool import Spool

resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
said = []
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 30, say=lambda _kind, text: said.append(text))
spool.open()
for n in range(200):
    spool.put([(b"%d %s" % (n, b"x" * 50_000), 1, False)], NO_HOLD)
while not spool.stalled:
    time.sleep(0.01)
print(said[0], spool.pending > 0, flush=True)
if sys.argv[2] == "sends":
    count = 0
    while count < 200:
        frames = spool.take(100_000)
        count += len(frames)
        spool.trim([one.sequence for one in frames])
        time.sleep(0.001)
    assert spool.first() == 201
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while spool.pending:
        time.sleep(0.01)
spool.close()
"""


@pytest.mark.parametrize("then", ["frees", "sends"])
def test_a_disk_without_room_is_waited_for(tmp_path: Path, then: str) -> None:
    """Where the system refuses to write, nothing is lost; it goes on by itself when there is room.

    Or when all that is stored was sent, though there is not even room for removing it.
    """
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), then], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"cannot be written" in done.stdout
    assert b"True" in done.stdout
    with SpoolReader(tmp_path) as reading:
        found = [one for one in reading.frames() if not isinstance(one, int)]
    assert [int(one.body.split()[0]) for one in found] == list(range(200 if then == "frees" else 0))


def test_an_empty_spool_gives_back_its_space(tmp_path: Path) -> None:
    """After a long outage the file is small again."""
    store = SpoolStore(tmp_path)
    store.open()
    added = store.commit([(b"x" * MIB, 1, False)] * 80)
    assert store.used() > 80 * MIB
    store.commit([], [(one.sequence, 1, MIB) for one in added])
    store.shrink()
    assert store.used() < MIB
    store.close()
    assert (tmp_path / DATABASE).stat().st_size < MIB


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_root_makes_belongs_to_the_user_that_it_becomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--user`, the output is opened before: the next start, and the commands, may come without root."""
    monkeypatch.setattr(secure_files, "_trusted", {0, 65534})
    with opened(tmp_path / "spool") as (spool, _):
        spool.put([frame(1)], NO_HOLD)
        stored(spool)
        found = [tmp_path / "spool", *(tmp_path / "spool").iterdir()]
        assert len(found) == 5
        assert {one.stat().st_uid for one in found} == {65534}
        assert all(one.stat().st_mode & 0o077 == 0 for one in found)


@pytest.mark.parametrize("what", ["database", "directory"])
def test_a_spool_that_is_removed_while_it_runs_begins_anew(tmp_path: Path, what: str) -> None:
    """What would be stored in a file that has no name any more would be lost at the next start, unseen."""
    directory = tmp_path / "spool"
    with opened(directory) as (spool, told):
        spool.put([frame(n) for n in range(3)], NO_HOLD)
        stored(spool)
        if what == "database":
            (directory / DATABASE).unlink()
        else:
            shutil.rmtree(directory)
        spool.put([frame(3)], NO_HOLD)
        wait_for(lambda: told.said and not spool.pending, timeout=20)
        assert "removed while it was in use" in told.said[-1]
        assert not told.lost  # all was in memory
        with pytest.raises(OpenError, match="in use"), opened(directory):
            pass
    with opened(directory) as (spool, _):
        assert numbers(taken(spool, 4)) == [0, 1, 2, 3]


def test_frames_of_both_kinds_are_read(tmp_path: Path) -> None:
    """The option was changed between runs: all come back as they were, in order, and the new ones are small."""
    expected = [frame(n) for n in range(6)]
    for start, compress in ((0, False), (2, True), (4, False)):
        with opened(tmp_path, compress=compress) as (spool, _):
            spool.put(expected[start : start + 2], NO_HOLD)
            stored(spool)
            size = spool.content.size
    assert size < 4.1 * 50_010
    with SpoolReader(tmp_path) as reader:
        assert [one.body for one in reader.frames() if not isinstance(one, int)] == [
            one[0] for one in expected
        ]
    with opened(tmp_path) as (spool, told):
        found = taken(spool, 6)
        wait_for(lambda: not spool.content.frames, timeout=20)
        assert spool.content == type(spool.content)()
    assert [(one.body, one.count, one.lines) for one in found] == expected
    assert not told.lost


def test_a_bound_is_of_what_is_stored(tmp_path: Path) -> None:
    """More fits into a spool that compresses; what would get larger is stored as it is."""
    with opened(tmp_path, compress=True) as (spool, told):
        spool.put([frame(n) for n in range(60)], NO_HOLD)
        stored(spool)
        assert spool.content.frames == 60
        noise = os.urandom(10_000)
        spool.put([(noise, 1, False)], NO_HOLD)
        stored(spool)
        (*_, last) = taken(spool, 61)
    assert (last.body, last.stored, last.lines) == (noise, noise, False)
    assert not told.lost


@pytest.mark.parametrize("change_to", ["lines = 3 - lines", "lines = lines + 4", "body = substr(body, 2)"])
def test_a_damaged_compressed_frame_is_set_aside(tmp_path: Path, change_to: str) -> None:
    """Its kind, too, has the checksum's protection: nothing is taken for something else."""
    with opened(tmp_path, compress=True) as (spool, _):
        spool.put([frame(n) for n in range(3)], NO_HOLD)
        stored(spool)
    change(tmp_path, f"UPDATE frames SET {change_to} WHERE sequence = 2")  # noqa: S608 - from above
    with opened(tmp_path) as (spool, told):
        assert numbers(taken(spool, 2)) == [0, 2]
        wait_for(lambda: told.lost[DAMAGED] == 3, timeout=20)


def test_compressed_frames_need_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is missing, opening says which extra to install, and nothing is touched."""
    with opened(tmp_path, compress=True) as (spool, _):
        spool.put([frame(1)], NO_HOLD)
        stored(spool)
    missing = PackageError("this needs the package 'backports.zstd'")

    def fails(_path: str) -> None:
        raise missing

    monkeypatch.setattr("message_passing.spool.spool.load_own", fails)
    with pytest.raises(OpenError) as caught, opened(tmp_path):
        pass
    assert (
        str(caught.value) == f"the spool {str(tmp_path)!r} has compressed frames (spool_compress): {missing}"
    )
    monkeypatch.undo()
    with opened(tmp_path) as (spool, _):
        assert numbers(taken(spool, 1)) == [1]


@pytest.mark.parametrize(("size", "most"), [(0, PENDING_FRAMES), (PENDING_BYTES // 100, 100)])
def test_what_waits_to_be_stored_is_bounded_in_frames_and_bytes(size: int, most: int) -> None:
    """Whichever is reached first, there is no more room; and there is again when one is stored."""
    pending = PendingFrames()
    for number in range(most):
        assert pending.has_room, number
        pending.put([(bytes(size + 1), 1, 0)], NO_HOLD)
    assert pending.has_room is False
    pending.remove(1)
    assert (pending.has_room, len(pending), pending.messages, pending.size) == (
        True,
        most - 1,
        most - 1,
        (most - 1) * (size + 1),
    )
