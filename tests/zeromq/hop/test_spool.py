"""A hop with a spool between real nodes: what is accepted is on disk, and arrives, whoever is killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.commands import check
from message_passing.errors import OpenError, OptionError
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.spool.directory import DATABASE
from message_passing.spool.reader import SpoolReader
from message_passing.testing import free_port, wait_for
from nodes import beside_connecting, lines, node, part

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path) -> list[int]:
    """The numbers of the messages in a file."""
    return [json.loads(line)["n"] for line in lines(path)]


def messages(first: int, count: int) -> bytes:
    """So many lines of JSON."""
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (n, b"x" * 200) for n in range(first, first + count))


def receiver(endpoint: str, file: Path) -> Any:
    """A node that writes what comes to a ROUTER."""
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER")
    return node(*words, *part("output", "File", filename=str(file)))


def stored(spool: Path) -> int:
    """How many messages are in a spool, which may be about to be made."""
    try:
        with SpoolReader(spool) as reading:
            return reading.content().messages
    except OpenError:
        return 0


def sender(endpoint: str, spool: Path, **options: Any) -> Any:
    """A node that spools what it reads from standard input."""
    given = {"connect": endpoint, "socket_type": "DEALER", "ack_timeout": 2, "spool": str(spool), **options}
    return node(*part("input", "STDIN"), *part("output", "ZeroMQ", **given))


def test_a_sender_ends_when_all_is_on_disk(tmp_path: Path) -> None:
    """Without a receiver it ends, says what is in the spool, and the next run sends that before anything new."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with sender(endpoint, tmp_path / "spool") as sending:
        sending.write(messages(0, 3000))
        status, _, err = sending.end()
    assert status == 0
    assert b"3000 messages are in the spool" in err
    assert b"lost" not in err
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    with receiver(endpoint, tmp_path / "out") as receiving:
        with sender(endpoint, tmp_path / "spool", linger=15_000) as sending:
            sending.write(messages(3000, 10))
            status, _, err = sending.end()
        assert (status, beside_connecting(err)) == (0, [])
        receiving.stop()
    assert written(tmp_path / "out") == list(range(3010))


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """A spool belongs to one output: another is told who has it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with sender(endpoint, tmp_path / "spool") as first:
        wait_for((tmp_path / "spool" / "spool.sqlite-wal").exists, timeout=20)
        with sender(endpoint, tmp_path / "spool") as second:
            status, _, err = second.end()
        assert status == 2
        assert f"in use by the process {first.process.pid}".encode() in err
        first.end()


def test_other_sockets_have_no_spool() -> None:
    """Nobody acknowledges what PUB and PUSH send."""
    for socket_type in ("PUB", "PUSH"):
        with pytest.raises(OptionError, match="spool is for DEALER and ROUTER"):
            ZeroMQOutput(connect="tcp://127.0.0.1:9", socket_type=socket_type, spool="s")


KILLED = """
import os, random, signal, sys, time
from message_passing.delivery import Delivery
from message_passing.outputs.zeromq import ZeroMQOutput

endpoint, spool, accepted, seed, kills = sys.argv[1:]
chance = random.Random(int(seed))
open(accepted, "w").close()

def output(**more):
    return ZeroMQOutput(connect=endpoint, socket_type="DEALER", spool=spool, ack_timeout=2, **more)

def send(first):  # writes down what is accepted, when it is
    file = os.open(accepted, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with output() as sending:
        while True:
            batch = [b'{"n":%d,"text":"%s"}' % (n, b"x" * 1000) for n in range(first, first + 50)]
            last, first = first + 49, first + 50
            with Delivery(lambda outcome, n=last: os.write(file, b"%d %d\\n" % (n, outcome)), sending):
                sending.consume_many(batch)
            while sending.held() > 2000:
                time.sleep(0.001)

number = 0
# a busy machine accepts nothing at first
while number < int(kills) or (number < 200 and not os.path.getsize(accepted)):
    child = os.fork()
    if not child:
        try:
            send(number * 1_000_000)
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0.02, 0.25 + number / 100))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    number += 1
with output(linger=30_000):
    pass
"""


def test_nothing_accepted_is_missing_after_20_kills(tmp_path: Path) -> None:
    """The sender is killed at 20 random moments: what it had accepted arrives, in order."""
    seed = random.randrange(1 << 32)  # noqa: S311 - not a secret
    endpoint, spool, accepted = f"tcp://127.0.0.1:{free_port()}", tmp_path / "spool", tmp_path / "accepted"
    script = [sys.executable, "-c", KILLED, endpoint, str(spool), str(accepted), str(seed), "20"]
    with receiver(endpoint, tmp_path / "out") as receiving:
        done = subprocess.run(script, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        receiving.stop()
    kept = [tuple(map(int, line.split())) for line in lines(accepted)]
    assert kept
    assert {outcome for _, outcome in kept} == {0}
    found = written(tmp_path / "out")
    expected = {n for last, _ in kept for n in range(last - 49, last + 1)}
    missing = len(expected - set(found))
    assert not missing, f"{missing} of {len(expected)} are missing, with the seed {seed}"
    unique = list(dict.fromkeys(found))
    assert unique == sorted(unique)
    assert len(unique) == len(found), "the receiver lives on, and removes what comes twice"
    with SpoolReader(spool) as reading:
        assert reading.content().messages == 0


def test_a_copied_spool_hides_nothing_of_either(tmp_path: Path) -> None:
    """Where a machine is cloned or a backup restored, equal numbers of other messages are no duplicates."""
    endpoint, out = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"

    def send(spool: Path, first: int, linger: int = 20_000) -> None:
        with sender(endpoint, spool, linger=linger) as sending:
            sending.write(messages(first, 10))
            assert sending.end()[0] == 0

    send(tmp_path / "spool", 0, linger=10)  # nobody is there, so these stay in it
    shutil.copytree(tmp_path / "spool", tmp_path / "clone")
    shutil.copytree(tmp_path / "spool", tmp_path / "backup")
    with receiver(endpoint, out) as receiving:
        send(tmp_path / "spool", 100)
        send(tmp_path / "clone", 200)
        shutil.rmtree(tmp_path / "spool")
        (tmp_path / "backup").rename(tmp_path / "spool")
        send(tmp_path / "spool", 300)
        wait_for(lambda: len(written(out)) >= 40, timeout=20)
        receiving.stop()
    assert sorted(written(out)) == [n + first for first in (0, 100, 200, 300) for n in range(10)]


def test_a_full_spool_slows_its_input_down(tmp_path: Path) -> None:
    """In a chain it waits, says why, and goes on by itself when a receiver comes; nothing is lost."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with sender(endpoint, tmp_path / "spool", spool_bytes=1 << 20, linger=15_000) as sending:
        writing = threading.Thread(
            target=sending.write, args=(messages(0, 20_000),)
        )  # 4 MB: more than may wait
        writing.start()
        log = tmp_path / "spool" / "spool.sqlite-wal"
        wait_for(lambda: log.exists() and log.stat().st_size > 800_000, timeout=20)
        with receiver(endpoint, tmp_path / "out") as receiving:
            writing.join(30)
            status, _, err = sending.end(30)
            assert status == 0
            assert b"is full (spool_bytes" in err
            assert b"lost" not in err
            receiving.stop()
    assert written(tmp_path / "out") == list(range(20_000))


def test_what_is_on_disk_has_passed(tmp_path: Path) -> None:
    """It is neither held nor lost; what it is doing is in `info`, and said at the end."""
    output = ZeroMQOutput(
        connect=f"tcp://127.0.0.1:{free_port()}", socket_type="DEALER", spool=str(tmp_path / "s"), linger=0
    )
    assert output.confirms == "spooled to disk"
    assert not output.confirms_early
    with output:
        output.consume_many([b"1", b"2", b"3"])
        wait_for(lambda: output.held() == 0, timeout=20)
        assert output.snapshot()["passed"] == 3
        assert output.info()["spooled"] == 3
    assert output.metrics.lost() == 0
    assert any("3 messages are in the spool" in line for line in output.summary())


def test_a_frame_that_was_too_old_is_not_of_this_run(tmp_path: Path) -> None:
    """What an earlier run was given, and this one drops, is counted, and makes no other count negative."""
    given: dict[str, Any] = {
        "connect": f"tcp://127.0.0.1:{free_port()}",
        "socket_type": "DEALER",
        "spool": str(tmp_path / "s"),
        "linger": 0,
    }
    with ZeroMQOutput(**given) as output:
        output.consume_many([b"1", b"2", b"3"])
    with ZeroMQOutput(**given, spool_age=0.001) as output:
        wait_for(lambda: output.metrics.dropped, timeout=20)
        assert output.metrics.dropped == {"too old in the spool": 3}
        assert output.snapshot()["passed"] == 0


def test_a_forked_child_does_not_touch_its_parents_spool(tmp_path: Path) -> None:
    """What it sends there is dropped and counted; the parent's goes on."""
    endpoint, file = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with ZeroMQOutput(
        connect=endpoint, socket_type="DEALER", spool=str(tmp_path / "s"), linger=15_000
    ) as output:
        output.consume(b'{"n":1}')
        child = os.fork()
        if not child:
            try:
                output.consume(b'{"n":2}')
                output.close()
            finally:
                os._exit(0 if output.metrics.dropped == {"the spool is the parent process's": 1} else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        output.consume(b'{"n":3}')
        with receiver(endpoint, file) as receiving:
            wait_for(lambda: output.info()["spooled"] == 0 and not output.held(), timeout=20)
            receiving.stop()
    assert written(file) == [1, 3]


def test_check_warns_of_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """Before anything is started, and without making anything."""
    (tmp_path / "file").touch()
    output = ZeroMQOutput(
        connect="tcp://127.0.0.1:9", socket_type="DEALER", spool=str(tmp_path / "file" / "s")
    )
    assert any("not a directory" in text for text in output.warnings())
    output = ZeroMQOutput(connect="tcp://127.0.0.1:9", socket_type="DEALER", spool=str(tmp_path / "s"))
    assert not any("spool" in text for text in output.warnings())
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "state", ["new", "intact", "in use", "damaged row", "damaged file", "too large", "open to all"]
)
def test_check_looks_at_the_spool(tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a node would meet there is told: its user, damage, who else may write to it, and too small a disk."""
    spool, endpoint = tmp_path / "spool", f"tcp://127.0.0.1:{free_port()}"
    given: dict[str, Any] = {"connect": endpoint, "socket_type": "DEALER", "spool": str(spool), "linger": 0}
    output = ZeroMQOutput(**given)
    if state not in ("new", "too large"):
        with output:
            output.consume(b"one")
            wait_for(lambda: not output.held())
    if state == "damaged row":
        with closing(sqlite3.connect(spool / DATABASE)) as db, db:
            db.execute("INSERT INTO damaged SELECT * FROM frames")
    elif state == "damaged file":
        (spool / DATABASE).write_bytes(b"no database")
    elif state == "open to all":
        spool.chmod(0o777)
    elif state == "in use":
        output = ZeroMQOutput(**given)
        output.open()
    elif state == "too large":
        given["spool_bytes"] = 1 << 60
    words = [*part("input", "STDIN"), *part("output", "ZeroMQ", **given)]
    check.COMMAND.main(["--connect", "--timeout", "0.1", *words])
    output.close()
    texts = {
        "new": f"ok      ZeroMQ output {spool}: a spool can be made there",
        "intact": f"ok      ZeroMQ output {spool}: 1 message in it, and it is intact",
        "in use": f"FAILED  ZeroMQ output {spool}: the spool '{spool}' is in use by this process ({os.getpid()})",
        "damaged row": f"FAILED  ZeroMQ output {spool}: 1 damaged frame set aside in it: see",
        "damaged file": f"FAILED  ZeroMQ output {spool}: the spool '{spool / DATABASE}' is damaged: ",
        "too large": "may take spool_bytes (1,152,921,504,606,846,976)",
        "open to all": "can be written by others",
    }
    assert texts[state] in capsys.readouterr().out


def test_a_distributor_has_a_spool_too(tmp_path: Path) -> None:
    """A ROUTER that is killed with work for workers hands it out when it runs again."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    given = {"socket_bind": endpoint, "socket_type": "ROUTER", "spool": str(tmp_path / "spool")}
    distributor = [*part("input", "STDIN"), *part("output", "ZeroMQ", **given)]
    with node(*distributor) as first:
        first.write(messages(0, 2000))
        wait_for(lambda: stored(tmp_path / "spool") == 2000, timeout=20)
        first.signal(signal.SIGKILL)
    words = part("input", "ZeroMQ", connect=endpoint, socket_type="DEALER", window=4)
    with node(*words, *part("output", "File", filename=str(tmp_path / "out"))) as worker:
        with node(*distributor[:-1], json.dumps({**given, "linger": 15_000})) as second:
            assert second.end()[0] == 0
        worker.stop()
    assert written(tmp_path / "out") == list(range(2000))


def test_the_window_is_of_what_is_in_memory(tmp_path: Path) -> None:
    """Frames that are small on disk, and not in memory, are taken from a compressed spool until that is reached."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with ZeroMQOutput(
        connect=endpoint,
        socket_type="DEALER",
        spool=str(tmp_path),
        spool_compress="zstd",
        spool_bytes=8 << 20,
        linger=0,
    ) as output:
        for n in range(10):
            output.consume(b"%d %s" % (n, b"x" * (1 << 20)))
        sending = output._spooled
        assert sending
        wait_for(lambda: sending.spooled == 10 and len(sending._sender.producer) == 1, timeout=20)
        assert sum(len(one.body) for one in sending._sender.producer.unsettled()) < 1.1 * (1 << 20)
