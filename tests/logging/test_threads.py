"""Threads, loops, signals, and places where no thread runs (promise 6)."""

from __future__ import annotations

import collections
import itertools
from typing import TYPE_CHECKING

import pytest

from arrivals import Arrivals
from logs import Receiver, read_line, receiver, run, silent, started
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_64_threads_of_2000_records(tmp_path: Path) -> None:
    """All arrive, each whole and once, each thread's in its order: nothing is dropped for want of room."""
    program = """
        handler = add(socket_hwm=0, queue_bytes=0, linger=30000, report_interval=0)
        start = threading.Barrier(64)
        def work(number):
            start.wait()
            for count in range(2000):
                logging.info("%d %d %s", number, count, "x" * (count % 50))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("message-passing-log") == 1, names
    """
    with receiver(tmp_path / "records") as there:
        assert silent(run(program, there.endpoint, timeout=60))
        wait_for(lambda: there.path.read_bytes().count(b"\n") >= 64 * 2000, 20)
        next_of: collections.Counter[int] = collections.Counter()
        sequences = set()
        for record in there.records():
            thread, count, rest = record["message"].split(" ")
            assert int(count) == next_of[int(thread)]
            assert rest == "x" * (int(count) % 50)
            next_of[int(thread)] += 1
            sequences.add(record["sequence"])
        assert next_of == dict.fromkeys(range(64), 2000)
        assert sequences == set(range(1, 64 * 2000 + 1))


def test_a_thousand_tasks() -> None:
    """Each record under its task's name, on every Python."""
    program = """
        import asyncio
        add()
        async def work(number):
            for count in range(5):
                logging.info("%d %d", number, count)
                await asyncio.sleep(0)
        async def main():
            tasks = [asyncio.create_task(work(number), name=f"task {number}") for number in range(1000)]
            await asyncio.gather(*tasks)
        asyncio.run(main())
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) >= 5001)  # asyncio logs which selector it uses
        records = [record for record in arrivals.records if record["logger"] == "root"]
        found = [(record["message"], record["task"]) for record in records]
        expected = [(f"{n} {count}", f"task {n}") for n, count in itertools.product(range(1000), range(5))]
        assert sorted(found) == sorted(expected)


def test_gevent() -> None:
    """Monkey-patched before anything else: the sending thread is a greenlet then."""
    program = """
        import gevent
        def work(number):
            for count in range(100):
                logging.info("%d %d", number, count)
                gevent.sleep(0)
        handler = add()
        gevent.joinall([gevent.spawn(work, number) for number in range(50)])
        deadline = time.monotonic() + 5
        while handler.stats()["sent"] < 5000 and time.monotonic() < deadline:
            gevent.sleep(0.01)
        assert handler.stats()["sent"] == 5000, handler.stats()
        gevent.sleep(0.8)  # the greenlet sleeps by now
        logging.info("woken")
        gevent.sleep(0.2)
        assert handler.stats()["sent"] == 5001, handler.stats()
    """
    with Arrivals() as arrivals:
        patched = "from gevent import monkey; monkey.patch_all()\n"
        done = run(program, arrivals.endpoint, before=patched)
        assert silent(done)
        wait_for(lambda: len(arrivals.records) >= 5001)
        assert len({record["message"] for record in arrivals.records}) == 5001


def test_a_signal_handler_that_logs() -> None:
    """It interrupts log calls at any point, the first one's thread start too; nothing is lost or twice."""
    program = """
        import signal
        handled, finished = 0, False
        def on_alarm(*_):
            global handled
            handled += 1
            logging.info("signal %d", handled)
            if not finished:
                signal.setitimer(signal.ITIMER_REAL, 0.0002)
        signal.signal(signal.SIGALRM, on_alarm)
        handler = add(socket_hwm=0)
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        for count in range(20000):
            logging.info("main %d", count)
            if not count % 2000:
                handler.flush()
        finished = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(handled)
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        signals = int(done.stdout)
        assert signals > 20
        wait_for(lambda: len(arrivals.records) >= 20000 + signals)
        found = collections.Counter(record["message"] for record in arrivals.records)
        expected = [f"main {count}" for count in range(20000)] + [f"signal {n + 1}" for n in range(signals)]
        assert found == collections.Counter(expected)


def test_logging_from_within_a_log_call() -> None:
    """From the __str__ of an argument, from __del__, and from what makes the fields: no recursion, no deadlock."""
    program = """
        import gc
        class Chatty:
            def __str__(self):
                logging.info("from __str__")
                return "chatty"
            def __del__(self):
                logging.info("from __del__")
        times = []
        def fields(entry):
            if not times:
                times.append(1)
                logging.info("from fields")
                handler.flush()
                handler.stats()
            return entry
        handler = add(fields=fields)
        logging.info("outer %s", Chatty())
        cycle = [Chatty()]
        cycle.append(cycle)
        del cycle
        gc.collect()
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint, timeout=10))
        wait_for(lambda: len(arrivals.records) >= 5)
        found = sorted(record["message"] for record in arrivals.records)
        assert found == ["from __del__", "from __del__", "from __str__", "from fields", "outer chatty"]


NO_THREADS = {
    "start fails": 'def start(self): raise RuntimeError("can\'t start new thread")',
    "start does nothing": "def start(self): pass",
}


@pytest.mark.parametrize("name", NO_THREADS)
def test_where_no_thread_can_be_started_callers_send(name: str) -> None:
    """At once, not at the next record: there may be none for hours."""
    start = NO_THREADS[name]
    program = f"""
        {start}
        threading.Thread.start = start
        handler = add()
        for number in range(3):
            logging.info("%d", number)
            time.sleep(0.3)
        logging.info("last")
        print("logged", flush=True)
        sys.stdin.readline()
    """
    with Arrivals() as arrivals, started(program, arrivals.endpoint) as process:
        assert read_line(process) == "logged", name
        wait_for(lambda: len(arrivals.records) >= 4, 5)
        assert [record["message"] for record in arrivals.records] == ["0", "1", "2", "last"], name


def test_threads_that_hardly_run_do_not_hold_up_records() -> None:
    """As in uWSGI without enable-threads: other threads run only while this one runs Python."""
    program = """
        import ctypes
        idle = ctypes.PyDLL(None).usleep  # keeps the GIL
        handler = add()
        logging.info("first")
        time.sleep(0.3)
        for number in range(5):
            idle(300_000)
            logging.info("request %d", number)
        idle(300_000)
        sent = handler.stats()["sent"]
        print(sent, flush=True)
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        assert int(done.stdout) >= 5
        wait_for(lambda: len(arrivals.records) >= 6)


def test_a_fork_while_another_thread_logs_deadlocks_nobody(tmp_path: Path) -> None:
    """The known deadlock: a handler's lock is held by a thread that the child does not have."""
    program = """
        class Slow:
            def __str__(self):
                time.sleep(0.002)  # the fork falls into this
                return "slow"
        add(report_interval=0)
        def chatter():
            while True:
                logging.info("%s", Slow())
        for _ in range(4):
            threading.Thread(target=chatter, daemon=True).start()
        for _ in range(30):
            process = os.fork()
            if not process:
                logging.info("child")
                os._exit(0)
            os.waitpid(process, 0)
        print("done")
    """
    there = Receiver(tmp_path / "records")
    done = run(program, there.endpoint, timeout=20)
    assert silent(done)
    assert done.stdout == "done\n"
