"""From structlog's events to records: levels, names, exceptions, and keys that a record has itself."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry import trace

from message_passing.logging import MessagePassingHandler
from message_passing.logging.structlog import LoggerFactory, SendTo
from message_passing.outputs.test import TestOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def output() -> Iterator[TestOutput]:
    """Keeps what arrives; structlog is as it was afterwards."""
    with TestOutput() as kept:
        yield kept
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(output: TestOutput) -> Any:
    """A logger whose last processor sends."""
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, SendTo(MessagePassingHandler(output))],
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger()


@pytest.mark.parametrize(
    ("method", "level", "number"),
    [
        ("debug", "DEBUG", 10),
        ("info", "INFO", 20),
        ("warning", "WARNING", 30),
        ("error", "ERROR", 40),
        ("critical", "CRITICAL", 50),
        ("fatal", "CRITICAL", 50),
    ],
)
def test_a_method_is_a_level(log: Any, output: TestOutput, method: str, level: str, number: int) -> None:
    """By the names of the standard library."""
    getattr(log, method)("said")
    (record,) = output.messages
    assert (record["level"], record["level_number"], record["message"]) == (level, number, "said")


def test_a_level_of_ones_own(log: Any, output: TestOutput) -> None:
    """Its name and number are what the event says."""
    log.info("said", level="notice", level_number=25)
    (record,) = output.messages
    assert (record["level"], record["level_number"]) == ("NOTICE", 25)


def test_a_level_that_was_added_to_logging(log: Any, output: TestOutput, monkeypatch: Any) -> None:
    """Its name is enough."""
    monkeypatch.setattr(logging, "_levelToName", {**logging._levelToName, 23: "NOTICE"})
    monkeypatch.setattr(logging, "_nameToLevel", {**logging._nameToLevel, "NOTICE": 23})
    log.info("said", level="notice")
    (record,) = output.messages
    assert (record["level"], record["level_number"]) == ("NOTICE", 23)


@pytest.mark.parametrize("level", ["gold", "", "Level 3", "x" * 2000])
def test_a_text_that_names_no_level_is_a_field(log: Any, output: TestOutput, level: str) -> None:
    """The application may mean something else by it."""
    log.warning("said", level=level)
    (record,) = output.messages
    assert (record["level"], record["level_number"]) == ("WARNING", 30)
    assert record["extra"] == {"level": level}


@pytest.mark.parametrize("odd", [{"level": 5}, {"level_number": "high"}, {"level": object()}])
def test_a_level_that_is_none_is_not_believed(log: Any, output: TestOutput, odd: dict[str, Any]) -> None:
    """The method's is taken."""
    log.warning("said", **odd)
    assert output.messages[0]["level"] == "WARNING"


def test_keys_are_fields(log: Any, output: TestOutput) -> None:
    """Bound, in context variables, or given; the names of a record's own attributes get an underscore."""
    structlog.contextvars.bind_contextvars(request="r1")
    log.bind(user=7).info("said", name="Jo", args=[1], logger="shop")
    (record,) = output.messages
    assert record["logger"] == "shop"
    extra = record["extra"]
    assert (extra["request"], extra["user"], extra["name_"]) == ("r1", 7, "Jo")
    assert "args_" in extra


def test_where_it_was_said(log: Any, output: TestOutput) -> None:
    """The caller's place, not structlog's or ours."""
    log.info("said")
    (record,) = output.messages
    assert record["file"] == __file__
    assert record["function"] == "test_where_it_was_said"


def test_what_structlog_found_of_the_place_is_taken(output: TestOutput) -> None:
    """CallsiteParameterAdder's keys are the record's."""
    adder = structlog.processors.CallsiteParameterAdder()
    structlog.configure(processors=[adder, SendTo(MessagePassingHandler(output))])
    structlog.get_logger().info("said")
    (record,) = output.messages
    assert record["function"] == "test_what_structlog_found_of_the_place_is_taken"
    assert record["thread"] == "MainThread"
    assert "extra" not in record or "func_name" not in record["extra"]


@pytest.mark.parametrize(
    "say",
    [
        lambda log, _: log.exception("failed"),  # noqa: LOG004 - called within one
        lambda log, _: log.error("failed", exc_info=True),  # noqa: LOG014 - the same
        lambda log, error: log.error("failed", exc_info=error),
    ],
    ids=["exception", "exc_info=True", "exc_info=error"],
)
def test_an_exception_is_described(log: Any, output: TestOutput, say: Callable[[Any, Any], None]) -> None:
    """However it was given."""
    try:
        int("no such thing")
    except ValueError as error:
        say(log, error)
    (record,) = output.messages
    assert record["level"] == "ERROR"
    assert record["exception"]["type"] == "ValueError"
    assert "no such thing" in record["exception"]["traceback"]


def test_an_exception_without_one_is_none(log: Any, output: TestOutput) -> None:
    """`exc_info=True` outside of an except block is a mistake that loses nothing."""
    log.error("failed", exc_info=True)  # noqa: LOG014 - the mistake that is meant
    assert "exception" not in output.messages[0]


def test_what_other_processors_made_of_an_exception_and_a_stack_is_kept(output: TestOutput) -> None:
    """Their texts are the traceback and the stack."""
    structlog.configure(
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            SendTo(MessagePassingHandler(output)),
        ]
    )
    try:
        int("no such thing")
    except ValueError:
        structlog.get_logger().error("failed", exc_info=True, stack_info=True)
    (record,) = output.messages
    assert "no such thing" in record["exception"]["traceback"]
    assert "test_what_other_processors" in record["stack"]


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ({"process": "payments"}, "process_", "payments"),
        ({"process": True}, "process_", True),
        ({"thread": "forum thread 7"}, "thread_", "forum thread 7"),
        ({"lineno": "7a"}, "lineno_", "7a"),
        ({"pathname": 7}, "pathname_", 7),
        ({"func_name": ["f"]}, "func_name", ["f"]),
        ({"stack": ["a", "b"]}, "stack", ["a", "b"]),
        ({"stack_info": {"a": 1}}, "stack_info_", {"a": 1}),
        ({"level": 12}, "level", 12),
        ({"level_number": "high"}, "level_number", "high"),
        ({"exception": [{"exc_type": "E"}]}, "exception", [{"exc_type": "E"}]),
        ({"exc_info": {"a": 1}}, "exc_info_", {"a": 1}),
        ({"exc_info": "text"}, "exc_info_", "text"),
        ({"exc_info": (1, 2, 3)}, "exc_info_", [1, 2, 3]),
        ({"args": 1, "args_": 2}, "args__", 1),
        ({"created": "today"}, "created_", "today"),
    ],
    ids=str,
)
def test_a_key_that_is_not_what_structlog_means_by_it_is_a_field(
    log: Any, output: TestOutput, event: dict[str, Any], field: str, value: Any
) -> None:
    """No key is lost, and nothing is raised; the record says what it says without it."""
    log.warning("said", **event)
    log.warning("said")
    found, other = output.messages
    assert found["extra"][field] == value
    for name in ("level", "level_number", "process", "process_id", "thread", "thread_id", "file", "function"):
        assert found[name] == other[name]


def test_a_traceback_that_is_a_text_is_kept(log: Any, output: TestOutput) -> None:
    """`exception` and `stack`, by whoever they were made."""
    log.error("said", exception="Traceback of it", stack="Stack of it")
    (record,) = output.messages
    assert (record["exception"], record["stack"]) == ({"traceback": "Traceback of it"}, "Stack of it")


def test_a_stack_that_nobody_has_made_is_made(log: Any, output: TestOutput) -> None:
    """`stack_info=True` without the processor for it."""
    log.info("said", stack_info=True)
    (record,) = output.messages
    assert record["stack"].splitlines()[-1].strip() == 'log.info("said", stack_info=True)'


def test_an_asynchronous_method_is_called_where_it_is_called(output: TestOutput) -> None:
    """Not in the pool's thread in which structlog runs the processors; its exception and span are its own."""
    structlog.configure(
        processors=[SendTo(MessagePassingHandler(output))],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )

    async def main() -> None:
        log = structlog.get_logger()
        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))):
            await log.ainfo("said")
        try:
            int("no such thing")
        except ValueError:
            await log.aexception("failed")

    asyncio.run(main())
    for record in output.messages:
        assert (record["file"], record["function"], record["thread"]) == (__file__, "main", "MainThread")
    assert output.messages[0]["span_id"] == f"{2:016x}"
    assert output.messages[1]["exception"]["type"] == "ValueError"


@pytest.mark.parametrize("how", ["rendered", "left"])
def test_events_by_way_of_logging(output: TestOutput, how: str) -> None:
    """`wrap_for_formatter` makes a dict the message: its text, fields, exception and stack are found in it."""
    said: list[Any] = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name]
    if how == "rendered":
        said += [structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*said, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logger = logging.getLogger("by.way.of")
    handler = MessagePassingHandler(output)
    logger.addHandler(handler)
    try:
        try:
            int("no such thing")
        except ValueError:
            structlog.get_logger("by.way.of").error("failed", order=12, exc_info=True, stack_info=True)
    finally:
        logger.removeHandler(handler)
    (record,) = output.messages
    assert (record["message"], record["level"], record["logger"]) == ("failed", "ERROR", "by.way.of")
    assert record["extra"] == ({"order": 12} if how == "rendered" else {"order": 12, "stack_info_": True})
    assert "no such thing" in record["exception"]["traceback"]
    assert ("stack" in record) is (how == "rendered")


def test_the_handlers_level_counts(output: TestOutput) -> None:
    """What is below it is not sent."""
    structlog.configure(processors=[SendTo(MessagePassingHandler(output, logging.WARNING))])
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [record["message"] for record in output.messages] == ["loud"]


def test_the_factory_names_loggers_and_takes_dicts(output: TestOutput) -> None:
    """A last processor that makes no text leaves the keys to the logger."""
    keep: Any = lambda _logger, _method, event: event  # noqa: E731 - the shortest processor there is
    factory = LoggerFactory(MessagePassingHandler(output))
    structlog.configure(processors=[keep], logger_factory=factory)
    structlog.get_logger("shop.orders").warning("late", order=12)
    structlog.get_logger().info("unnamed")
    late, unnamed = output.messages
    assert (late["logger"], late["level"], late["extra"]) == ("shop.orders", "WARNING", {"order": 12})
    assert unnamed["logger"] == "structlog"


def test_a_logger_has_no_other_methods(output: TestOutput) -> None:
    """A misspelt level is a mistake, as with every other logger."""
    with pytest.raises(AttributeError, match="wran"):
        LoggerFactory(MessagePassingHandler(output))().wran("late")


def test_without_structlog_the_import_says_what_to_install() -> None:
    """And the handlers work without it."""
    program = (
        "import sys; sys.modules['structlog'] = None\n"
        "import message_passing.logging\n"
        "import message_passing.logging.structlog\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'message-passing[structlog]'" in done.stderr
