"""A function of the user's for the fields: whatever it does costs its record at most."""

from __future__ import annotations

import asyncio
import collections
import logging
import logging.handlers
import queue
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from arrivals import Arrivals
from logs import free_endpoint, logger_with, run, silent
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Callable


async def coroutine(fields: dict[str, Any]) -> dict[str, Any]:
    """Not what a handler can wait for."""
    return fields


def raising(error: BaseException) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that does not like a message."""

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        if "bad" in found["message"]:
            raise error
        return found

    return fields


def returning(value: object) -> Callable[[dict[str, Any]], Any]:
    """A function that has something else for such a message."""
    return lambda found: value if "bad" in found["message"] else found


class UnspeakableError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "KeyError": (raising(KeyError("user")), "KeyError: 'user' (test_fields_function.py:"),
    "a text that raises": (
        raising(UnspeakableError()),
        "UnspeakableError: <UnspeakableError whose text cannot be had",
    ),
    "a long text": (raising(ValueError("x" * 100_000)), "ValueError: xxx"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    "SystemExit": (raising(SystemExit(3)), "SystemExit: 3"),
    "CancelledError": (raising(asyncio.CancelledError()), "CancelledError"),
    "GeneratorExit": (raising(GeneratorExit()), "GeneratorExit"),
    "None": (returning(None), "must return a dict, not NoneType"),
    "a list": (returning(["x"]), "must return a dict, not list"),
    "a text": (returning("x"), "must return a dict, not str"),
    "bytes": (returning(b"{}"), "must return a dict, not bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_its_record(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is counted, the first one is reported with its place, and all others arrive."""
    fields, text = FAULTS[name]
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (logger, handler):
        for number in range(5):
            logger.error("bad")
            logger.error("good %d", number)
        wait_for(lambda: sum("good" in record["message"] for record in arrivals.records) == 5)
        assert handler.stats() == {
            "sent": 5,
            "queued": 0,
            "dropped": {"could not be encoded": 5},
            "failed": 0,
        }
        wait_for(lambda: any("records were dropped" in record["message"] for record in arrivals.records))
        handler.close()
    first, *_, last = untimed(capsys.readouterr().err).splitlines()
    assert first.startswith("message-passing: a log record could not be encoded and was lost: ")
    assert text in first
    assert len(first) < 1000
    assert last.endswith(": 5 could not be encoded")


def test_logging_decides_whether_errors_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`logging.raiseExceptions` off: the record is counted, and its error is not shown."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=returning(None)) as (logger, handler):
        logger.error("bad")
        wait_for(lambda: handler.stats()["dropped"] == {"could not be encoded": 1})
        handler.close()
    assert "must return" not in capsys.readouterr().err


@pytest.mark.parametrize("made", [collections.OrderedDict, collections.UserDict, dict])
def test_any_mapping_will_do(made: Callable[[dict[str, Any]], Any]) -> None:
    """A dict is not the only one."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=made) as (logger, _):
        logger.error("x")
        arrivals.wait_for(lambda record: record["message"] == "x")


class UnreadableError(Exception):
    """Raised by a value."""


class Unreadable:
    """Neither JSON nor a text."""

    def __repr__(self) -> str:
        raise UnreadableError


def test_values_that_json_has_nothing_for_cost_no_others() -> None:
    """They are sent as they are in `extra`: as their text, cut, or marked."""

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        found["itself"], found["object"], found["unreadable"] = found, object(), [Unreadable()]
        return found

    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (logger, handler):
        logger.error("x")
        (record,) = arrivals.wait_for(lambda record: record["message"] == "x")
        assert record["object"].startswith("<object object at")
        assert record["unreadable"] == ["<Unreadable whose text cannot be had: UnreadableError>"]
        assert record["itself"]["itself"]["message"] == "x"
        handler.flush(1)
        assert handler.stats() == {"sent": 1, "queued": 0, "dropped": {}, "failed": 0}


def test_the_notice_of_losses_does_not_depend_on_it() -> None:
    """An overflow is reported to the receiver, though the function knows no record without its own key."""
    with Arrivals() as arrivals:
        fields: Any = lambda found: {"user": found["extra"]["user"], "message": found["message"]}  # noqa: E731
        with logger_with(arrivals.endpoint, fields=fields, socket_hwm=5) as (logger, handler):
            for number in range(500):
                logger.error("%d", number, extra={"user": "x"})
            wait_for(lambda: handler.stats()["queued"] == 0)
            logger.error("then", extra={"user": "x"})
            arrivals.wait_for(lambda record: record["message"] == "then")
            stats = handler.stats()
            assert set(stats["dropped"]) == {"queue full"}
            notices = [record for record in arrivals.records if "records were dropped" in record["message"]]
            assert (
                sum(sum(one["extra"]["dropped"].values()) for one in notices)
                == stats["dropped"]["queue full"]
            )


def test_one_that_logs_does_not_feed_itself() -> None:
    """Its own records are sent once each, with the default fields, and it is not asked about them."""
    asked = []

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        asked.append(found["message"])
        logger.warning("in %s", found["message"])
        logger.warning("as an entry", extra={"list": []})
        return {"short": found["message"]}

    with Arrivals() as arrivals, logger_with(arrivals.endpoint, fields=fields) as (logger, handler):
        logger.error("a")
        wait_for(lambda: len(arrivals.records) == 3)
        logger.error("b")
        wait_for(lambda: len(arrivals.records) == 6)
        handler.flush(1)
        assert handler.stats() == {"sent": 6, "queued": 0, "dropped": {}, "failed": 0}
        assert asked == ["a", "b"]
        found = [record.get("short") or record["message"] for record in arrivals.records]
        assert found == ["a", "in a", "as an entry", "b", "in b", "as an entry"]
        assert arrivals.records[1].keys() > {"sender", "sequence", "service"}


@pytest.mark.parametrize("way", ["a queue", "another handler", "a queue and another handler"])
def test_one_that_logs_feeds_itself_by_no_way_round(way: str) -> None:
    """Its records come by another thread then, and have its own thread's number still."""
    asked = []

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        asked.append(found["message"])
        logger.warning("in it")
        return {**found, "asked": True}

    logger = logging.Logger("tested")  # noqa: LOG001 - nobody else's
    with Arrivals() as arrivals, ExitStack() as stack:
        count = 2 if "another" in way else 1
        handlers: list[Any] = [
            stack.enter_context(logger_with(arrivals.endpoint, fields=fields))[1] for _ in range(count)
        ]
        if "queue" in way:
            records: queue.Queue[Any] = queue.Queue()
            listener = logging.handlers.QueueListener(records, *handlers)
            listener.start()
            stack.callback(listener.stop)
            logger.addHandler(logging.handlers.QueueHandler(records))
        else:
            for one in handlers:
                logger.addHandler(one)
        logger.error("x")
        wait_for(lambda: len(arrivals.records) == count * (count + 1))
        assert all(handler.flush(2) for handler in handlers)
        assert asked == ["x"] * count
        plain = [record for record in arrivals.records if "asked" not in record]
        assert [record["message"] for record in plain] == ["in it"] * count * count


def test_one_that_logs_fills_no_more_than_the_queue() -> None:
    """What it logs beyond that is counted."""

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        if found["message"] == "x":
            for number in range(100):
                logger.warning("%d", number)
        return found

    with (
        Arrivals() as arrivals,
        logger_with(arrivals.endpoint, fields=fields, socket_hwm=10) as (logger, handler),
    ):
        logger.error("somebody is there")
        wait_for(lambda: handler.stats()["sent"] == 1)
        logger.error("x")
        wait_for(lambda: handler.stats()["dropped"] == {"queue full": 90})
        wait_for(lambda: handler.stats()["sent"] == 12)


@pytest.mark.parametrize(
    "call", ["handler.flush()", "handler.close()", "handler.flush(1)", "handler.stats()"]
)
def test_one_that_calls_the_handler(call: str) -> None:
    """It waits for nothing that waits for it."""
    program = f"""
        def fields(found):
            {call}
            return found
        handler = add(fields=fields)
        begun = time.monotonic()
        logging.info("1")
        logging.info("2")
        handler.close()
        assert time.monotonic() - begun < 2
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: len(arrivals.records) == 2)


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit", "ZeroDivisionError"])
@pytest.mark.parametrize("call", ["flush()", "close()", "flush(0.5)"])
@pytest.mark.parametrize("thread", ["runs", "is not to be had"])
def test_nothing_of_it_comes_out_of_flush_and_close(error: str, call: str, thread: str) -> None:
    """Whoever does the work, the application gets none of it."""
    program = f"""
        if {thread!r} != "runs":
            def start(self): raise RuntimeError("can't start new thread")
            threading.Thread.start = start
        def fields(found):
            raise {error}
        handler = add(fields=fields, linger=300, report_interval=0)
        logging.info("1")
        handler.{call}
        logging.info("2")
        handler.{call}
        handler.close()
        assert handler.stats()["dropped"] == {{"could not be encoded": 2}}, handler.stats()
    """
    assert silent(run(program, free_endpoint()))


def test_an_interruption_while_it_runs_goes_on_its_way() -> None:
    """Ctrl-C in `close` is the user's: it is raised, once, and the record is still there."""
    program = """
        def start(self): raise RuntimeError("can't start new thread")
        threading.Thread.start = start
        import signal
        asked = []
        def fields(found):
            asked.append(found)
            if len(asked) == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            return found
        handler = add(fields=fields, linger=5000)
        try:
            logging.info("1")
            handler.close()
        except KeyboardInterrupt:
            print("interrupted")
        handler.close()
    """
    with Arrivals() as arrivals:
        done = run(program, arrivals.endpoint)
        assert silent(done)
        assert done.stdout == "interrupted\n"
        arrivals.wait_for(lambda record: record["message"] == "1")


def test_one_that_does_not_return() -> None:
    """Neither the calls nor the end wait for it longer than `linger` and a second, and what is left is reported."""
    program = """
        handler = add(fields=lambda found: time.sleep(60), linger=200)
        for number in range(10):
            logging.info("%d", number)
    """
    begun = time.monotonic()
    done = run(program, free_endpoint())
    assert time.monotonic() - begun < 6
    assert done.returncode == 0
    assert "records are waiting behind one that is being sent" in done.stderr


def test_a_class_is_a_function_too() -> None:
    """What it makes must be a mapping."""
    wrong: Any = int
    handler = ZeroMQHandler("tcp://127.0.0.1:9", fields=wrong, linger=0, report_interval=0)
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    wait_for(lambda: handler.stats()["dropped"] == {"could not be encoded": 1})
    handler.close()
