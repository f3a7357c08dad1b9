"""A handler that logging has closed and its users go on using: the next record opens it again."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from arrivals import Arrivals
from logs import free_endpoint, held, logger_with, run, run_file, shipping_threads, silent
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for

FORGETTING = {
    "dictConfig": 'logging.config.dictConfig({"version": 1})',
    "dictConfig that disables loggers": (
        'logging.config.dictConfig({"version": 1, "disable_existing_loggers": True,'
        ' "handlers": {"h": {"class": "logging.NullHandler"}}, "loggers": {"other": {"handlers": ["h"]}}})'
    ),
    "fileConfig": (
        "import io; logging.config.fileConfig(io.StringIO("
        '"[loggers]\\nkeys=root,x\\n[handlers]\\nkeys=\\n[formatters]\\nkeys=\\n[logger_root]\\nhandlers=\\n"'
        '"[logger_x]\\nqualname=x\\nhandlers=\\n"), disable_existing_loggers=False); '
        "logging.getLogger().addHandler(handler); logging.getLogger().setLevel(1)"
    ),
    "shutdown": "logging.shutdown()",
    "close": "handler.close()",
    "close, twice": "handler.close(); handler.close()",
    "all of them": 'logging.shutdown(); logging.config.dictConfig({"version": 1}); handler.close(); handler.flush()',
}


@pytest.mark.parametrize("way", FORGETTING)
@pytest.mark.parametrize("before", ["logging.info('before')", "pass"])
def test_records_after_logging_was_configured_again_arrive(way: str, before: str) -> None:
    """All of them, in order, without a gap, to the last before the end of the program; and nothing is printed."""
    program = f"""
        import logging.config
        handler = add(linger=5000)
        for _ in range(3):
            {before}
            {FORGETTING[way]}
            logging.getLogger().info("after")
        assert threading.active_count() <= 2, threading.enumerate()
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        expected = (["before", "after"] if before != "pass" else ["after"]) * 3
        wait_for(lambda: len(arrivals.records) >= len(expected))
        assert [record["message"] for record in arrivals.records] == expected
        assert [record["sequence"] for record in arrivals.records] == list(range(1, len(expected) + 1))
        assert len({record["sender"] for record in arrivals.records}) == 1


def test_the_end_of_the_program_sends_what_is_logged_there() -> None:
    """By exit functions of any age: one that logging's own precedes, one that closes the handler and goes on."""
    program = """
        import atexit, logging.config
        handler = add(linger=5000)
        logging.info("first")
        logging.config.dictConfig({"version": 1})
        def late():
            logging.info("late")
            handler.close()
            logging.info("later")
        atexit.register(late)
    """
    before = 'import atexit\natexit.register(lambda: [logging.info("last %d", n) for n in range(3)])\n'
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint, before=before))
        expected = ["first", "late", "later", "last 0", "last 1", "last 2"]
        wait_for(lambda: len(arrivals.records) >= len(expected))
        assert [record["message"] for record in arrivals.records] == expected
        assert [record["sequence"] for record in arrivals.records] == [1, 2, 3, 4, 5, 6]


def test_the_very_last_records_take_no_longer_than_linger_in_all() -> None:
    """However many are logged after logging's own end with nobody there, and they are counted and reported."""
    program = "handler = add(linger=300); logging.info('x')"
    before = """
import atexit, time
def last():
    begun = time.monotonic()
    for number in range(50):
        logging.info("%d", number)
    print(time.monotonic() - begun, handler.stats()["dropped"])
atexit.register(last)
"""
    done = run(program, free_endpoint(), before=before)
    took, _, dropped = done.stdout.partition(" ")
    assert float(took) < 2
    assert dropped == "{'unsent at close': 51}\n"
    assert "log records lost so far" in done.stderr


def test_a_process_of_multiprocessing_that_configures_logging(tmp_path: object) -> None:
    """Its end, which is not the interpreter's, sends what was logged after that."""
    program = """
        import logging.config, multiprocessing, sys
        from message_passing.logging import ZeroMQHandler

        def work(handler):
            logging.info("child 1")
            logging.config.dictConfig({"version": 1})
            logging.info("child 2")

        if __name__ == "__main__":
            handler = ZeroMQHandler(sys.argv[1])
            logging.basicConfig(level=1, handlers=[handler])
            child = multiprocessing.get_context("fork").Process(target=work, args=(handler,))
            child.start()
            child.join()
    """
    with Arrivals() as arrivals:
        assert silent(run_file(program, tmp_path, arrivals.endpoint))  # type: ignore[arg-type]
        wait_for(lambda: len(arrivals.records) >= 2)
        assert [record["message"] for record in arrivals.records] == ["child 1", "child 2"]


def test_a_bound_handler_binds_again() -> None:
    """Its address is free by then, and nothing is said of it."""
    endpoint = free_endpoint()
    program = f"""
        import zmq, json
        receiver = zmq.Context().socket(zmq.PULL)
        receiver.rcvtimeo = 5000
        receiver.connect({endpoint!r})
        handler = ZeroMQHandler(socket_bind={endpoint!r}, socket_type="PUSH", linger=2000)
        logging.getLogger().addHandler(handler)
        for number in range(5):
            logging.error("%d", number)
            assert json.loads(receiver.recv())["message"] == str(number)
            handler.close()
        receiver.close(0)
    """
    assert silent(run(program, ""))


def test_others_log_while_it_is_closed_again_and_again() -> None:
    """Every record arrives once, numbered in the order of each thread, and no thread is left behind."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, linger=5000) as (logger, handler):
        stop = threading.Event()
        counts = [0] * 4

        def work(number: int) -> None:
            while not stop.is_set():
                logger.info("%d %d", number, counts[number])
                counts[number] += 1
                stop.wait(0.001)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(15):
            handler.close()
        stop.set()
        for thread in threads:
            thread.join()
        handler.close()
        assert handler.stats() == {"sent": sum(counts), "queued": 0, "dropped": {}, "failed": 0}
        wait_for(lambda: len(arrivals.records) == sum(counts))
        # A receiver takes from a new connection before all of the old one's is taken: the sequence tells the order.
        said = [record["message"] for record in sorted(arrivals.records, key=lambda one: one["sequence"])]
        for number in range(4):
            own = [text for text in said if text.startswith(f"{number} ")]
            assert own == [f"{number} {count}" for count in range(counts[number])]
        assert sorted(record["sequence"] for record in arrivals.records) == list(range(1, sum(counts) + 1))
        wait_for(lambda: not shipping_threads())


def test_a_memory_handler_that_ends_after_its_target() -> None:
    """`logging.shutdown` closes handlers one after the other: what another one still has is sent as well."""
    program = """
        import logging.handlers
        memory = logging.handlers.MemoryHandler(100)
        handler = ZeroMQHandler(ENDPOINT, linger=5000)
        memory.setTarget(handler)
        logging.getLogger().addHandler(memory)
        for number in range(3):
            logging.warning("%d", number)
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) == 3)


def test_a_handler_that_was_opened_again_and_that_nobody_keeps() -> None:
    """Dropped without `close`, it sends what it has, and its thread ends."""
    with Arrivals() as arrivals:
        handler = ZeroMQHandler(arrivals.endpoint, linger=5000)
        handler.handle(logging.makeLogRecord({"msg": "1"}))
        handler.close()
        handler.handle(logging.makeLogRecord({"msg": "2"}))
        del handler
        wait_for(lambda: len(arrivals.records) == 2)
        wait_for(lambda: not shipping_threads())


def test_a_close_that_a_signal_handler_cuts_short_is_completed_by_the_next_one() -> None:
    """The socket that it had begun to close is closed, and what it had is sent."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, linger=5000) as (logger, handler):
        logger.error("1")
        wait_for(lambda: handler.stats()["sent"])
        shipper = handler._shipper
        with held(shipper.worker.lock):
            shipper.limit = -1
            shipper._finish(time.monotonic() + 5)  # and here it is cut short
        handler.close()
        assert shipper.worker.transmitter
        assert not shipper.worker.transmitter.socket._leaving  # type: ignore[attr-defined]
        for number in (2, 3):
            logger.error("%d", number)
        wait_for(lambda: len(arrivals.records) == 3)
        assert shipper.limit > 0
