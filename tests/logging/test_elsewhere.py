"""Records that were not made here and now: relayed, pickled, formatted before, with a dict as message; and spans."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import pickle
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from opentelemetry import trace

from arrivals import Arrivals
from logs import logger_with, run, silent
from message_passing.identity import program_name
from message_passing.logging import MessagePassingHandler
from message_passing.testing import wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def relayed(**more: Any) -> logging.LogRecord:
    """A record as `SocketHandler` sends it, of another process."""
    made = {"msg": "said %s", "args": ("there",), "levelno": 40, "levelname": "ERROR", "name": "there"}
    record = logging.makeLogRecord(
        made | {"process": 4711, "processName": "Worker-7", "thread": 5, "threadName": "pool-1"} | more
    )
    return logging.makeLogRecord(pickle.loads(pickle.dumps(record.__dict__)))  # noqa: S301 - our own


def received(record: logging.LogRecord, **options: Any) -> dict[str, Any]:
    """What the handler for ZeroMQ makes of a record; the one for components makes the same of it."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, **options) as (_, handler):
        handler.handle(record)
        wait_for(lambda: arrivals.records)
        found: dict[str, Any] = arrivals.records[0]
    kept = Kept()
    MessagePassingHandler(kept).handle(record)
    same = kept.messages[0]
    for name in ("message", "process", "process_id", "task", "thread", "exception", "extra", "trace_id"):
        assert found.get(name) == same.get(name)
    return found


@pytest.mark.parametrize("more", [{}, {"user": 7}, {"exc_text": "Traceback of it"}], ids=str)
def test_a_relayed_record_is_of_the_process_that_made_it(more: dict[str, Any]) -> None:
    """Its number and name, its thread and its task."""
    found = received(relayed(taskName="Task-3", **more))
    names = ("process_id", "process", "thread_id", "thread", "task", "message")
    assert [found[name] for name in names] == [4711, "Worker-7", 5, "pool-1", "Task-3", "said there"]
    assert found.get("extra", {}) == {name: value for name, value in more.items() if name == "user"}


def test_a_traceback_of_which_the_text_alone_is_left() -> None:
    """As pickling leaves it."""
    assert received(relayed(exc_text="Traceback of it"))["exception"] == {"traceback": "Traceback of it"}


@pytest.mark.parametrize(
    ("exc_info", "text"),
    [
        (True, None),
        ((None, None, None), None),
        (["ValueError", "no price", None], "ValueError, no price"),
        (("ValueError", "no price", None), "ValueError, no price"),
        (ValueError, "<class 'ValueError'>"),
        ("ValueError: no price", "'ValueError: no price'"),
        ({"type": "ValueError"}, "{'type': 'ValueError'}"),
    ],
    ids=str,
)
@pytest.mark.parametrize("exc_text", [None, "Traceback of it", "\n"])
def test_what_stands_in_an_exceptions_place_and_is_none(
    exc_info: Any, text: str | None, exc_text: str | None
) -> None:
    """A traceback's text goes before it; else it is sent as a text, as a record in JSON has it."""
    found = received(relayed(exc_info=exc_info, exc_text=exc_text))
    wanted = (exc_text or "").strip() or text
    assert found.get("exception") == (wanted and {"traceback": wanted})


@pytest.mark.parametrize(
    "missing", ["created", "name", "levelno", "thread", "processName", "exc_text", "msg"]
)
def test_a_record_that_lacks_an_attribute_lacks_no_other(missing: str) -> None:
    """Another program's records have those that it gave them; and nothing is made up but the time."""
    record = relayed(exc_text="Traceback of it", user=7)
    del record.__dict__[missing]
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (_, handler):
        handler.handle(record)
        wait_for(lambda: arrivals.records)
        (found,) = arrivals.records
    whole = {
        "logger": "there",
        "message": "said there",
        "level": "ERROR",
        "thread_id": 5,
        "thread": "pool-1",
        "process": "Worker-7",
        "process_id": 4711,
        "extra": {"user": 7},
        "exception": {"traceback": "Traceback of it"},
    }
    without = {
        "name": {"logger": None},
        "levelno": {},
        "thread": {"thread_id": None},
        "processName": {"process": None},
        "exc_text": {"exception": None},
        "msg": {"message": found["message"]},
    }
    wanted = whole | without.get(missing, {})
    assert {name: found.get(name) for name in wanted} == wanted
    assert found["format_error"].startswith("not all of the record could be captured")


@pytest.mark.parametrize("created", ["1000.5", None, [], {}], ids=str)
def test_a_record_whose_time_is_none_lacks_nothing_else(created: Any) -> None:
    """It is sent with the time of now, and is counted once, with its bytes."""
    record = relayed(exc_text="Traceback of it", user=7)
    record.created = created
    found = received(record)
    assert found["extra"] == {"user": 7}
    assert found["time"] > "2026"
    assert "format_error" not in found


def test_a_record_relayed_within_a_task_is_not_of_that_task() -> None:
    """Nor of the span that is active there."""

    async def main() -> dict[str, Any]:
        with trace.use_span(trace.NonRecordingSpan(CONTEXT)):
            return received(relayed())

    found = asyncio.run(main())
    assert not {"task", "trace_id", "span_id"} & found.keys()


def test_a_queue_between() -> None:
    """`QueueHandler` and `QueueListener`: another thread hands the record on, and it is that of the first."""
    between: queue.SimpleQueue[Any] = queue.SimpleQueue()
    kept = Kept()
    listener = logging.handlers.QueueListener(between, MessagePassingHandler(kept))
    logger = logging.Logger("queued")  # noqa: LOG001 - nobody else's
    logger.addHandler(logging.handlers.QueueHandler(between))
    listener.start()
    try:
        logger.info("said")
        wait_for(lambda: kept.messages)
    finally:
        listener.stop()
    assert kept.messages[0]["thread"] == threading.current_thread().name


@pytest.mark.parametrize(
    ("message", "more", "text", "extra"),
    [
        ({"event": "paid", "order": 12}, {}, "paid", {"order": 12}),
        ({"message": "paid", "order": 12}, {}, "paid", {"order": 12}),
        ({"msg": "paid"}, {}, "paid", {}),
        ({"order": 12}, {}, '{"order":12}', {"order": 12}),
        ({}, {}, "{}", {}),
        ({"event": ["no text"]}, {}, '{"event":["no text"]}', {"event": ["no text"]}),
        ({"event": "x", "a": 1}, {"a": 2}, "x", {"a": 2, "a_": 1}),
        ({"event": "x", "name": "Jo", "args": 1}, {}, "x", {"name_": "Jo", "args_": 1}),
        ({"event": "x", "level": "loud"}, {}, "x", {"level": "loud"}),
        ({"event": "x", 5: {1: (2,)}}, {}, "x", {"5": {"1": [2]}}),
        ({"event": "half \ud800", "k": "\ud800"}, {}, "half \\ud800", {"k": "\\ud800"}),
        ({"k": "\ud800"}, {}, '{"k":"\\\\ud800"}', {"k": "\\ud800"}),
    ],
    ids=str,
)
def test_a_dict_as_message(message: Any, more: dict[str, Any], text: str, extra: Mapping[str, Any]) -> None:
    """Its text is the message, or its JSON; its other keys are fields."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint) as (logger, _):
        logger.info(message, extra=more)
        wait_for(lambda: arrivals.records)
    found = arrivals.records[0]
    assert (found["message"], found.get("extra", {})) == (text, extra)


class Refusing(dict[str, Any]):
    """A dict whose methods raise."""

    def _no(self, *_: object) -> Any:
        raise ValueError("no")

    items = keys = get = __iter__ = __getitem__ = __len__ = __contains__ = __bool__ = _no


@pytest.mark.parametrize(
    ("message", "text", "extra"),
    [
        (Refusing(event="x", a=1), "x", {"a": 1}),
        ({"event": "x", "exc_info": Mock(spec=ValueError, name="m")}, "x", {"exc_info_"}),
        ({"event": "x", "exc_info": (1, 2, 3)}, "x", {"exc_info_": [1, 2, 3]}),
        ({"event": "x", "level": Mock(), "logger": object()}, "x", {"level", "logger"}),
        ({object: 1}, "{\"<class 'object'>\":1}", {"<class 'object'>": 1}),
    ],
    ids=range(5),
)
def test_a_hostile_dict_as_message(message: Any, text: str, extra: Any) -> None:
    """Nothing of it is lost, and nothing raised."""
    found = received(logging.makeLogRecord({"msg": message, "levelno": 20, "levelname": "INFO"}))
    assert found["message"] == text
    assert "format_error" not in found
    assert (found["extra"].keys() if isinstance(extra, set) else found["extra"]) == extra


def test_a_large_dict_as_message_is_bounded() -> None:
    """As extras are."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, largest=10_000) as (logger, _):
        logger.info(dict.fromkeys(range(100000), "x" * 100))
        wait_for(lambda: arrivals.records)
    assert len(json.dumps(arrivals.records[0])) < 100_000
    assert arrivals.records[0]["truncated"] is True


CONTEXT = trace.SpanContext(0xABC, 0xDEF, is_remote=False)


@pytest.mark.parametrize("options", [{}, {"template": True}, {"identity": False}], ids=str)
@pytest.mark.parametrize("extra", [{}, {"user": 7}], ids=str)
def test_an_active_span_is_in_the_record(options: dict[str, Any], extra: dict[str, Any]) -> None:
    """The ids of its trace and its own; outside of it there are none."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, **options) as (logger, _):
        with trace.use_span(trace.NonRecordingSpan(CONTEXT)):
            logger.info("within", extra=extra)
        logger.info("outside", extra=extra)
        with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)):
            logger.info("in none", extra=extra)
        wait_for(lambda: len(arrivals.records) == 3)
    within, *others = arrivals.records
    assert (within["trace_id"], within["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert not [record for record in others if "trace_id" in record]


@pytest.mark.parametrize("fake", ["None", "object()", "unittest.mock.MagicMock()", "Broken()"])
def test_what_is_no_opentelemetry_does_no_harm(fake: str) -> None:
    """A module that is half loaded, a mock in its place, one that raises."""
    program = f"""
        import unittest.mock
        class Broken:
            def get_current_span(self):
                raise ValueError("no")
        sys.modules["opentelemetry.trace"] = {fake}
        handler = add(linger=3000)
        logging.info("said")
        handler.close()
        stats = handler.stats()
        assert stats["sent"] == 1 and not stats["failed"], stats
    """
    with Arrivals() as arrivals:
        assert silent(run(program, arrivals.endpoint))
        wait_for(lambda: arrivals.records)
    assert "trace_id" not in arrivals.records[0]


def test_opentelemetry_is_not_imported() -> None:
    """A program that does without it does without it still."""
    program = (
        "import logging, sys; from message_passing.logging import ZeroMQHandler; "
        "h = ZeroMQHandler('tcp://127.0.0.1:1', linger=0); h.handle(logging.makeLogRecord({'msg': 'x'})); "
        "h.close(); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


PRINTS = "from message_passing.identity import program_name\nprint(program_name())\n"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-m", "shop"], "shop"),
        (["-m", "shop.tool"], "tool.py"),
        (["shop"], "shop"),
        (["."], "here"),
        (["script.py"], "script.py"),
        (["./script.py"], "script.py"),
        (["-c", PRINTS], "python"),
        (["-m", "early"], "early"),
    ],
    ids=str,
)
def test_a_program_is_called_by_its_name(words: list[str], name: str, tmp_path: Path) -> None:
    """A package by the package's, a folder by the folder's, a script by the script's."""
    here = tmp_path / "here"
    for file in ("shop/__main__.py", "shop/tool.py", "script.py", "__main__.py", "early/__init__.py"):
        (here / file).parent.mkdir(parents=True, exist_ok=True)
        (here / file).write_text(PRINTS)
    (here / "early/__main__.py").write_text("")
    done = subprocess.run([sys.executable, *words], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout == f"{name}\n"


@pytest.mark.parametrize(("service", "wanted"), [("", program_name()), ("shop", "shop")])
def test_the_handler_says_it(service: str, wanted: str) -> None:
    """Unless it was given a name."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, service=service) as (logger, _):
        logger.info("said")
        wait_for(lambda: arrivals.records)
    assert arrivals.records[0]["service"] == wanted
