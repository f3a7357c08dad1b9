"""Where no threads or descriptors can be had, or somebody takes them away: libzmq must not end the process."""

from __future__ import annotations

import ast
import os
import pathlib
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals
from logs import run, silent
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

EACH = """
    import resource
    def limit_files(number):
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    def limit_threads(number):
        resource.setrlimit(resource.RLIMIT_NPROC, (number, number))
        os.setgid(65534)
        os.setuid(65534)
    def limit_cgroup(number):
        open(os.environ["CGROUP"] + "/pids.max", "w").write(str(number))
        open(os.environ["CGROUP"] + "/cgroup.procs", "w").write(str(os.getpid()))
    def churn():
        while True:
            try:
                taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
            except OSError:
                continue
            for one in taken:
                os.close(one)
    def race_for_files(number):
        limit_files(number)
        threading.Thread(target=churn, daemon=True).start()
    def child(limit, number, options):
        handler = ZeroMQHandler(linger=0, **options)
        log = logging.Logger("tested")
        log.addHandler(handler)
        limit(number)
        for _ in range(3):
            log.info("x")
            time.sleep(0.01)
        handler.flush()
        opened = bool(handler._shipper.worker.transmitter and handler._shipper.worker.transmitter.socket.sender)
        handler.close()
        stats = handler.stats()
        counted = stats["sent"] + sum(stats["dropped"].values()) == 3 and not stats["failed"]
        os._exit((0 if opened else 1) if counted else 2)
    ends = []
    sys.stderr = None
    for number in range(<first>, <last>):
        process = os.fork()
        if not process:
            try:
                child(<limit>, number, <options>)
            finally:
                os._exit(3)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    print(ends)
"""

OPTIONS = ["dict(connect=ENDPOINT)", "dict(socket_bind='tcp://127.0.0.1:*', socket_type='PUSH')"]


def ends_of(limit: str, first: int, last: int, options: str = OPTIONS[0], **environment: str) -> list[int]:
    """How processes ended at each of these limits: 0 with a socket, 1 without, all counted; negative by a signal."""
    program = EACH
    for name, value in {"limit": limit, "first": first, "last": last, "options": options}.items():
        program = program.replace(f"<{name}>", str(value))
    done = run(program, "tcp://127.0.0.1:9", timeout=60, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    ends: list[int] = ast.literal_eval(done.stdout)
    return ends


def assert_lived(ends: list[int]) -> None:
    """None was ended by a signal, all records were counted, and with enough there was a socket."""
    assert set(ends) == {0, 1}, ends
    assert ends == sorted(ends, reverse=True), ends


@pytest.mark.parametrize("options", OPTIONS)
def test_few_descriptors(options: str) -> None:
    """At each number of them."""
    assert_lived(ends_of("limit_files", 4, 50, options))


def test_descriptors_that_another_thread_takes_and_gives_back() -> None:
    """All the time, at each number around what is needed."""
    assert set(ends_of("race_for_files", 14, 40)) == {0, 1}


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be somebody else whose limit it is")
def test_few_threads() -> None:
    """At each number of them, for a user who has no others."""
    assert_lived(ends_of("limit_threads", 1, 16))


@pytest.fixture
def cgroup() -> Iterator[pathlib.Path]:
    """A control group of our own that limits processes, as a container's does."""
    places = map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
    folder = next((place for place in places if (place / "cgroup.procs").exists()), None)
    made = folder and folder / f"message-passing-{os.getpid()}"
    try:
        assert made
        made.mkdir()
        (made / "pids.max").write_text("max")
    except (OSError, AssertionError):
        pytest.skip("no control group can be made here")
    yield made
    made.rmdir()


def test_few_threads_of_a_container(cgroup: pathlib.Path) -> None:
    """At each number of them."""
    assert_lived(ends_of("limit_cgroup", 1, 16, CGROUP=str(cgroup)))


def test_what_was_missing_comes_back() -> None:
    """It was said once what was missing, is tried again, and nothing is lost."""
    program = """
        import resource
        handler = add(linger=3000)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (10, most))
        for number in range(20):
            logging.info("%d", number)
            time.sleep(0.01)
        assert handler.stats() == {"sent": 0, "queued": 20, "dropped": {}, "failed": 0}, handler.stats()
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
        logging.info("20")
        while handler.stats()["sent"] < 21:
            time.sleep(0.01)
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("\n") == 1
        assert "log records are not delivered: no descriptors are left for a socket" in done.stderr
        wait_for(lambda: len(arrivals.records) == 21)


@pytest.mark.parametrize("files", [0, 20])
@pytest.mark.parametrize("first", [0, 3])
def test_descriptors_that_are_closed_under_it(first: int, files: int) -> None:
    """As a daemon's that does not fork: another socket is opened, though files have the old one's numbers."""
    program = f"""
        handler = add(linger=3000)
        logging.info("before")
        while not handler.stats()["sent"]:
            time.sleep(0.01)
        time.sleep(0.3)
        os.closerange({first}, 1024)
        files = [os.open("/dev/null", os.O_RDWR) for _ in range({3 - first + files})]
        for number in range(5):
            logging.info("after %d", number)
            time.sleep(0.02)
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert done.returncode == 0, done.stderr
        if first:
            assert "the socket's descriptors were closed from outside; a new socket is opened" in done.stderr
        wait_for(lambda: len(arrivals.records) == 6)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to change the root directory")
def test_in_a_directory_without_devices(tmp_path: pathlib.Path) -> None:
    """After chroot, with no /dev/null and no /proc."""
    program = f"""
        handler = add(linger=3000)
        os.chroot({str(tmp_path)!r})
        logging.info("from inside")
        while not handler.stats()["sent"]:
            time.sleep(0.01)
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) == 1)
