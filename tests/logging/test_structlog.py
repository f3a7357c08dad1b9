"""From structlog's events to records: levels, names, exceptions, and keys that a record has itself."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog

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
