"""A handler with a spool: what is on disk survives everything; what is not never makes the application wait."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

import pytest

from logs import (
    arrived,
    counted,
    free_endpoint,
    logger_with,
    read_line,
    router,
    run,
    script,
    silent,
    started,
    tell,
)
from message_passing.errors import OpenError, OptionError
from message_passing.logging import ZeroMQHandler, spooled_socket
from message_passing.logging.encoded_level import UNKNOWN_LEVEL, level_of_encoded
from message_passing.logging.fields import Fields, Origin, encoder_for
from message_passing.logging.losses import Losses
from message_passing.spool.reader import SpoolReader
from message_passing.spool.slots import owner, spools_in
from message_passing.testing import wait_for
from nodes import lines

if TYPE_CHECKING:
    from pathlib import Path


def options(folder: Path, **more: Any) -> dict[str, Any]:
    """Those of a handler with a spool in this folder."""
    return {"socket_type": "DEALER", "ack_timeout": 2, "spool": str(folder / "spool"), **more}


def stored(folder: Path) -> int:
    """How many records are in all spools of a folder, also while processes use them."""
    total = 0
    for one in spools_in(folder / "spool"):
        try:
            with SpoolReader(one) as reading:
                total += reading.content().messages
        except OpenError:  # it is being made
            continue
    return total


def test_a_record_is_on_disk_soon_and_flush_waits_for_that(tmp_path: Path) -> None:
    """Nobody flushes the first one; with nobody there, flushed means that a crash loses nothing any more."""
    with logger_with(free_endpoint(), linger=0, report_interval=0, **options(tmp_path)) as (logger, handler):
        logger.error("lone")
        wait_for(lambda: stored(tmp_path) == 1, timeout=20)
        for number in range(5000):
            logger.info("%d", number)
        assert handler.flush(20) is True
        assert stored(tmp_path) == 5001
        assert handler.stats() == {"sent": 0, "queued": 0, "spooled": 5001, "dropped": {}, "failed": 0}
    found = handler.stats()
    assert (found["spooled"], found["dropped"], "possibly_lost" in found) == (5001, {}, False)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


KILLED = """
    import random
    accepted, seed, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)

    def work(first):  # writes down what is safe, when it is
        file = os.open(accepted, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        handler = add(socket_type="DEALER", ack_timeout=2, spool=SPOOL, report_interval=0)
        while True:
            for number in range(first, first + chance.randrange(1, 200)):
                logging.info("%d", number)
            first = number + 1
            if handler.flush(10):
                os.write(file, b"%d\\n" % number)

    open(accepted, "wb").close()
    for number in range(kills):
        child = os.fork()
        if not child:
            try:
                work(number * 1_000_000)
            finally:
                os._exit(1)
        before, until = os.path.getsize(accepted), time.monotonic() + 20
        while number % 2 and os.path.getsize(accepted) == before and time.monotonic() < until:
            time.sleep(0.01)  # on a busy machine, nothing may be safe for a while
        time.sleep(chance.uniform(0.02, 0.3))
        os.kill(child, 9)
        os.waitpid(child, 0)
    add(socket_type="DEALER", spool=SPOOL, linger=30_000)
    logging.info("-1")
"""


def test_nothing_that_was_safe_is_missing_after_10_kills(tmp_path: Path) -> None:
    """The application is killed at 10 random moments: what had been flushed arrives, once, in each one's order."""
    seed = random.randrange(1 << 32)  # noqa: S311 - not a secret
    endpoint, accepted = free_endpoint(), tmp_path / "accepted"
    program = script(KILLED.replace("SPOOL", repr(str(tmp_path / "spool"))), endpoint)
    with router(endpoint, tmp_path / "out") as receiving:
        words = [*program, str(accepted), str(seed), "10"]
        done = subprocess.run(words, capture_output=True, timeout=60, check=False, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        receiving.stop()
    found = [int(message) for message in arrived(tmp_path / "out")]
    safe = {int(line) // 1_000_000: int(line) for line in lines(accepted)}
    expected = {n for process, last in safe.items() for n in range(process * 1_000_000, last + 1)}
    missing = len(expected - set(found))
    assert safe
    assert not missing, f"{missing} of {len(expected)} are missing, with the seed {seed}"
    assert len(set(found)) == len(found), f"the receiver lives on: nothing comes twice; seed {seed}"
    for process in safe:
        own = [n for n in found if n // 1_000_000 == process]
        assert own == sorted(own)
    assert found[-1] == -1, "what was left is sent before what is new"
    assert len(spools_in(tmp_path / "spool")) == 1


def test_the_next_process_sends_what_is_left_first(tmp_path: Path) -> None:
    """The receiver was away for the whole life of a process, which says so at its end."""
    endpoint = free_endpoint()
    program = f"""
        handler = add(linger=0, **{options(tmp_path)!r})
        for number in range(2000): logging.info("%d", number)
        assert handler.flush(20)
    """
    done = run(program, endpoint)
    assert "2000 messages left in the spool" in done.stderr
    assert "lost" not in done.stderr
    with router(endpoint, tmp_path / "out"):
        again = f"add(linger=20000, **{options(tmp_path)!r}); logging.info('new')"
        assert silent(run(again, endpoint))
    assert arrived(tmp_path / "out") == [*map(str, range(2000)), "new"]
    assert stored(tmp_path) == 0


def test_each_process_has_a_spool_and_a_dead_ones_is_adopted(tmp_path: Path) -> None:
    """Three children log and are killed while nobody listens; their parent, and then another, send it all."""
    endpoint = free_endpoint()
    program = f"""
        handler = add(linger=20000, **{options(tmp_path)!r})
        logging.info("parent")
        assert handler.flush(20)
        for number in range(3):
            if not os.fork():
                logging.info("child %d", number)
                print(handler.flush(20), flush=True)
                time.sleep(600)
        print("forked", os.getpid(), flush=True)
        sys.stdin.readline()
        logging.info("parent again")
        print(handler.flush(20), flush=True)
        sys.stdin.readline()
    """
    with started(program, endpoint) as process:
        said = sorted(read_line(process) for _ in range(4))
        assert said[:3] == ["True"] * 3
        spools = spools_in(tmp_path / "spool")
        assert [one.name for one in spools] == ["1", "2", "3", "4"]
        assert owner(spools[0]) == process.pid
        shown = [json.loads(line) for line in inspected(tmp_path / "spool", "--json").splitlines()]
        assert [one["messages"] for one in shown] == [1, 1, 1, 1]
        for one in shown[1:]:
            os.kill(one["process"], signal.SIGKILL)
        wait_for(lambda: [owner(one) for one in spools][1:] == [0, 0, 0], timeout=20)
        assert "no process uses it" in inspected(tmp_path / "spool")
        tell(process)
        assert read_line(process) == "True"
        process.kill()
        process.wait()
    with router(endpoint, tmp_path / "out"):
        done = run(f"add(linger=20000, **{options(tmp_path)!r}); logging.info('next')", endpoint)
        assert silent(done)
    expected = ["parent", "parent again", "next", *(f"child {number}" for number in range(3))]
    assert sorted(arrived(tmp_path / "out")) == sorted(expected)
    assert len(spools_in(tmp_path / "spool")) == 4


def test_a_running_process_adopts_what_another_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is killed and none takes its place: what it has left is sent all the same."""
    monkeypatch.setattr(spooled_socket, "ADOPT_INTERVAL", 0.1)
    endpoint = free_endpoint()
    program = f"""
        handler = add(**{options(tmp_path)!r})
        logging.info("left")
        print(handler.flush(20), flush=True)
        sys.stdin.readline()
    """
    with logger_with(endpoint, **options(tmp_path)) as (logger, handler):
        logger.info("first")
        assert handler.flush(20)
        with started(program, endpoint) as process:
            assert read_line(process) == "True"
            assert owner(tmp_path / "spool" / "2") == process.pid
        with router(endpoint, tmp_path / "out"):

            def has_all() -> bool:
                logger.info("more")
                return {"first", "left"} <= set(arrived(tmp_path / "out"))

            wait_for(has_all, timeout=20)
            assert handler.flush(20)
            wait_for(lambda: handler.stats()["spooled"] == 0, timeout=20)
    assert stored(tmp_path) == 0


def inspected(directory: Path, *words: str) -> str:
    """What `message-passing spool inspect` shows."""
    command = [sys.executable, "-W", "error", "-m", "message_passing", "spool", "inspect", str(directory)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_forked_workers_send_what_is_theirs(tmp_path: Path) -> None:
    """As a preforking server's: nothing comes twice, whoever has opened the spool before the fork."""
    endpoint = free_endpoint()
    program = f"""
        handler = add(linger=20000, **{options(tmp_path)!r})
        logging.info("parent")
        children = []
        for number in range(3):
            child = os.fork()
            if not child:
                for line in range(100): logging.info("%d %d", number, line)
                logging.shutdown()
                os._exit(0)
            children.append(child)
        for child in children: os.waitpid(child, 0)
        logging.info("parent again")
    """
    with router(endpoint, tmp_path / "out"):
        assert silent(run(program, endpoint))
    expected = [*(f"{child} {line}" for child in range(3) for line in range(100)), "parent", "parent again"]
    assert sorted(arrived(tmp_path / "out")) == sorted(expected)


NO_THREADS = """
        start = threading.Thread.start
        def refuse(thread):
            if thread.name in ("message-passing-hop", "message-passing-spool", "message-passing-monitor"):
                raise RuntimeError("can't create new thread at interpreter shutdown")
            start(thread)
        threading.Thread.start = refuse
"""


@pytest.mark.parametrize("spooled", [False, True])
def test_where_no_thread_can_be_started_any_more(spooled: bool, tmp_path: Path) -> None:
    """Python 3.12 starts none once the program's last line has run, which may be the first that logs."""
    endpoint = free_endpoint()
    given = options(tmp_path) if spooled else {"socket_type": "DEALER"}
    program = f"""{NO_THREADS}
        handler = add(linger=20000, **{given!r})
        for number in range(300): logging.info("%d", number)
    """
    if spooled:  # nobody is there
        done = run(program.replace("20000", "0"), endpoint)
        assert "300 messages left in the spool" in done.stderr
    with router(endpoint, tmp_path / "out"):
        assert silent(run(program, endpoint))
    assert arrived(tmp_path / "out") == [str(number) for number in range(300)] * (1 + spooled)


STALL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static void stall(void) { while (access(getenv("STALLED"), F_OK) == 0) usleep(10000); }
int fdatasync(int fd) { stall(); return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd); }
int fsync(int fd) { stall(); return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd); }
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file: while it is there, no program that is started syncs anything to disk, nor goes on."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("no C compiler")
    (tmp_path / "stall.c").write_text(STALL)
    made = tmp_path / "stall.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, tmp_path / "stall.c", "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(made))
    monkeypatch.setenv("STALLED", str(tmp_path / "stalled"))
    return tmp_path / "stalled"


def test_a_stalled_disk_costs_no_log_call_anything(disk: Path, tmp_path: Path) -> None:
    """What does not fit is dropped and counted; afterwards everything goes on, and all is accounted for."""
    program = f"""
        import gc, statistics
        handler = add(socket_hwm=2000, linger=20000, report_interval=0, **{options(tmp_path)!r})
        def measure(number):
            times = []
            gc.disable()
            for n in range(number):
                begun = time.perf_counter()
                logging.info("%d", n)
                times.append(time.perf_counter() - begun)
                if n % 50 == 0:
                    time.sleep(0.001)
            gc.enable()
            return sorted(times)
        measure(5000)
        assert handler.flush(20)
        before, first = measure(10000), handler.stats()
        print("ready", flush=True)
        sys.stdin.readline()
        after = measure(10000)
        print(handler.flush(0.1), handler.stats()["dropped"].get("queue full", 0), flush=True)
        sys.stdin.readline()
        print(handler.flush(20), flush=True)
        handler.close()
        found = handler.stats()
        print(found["sent"] + found["spooled"] + sum(found["dropped"].values()), flush=True)
        for times in (before, after):
            print(*(1e6 * times[int(share * len(times))] for share in (0.5, 0.99, 0.999)), flush=True)
    """
    endpoint = free_endpoint()
    with router(endpoint, tmp_path / "out"), started(program, endpoint) as process:
        assert read_line(process) == "ready"
        disk.touch()
        tell(process)
        flushed, dropped = read_line(process).split()
        assert flushed == "False"
        assert int(dropped) > 3000
        disk.unlink()
        tell(process)
        assert read_line(process) == "True"
        assert read_line(process) == "25000"
        before, after = (list(map(float, read_line(process).split())) for _ in range(2))
        print("microseconds of a call (median, p99, p99.9), before and while stalled:", before, after)  # noqa: T201
        assert after[2] < 10 * before[2] + 2e6, "a call that waited for the disk would last as long as that"


@pytest.mark.usefixtures("disk")
def test_an_exit_does_not_wait_for_a_stalled_disk(tmp_path: Path) -> None:
    """No longer than `linger`; what was not stored is said to be possibly lost."""
    program = f"""
        handler = add(linger=500, **{options(tmp_path)!r})
        logging.info("stored")
        assert handler.flush(20)
        open(os.environ["STALLED"], "w").close()
        logging.info("not stored")
        handler.flush()
        begun = time.monotonic()
        logging.shutdown()
        assert time.monotonic() - begun < 10
        print(handler.stats(), flush=True)
        os._exit(0)
    """
    done = run(program, free_endpoint())
    assert "'possibly_lost': {'not on disk': 1}" in done.stdout, (done.stdout, done.stderr)
    assert "up to 1 not on disk" in done.stderr


def test_a_full_spool_is_a_full_queue(tmp_path: Path) -> None:
    """The bound in bytes: then `policy` decides; the errors are kept, all is counted, and the reason is said."""
    endpoint = free_endpoint()
    given = options(tmp_path, spool_bytes=1 << 20, socket_hwm=500, policy="drop_least_severe", linger=0)
    with logger_with(endpoint, **given) as (logger, handler):
        for number in range(4000):
            logger.log(logging.ERROR if number % 100 == 0 else logging.INFO, "%d %s", number, "x" * 2000)
            if number % 20 == 0:
                handler.flush(0)
        wait_for(lambda: handler.stats()["dropped"] and not handler._shipper.queue, timeout=20)
        assert counted(handler) + handler.stats()["spooled"] == 4000
        assert sum(one.stat().st_size for one in (tmp_path / "spool").rglob("spool.sqlite")) < 2 << 20
        with router(endpoint, tmp_path / "out"):
            assert handler.flush(20)
            wait_for(lambda: not handler.stats()["spooled"], timeout=20)
        found = handler.stats()
        assert found["sent"] + sum(found["dropped"].values()) == 4000
    messages = [int(message.split()[0]) for message in arrived(tmp_path / "out")]
    assert messages == sorted(messages)
    assert {number for number in range(4000) if number % 100 == 0} <= set(messages)
    assert b'"dropped":{"INFO":' in (tmp_path / "out").read_bytes()


@pytest.mark.parametrize(("when_full", "compress"), [("drop_newest", "none"), ("drop_oldest", "zstd")])
def test_a_spool_may_drop_itself(when_full: str, compress: str, tmp_path: Path) -> None:
    """It counts by level; the next record that finds room is preceded by a notice."""
    endpoint, chance = free_endpoint(), random.Random(0)  # noqa: S311 - nothing secret
    given = options(
        tmp_path, spool_bytes=1 << 20, spool_when_full=when_full, spool_compress=compress, report_interval=0
    )
    with logger_with(endpoint, fields="ecs", linger=0, **given) as (logger, handler):
        for number in range(1500):
            logger.log(logging.INFO if number % 3 else logging.ERROR, chance.randbytes(1000).hex())
        wait_for(lambda: "spool full" in handler.stats()["dropped"], timeout=20)
        handler.flush(20)
        found = handler.stats()
        assert found["spooled"] + sum(found["dropped"].values()) == 1500
        with router(endpoint, tmp_path / "out"):
            wait_for(lambda: not handler.stats()["spooled"], timeout=20)
            logger.info("room again")
            assert handler.flush(20)
            wait_for(lambda: b"room again" in (tmp_path / "out").read_bytes(), timeout=20)
        lost = sum(handler.stats()["dropped"].values())
    told: Counter[str] = Counter()
    for line in (tmp_path / "out").read_bytes().splitlines():
        told.update(json.loads(line)["extra"]["dropped"] if b'"dropped":{' in line else {})
    assert set(told) == {"INFO", "ERROR"}
    assert told.total() == lost


@pytest.mark.parametrize("fields", [*get_args(Fields), lambda found: {"level": found["level"]}])
def test_a_level_is_read_from_all_fields(fields: Any) -> None:
    """Of a record that is encoded already; and of what has none it is not known."""
    text = encoder_for(fields, Origin("host", "service", 1, None))(Losses().notice())
    assert level_of_encoded(text) == "WARNING"


@pytest.mark.parametrize("text", [b"{}", b"[]", b"no JSON", b'{"level": 3}', b'{"@fields": "x"}', b"\xff"])
def test_what_has_no_level_has_an_unknown_one(text: bytes) -> None:
    """Whatever a function for the fields has made of it."""
    assert level_of_encoded(text) == UNKNOWN_LEVEL


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount")
def test_a_full_disk_is_a_full_queue(tmp_path: Path) -> None:
    """A file system of 4 MiB that fills up, and has room again: no call waits or raises, all is accounted for."""
    endpoint = free_endpoint()
    given = options(tmp_path / "small", socket_hwm=500, linger=20000)
    program = f"""
        handler = add(**{given!r})
        logging.info("first")
        assert handler.flush(20)
        filler = open({str(tmp_path / "small" / "filler")!r}, "wb", buffering=0)
        try:
            while True: filler.write(b"x" * 4096)
        except OSError: pass
        for number in range(3000):
            logging.info("%d %s", number, "x" * 1000)
            if number % 100 == 0: handler.flush()
        print(handler.flush(1), "queue full" in handler.stats()["dropped"], flush=True)
        filler.truncate(0)
        print(handler.flush(20), flush=True)
        handler.close()
        found = handler.stats()
        print(found["sent"] + sum(found["dropped"].values()), found["spooled"], flush=True)
    """
    (tmp_path / "small").mkdir()
    setup = f'mount -t tmpfs -o size=4m none {tmp_path / "small"} && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", setup, "sh")
    with router(endpoint, tmp_path / "out"), started(program, endpoint, prefix=prefix) as process:
        assert read_line(process) == "False True"
        assert read_line(process) == "True"
        assert read_line(process) == "3001 0"
        assert process.wait(20) == 0
        assert process.stderr
        assert "cannot be written" in process.stderr.read()


def test_configured_by_texts(tmp_path: Path) -> None:
    """A `dictConfig` from YAML or the environment, twice: the same spool is used again."""
    given = options(
        tmp_path, spool_bytes="2000000", spool_age="3600", spool_when_full="drop_oldest", linger="0"
    )
    config = {
        "version": 1,
        "handlers": {
            "z": {"class": "message_passing.logging.ZeroMQHandler", "connect": free_endpoint(), **given}
        },
        "loggers": {"spooled": {"handlers": ["z"], "level": "INFO"}},
        "disable_existing_loggers": False,
    }
    for number in range(2):
        logging.config.dictConfig(config)
        handler = logging.getLogger("spooled").handlers[0]
        assert isinstance(handler, ZeroMQHandler)
        logging.getLogger("spooled").info("x")
        assert handler.flush(20)
        assert stored(tmp_path) == number + 1
    logging.getLogger("spooled").removeHandler(handler)
    handler.close()
    assert len(spools_in(tmp_path / "spool")) == 1


def test_wrong_directories_are_refused_when_it_is_made(tmp_path: Path) -> None:
    """An output's spool, a file, one that others can write to; and a socket that is not acknowledged."""
    endpoint = free_endpoint()
    (tmp_path / "file").touch()
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "spool.sqlite").touch()
    for name, text in (("file", "is not a directory"), ("outputs", "is that of an output")):
        with pytest.raises(OpenError, match=text):
            ZeroMQHandler(endpoint, socket_type="DEALER", spool=str(tmp_path / name))
    for socket_type in ("PUB", "PUSH"):
        with pytest.raises(OptionError, match=f"spool is for DEALER and ROUTER.*not for {socket_type}"):
            ZeroMQHandler(endpoint, socket_type=socket_type, spool=str(tmp_path))
    with pytest.raises(OptionError, match=r"spool_bytes.*>= 1048576"):
        ZeroMQHandler(endpoint, socket_type="DEALER", spool=str(tmp_path), spool_bytes=1)


def test_a_directory_that_others_can_write_to_is_not_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They could exchange what is in it; the records wait, and the reason is said."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o777)
    with logger_with(free_endpoint(), linger=0, **options(tmp_path)) as (logger, handler):
        logger.error("x")
        assert handler.flush(0.2) is False
    assert "can be written by others" in capfd.readouterr().err
    assert not spools_in(tmp_path / "spool")


def test_without_sqlite_it_says_so(tmp_path: Path) -> None:
    """Some Pythons are built without it; who has no spool does not miss it."""
    program = f"""
        sys.modules["sqlite3"] = None
        ZeroMQHandler(ENDPOINT)
        ZeroMQHandler(ENDPOINT, socket_type="DEALER")
        try: ZeroMQHandler(ENDPOINT, **{options(tmp_path)!r})
        except Exception as error: print(type(error).__name__, error)
    """
    done = run(program, free_endpoint())
    assert done.stdout.startswith("OptionError ZeroMQHandler: option 'spool' needs Python's module sqlite3")


def test_a_damaged_spool_costs_what_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The file is set aside and a new one begins: no log call notices."""
    given = options(tmp_path, linger=0)
    with logger_with(free_endpoint(), **given) as (logger, handler):
        logger.error("x")
        assert handler.flush(20)
    (tmp_path / "spool" / "1" / "spool.sqlite").write_bytes(b"garbage" * 5000)
    endpoint = free_endpoint()
    with router(endpoint, tmp_path / "out"), logger_with(endpoint, **given) as (logger, handler):
        logger.error("y")
        assert handler.flush(20)
        wait_for(lambda: arrived(tmp_path / "out") == ["y"], timeout=20)
    assert "is damaged: it is set aside" in capfd.readouterr().err
