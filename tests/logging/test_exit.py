"""However a program ends: it ends in time and in silence, and what it had logged arrives (promise 7)."""

from __future__ import annotations

import signal
import time

import pytest

from arrivals import Arrivals
from logs import free_endpoint, read_line, run, silent, started
from message_passing.testing import wait_for
from support import untimed


def messages(arrivals: Arrivals) -> list[str]:
    """All that arrived so far."""
    return [record["message"] for record in arrivals.records]


ENDS = {
    "at the end of the script": ("", 0),
    "sys.exit in the main thread": ("sys.exit(3)", 3),
    "sys.exit in a thread": ("t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()", 0),
    "a thread goes on": (
        "threading.Thread(target=lambda: (time.sleep(0.3), logging.info('last'))).start()",
        0,
    ),
    "an exit function registered before the handler": ("", 0),
}


@pytest.mark.parametrize("way", ENDS)
def test_all_that_was_logged_arrives_and_nothing_is_printed(way: str) -> None:
    """A thousand records, logged in the moment before the end."""
    ending, status = ENDS[way]
    program = f"""
        import atexit
        atexit.register(lambda: logging.info("in an exit function"))
        add()
        for number in range(1000):
            logging.info("%d", number)
        {ending}
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint), status)
        expected = [str(number) for number in range(1000)]
        expected += ["last"] if "last" in ending else []
        expected.append("in an exit function")
        wait_for(lambda: len(arrivals.records) >= len(expected))
        assert messages(arrivals) == expected


def test_an_unhandled_exception_prints_its_own_traceback_alone() -> None:
    """And what was logged before it arrives."""
    with Arrivals() as arrivals:
        done = run("add(); logging.info('before'); raise SystemError('mine')", arrivals.endpoint)
        assert done.returncode == 1
        assert done.stderr.count("Traceback") == 1
        assert done.stderr.endswith("SystemError: mine\n")
        arrivals.wait_for(lambda record: record["message"] == "before")


def test_sigterm_with_its_default_action_loses_nothing_that_has_had_a_moment() -> None:
    """Nobody closes anything: the thread had sent it all by then."""
    program = """
        add()
        for number in range(500):
            logging.info("%d", number)
        print("logged", flush=True)
        sys.stdin.readline()
    """
    with Arrivals() as arrivals, started(program, arrivals.endpoint) as process:
        assert read_line(process) == "logged"
        wait_for(lambda: len(arrivals.records) == 500)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == -signal.SIGTERM
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_sigterm_handler_that_exits_sends_the_rest() -> None:
    """As gunicorn, celery and most servers do; it may come in the middle of a log call."""
    program = """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        handler = add(socket_hwm=0, linger=10_000)
        print("ready", flush=True)
        count = 0
        try:
            while True:
                logging.info("%d", count)
                count += 1
        finally:
            print(count, flush=True)
    """
    with Arrivals() as arrivals, started(program, arrivals.endpoint) as process:
        assert read_line(process) == "ready"
        wait_for(lambda: len(arrivals.records) > 100)
        process.send_signal(signal.SIGTERM)
        count = int(read_line(process))
        assert process.wait(10) == 0
        assert process.stderr
        assert process.stderr.read() == ""
        wait_for(lambda: len(arrivals.records) >= count)
        arrived = [int(text) for text in messages(arrivals)]
        assert arrived[:count] == list(range(count))


def test_daemon_threads_that_go_on_logging_do_no_harm() -> None:
    """No hang, no traceback; what the main thread had logged arrives."""
    program = """
        add(socket_hwm=0)
        def chatter():
            while True:
                logging.debug("chatter")
                time.sleep(0.0005)
        for _ in range(8):
            threading.Thread(target=chatter, daemon=True).start()
        for number in range(200):
            logging.info("main %d", number)
    """
    with Arrivals() as arrivals:
        started_at = time.monotonic()
        assert silent(run(program, arrivals.endpoint))
        assert time.monotonic() - started_at < 10
        arrivals.wait_for(lambda record: record["message"] == "main 199")
        main = [text for text in messages(arrivals) if text.startswith("main")]
        assert main == [f"main {number}" for number in range(200)]


@pytest.mark.parametrize("linger", [0, 300, 1000])
def test_without_a_receiver_the_end_is_bounded_by_linger(linger: int) -> None:
    """Both with close and at the interpreter's end."""
    program = f"""
        handler = add(linger={linger})
        for number in range(1000):
            logging.info("%d", number)
        start = time.monotonic()
        logging.shutdown()
        print(time.monotonic() - start)
        print(handler.stats()["dropped"])
    """
    endpoint = free_endpoint()
    done = run(program, endpoint)
    assert done.returncode == 0
    why, lost = untimed(done.stderr).splitlines()
    assert why.startswith(
        f"message-passing: log records are not delivered: {endpoint}: nobody listens there: "
    )
    assert lost.endswith(": 1000 unsent at close")
    took, dropped = done.stdout.splitlines()
    assert linger / 1000 - 0.1 <= float(took) < linger / 1000 + 0.7
    assert dropped == "{'unsent at close': 1000}"


def test_at_the_interpreters_end_too() -> None:
    """The whole program, without a receiver, ends within a second and its own start-up."""
    program = "add(report_interval=0); logging.info('x')"
    begun = time.monotonic()
    assert silent(run("add()", free_endpoint()))
    without = time.monotonic() - begun
    begun = time.monotonic()
    assert silent(run(program, free_endpoint()))
    assert 0.8 < time.monotonic() - begun - without < 3


def test_logging_while_objects_are_destroyed_at_the_end_does_no_harm() -> None:
    """A __del__ that runs when the interpreter takes the modules down."""
    program = """
        handler = add()
        class Late:
            def __del__(self):
                logging.info("late")
                handler.flush()
                handler.close()
        late = Late()
        sys.modules["__keeper__"] = late
        logging.info("before")
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        arrivals.wait_for(lambda record: record["message"] == "before")
