"""The handler in one process: its options, what it takes of a record, and that its numbers add up."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from arrivals import Arrivals
from logs import logger_with
from message_passing.errors import OptionError
from message_passing.logging import ZeroMQHandler
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOMEWHERE = "tcp://127.0.0.1:5558"

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no endpoint": ({}, "one of connect and socket_bind is needed"),
    "two endpoints": (
        {"connect": SOMEWHERE, "socket_bind": SOMEWHERE},
        "connect and socket_bind exclude each other",
    ),
    "malformed": ({"connect": "logs.example:5558"}, "logs.example:5558"),
    "policy": ({"connect": SOMEWHERE, "policy": "drop_oldst"}, "did you mean 'drop_oldest'?"),
    "fields": (
        {"connect": SOMEWHERE, "fields": "ECS"},
        "option 'fields' must be a function or one of default, ecs",
    ),
    "socket type": (
        {"connect": SOMEWHERE, "socket_type": "SUB"},
        "option 'socket_type' must be 'PUB' or 'PUSH' or 'DEALER', not 'SUB'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused_where_they_are_given(name: str) -> None:
    """With what was found and what is allowed."""
    options, text = WRONG[name]
    with pytest.raises(OptionError) as caught:
        ZeroMQHandler(**options)
    assert text in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    """Not one at a time."""
    with pytest.raises(OptionError) as caught:
        ZeroMQHandler("nowhere", policy="none", fields="all")  # type: ignore[arg-type]
    assert str(caught.value).count("ZeroMQHandler:") == 3


def one(log: Callable[[logging.Logger], object], **options: Any) -> dict[str, Any]:
    """What a handler with these options sends for one log call."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, **options) as (logger, _):
        log(logger)
        wait_for(lambda: len(arrivals.records) == 1)
        return arrivals.records[0]


def test_the_default_fields() -> None:
    """Every one of them, for a plain record."""
    found = one(lambda logger: logger.warning("hello %s", "world"), service="shop")
    fixed = {"level": "WARNING", "level_number": 30, "logger": "tested", "message": "hello world"}
    assert found | fixed == found
    assert found["service"] == "shop"
    assert found["file"] == __file__
    assert found["function"] == "<lambda>"
    assert found["line"] > 1
    assert found["thread"] == "MainThread"
    assert found["process"] == "MainProcess"
    assert found["time"].endswith("Z")
    expected = {"time", "file", "line", "function", "thread", "thread_id", "process", "process_id", "host"}
    assert found.keys() == expected | fixed.keys() | {"service", "sender", "sequence"}


def test_a_lone_extra_is_not_lost() -> None:
    """Whatever number of attributes a record of this Python has."""
    found = one(lambda logger: logger.info("x", extra={"user": {"id": 7}}))
    assert found["extra"] == {"user": {"id": 7}}


def test_an_argument_that_changes_afterwards() -> None:
    """It is sent as it was when it was logged, in the message and in what is added."""
    values = [1]

    def log(logger: logging.Logger) -> None:
        logger.info("%s", values, extra={"values": values})
        values.append(2)

    found = one(log, template=True)
    assert (found["message"], found["extra"], found["args"]) == ("[1]", {"values": [1]}, [[1]])
    assert found["template"] == "%s"


def test_arguments_by_name() -> None:
    """A mapping stays one."""
    found = one(lambda logger: logger.info("%(a)s", {"a": 1}), template=True)
    assert (found["template"], found["args"], found["message"]) == ("%(a)s", {"a": 1}, "1")


def test_an_exception_with_its_causes() -> None:
    """Type, message, traceback text, and what caused it."""

    def log(logger: logging.Logger) -> None:
        try:
            try:
                {}["inner"]  # type: ignore[index]
            except KeyError as error:
                raise ValueError("outer") from error
        except ValueError:
            logger.exception("failed")

    found = one(log)["exception"]
    assert (found["type"], found["message"]) == ("ValueError", "outer")
    assert found["causes"] == [{"type": "KeyError", "message": "'inner'"}]
    assert found["traceback"].startswith("Traceback")
    assert found["traceback"].endswith("ValueError: outer\n")


def test_a_stack() -> None:
    """Where somebody asks for it."""
    assert "test_a_stack" in one(lambda logger: logger.info("x", stack_info=True))["stack"]


def test_context_variables() -> None:
    """As they are where the call is made; one without a value is left out."""
    request: ContextVar[str] = ContextVar("request")
    unset: ContextVar[str] = ContextVar("unset")
    request.set("r1")
    assert one(lambda logger: logger.info("x"), context=[request, unset])["context"] == {"request": "r1"}


def test_a_context_variables_default_is_its_value() -> None:
    """As for everybody who asks for it."""
    request: ContextVar[str] = ContextVar("request", default="-")
    assert one(lambda logger: logger.info("x"), context=[request])["context"] == {"request": "-"}


def test_the_task_that_logs() -> None:
    """Its name, though records of Python 3.11 have none; without a task there is none."""

    def log(logger: logging.Logger) -> None:
        async def work() -> None:
            logger.info("x")

        async def main() -> None:
            await asyncio.create_task(work(), name="worker 1")

        asyncio.run(main())

    assert one(log)["task"] == "worker 1"
    assert "task" not in one(lambda logger: logger.info("x"))


def test_levels_and_filters() -> None:
    """As with every handler; a filter may say no."""
    with Arrivals() as arrivals, logger_with(arrivals.endpoint, level="WARNING") as (logger, handler):
        handler.addFilter(lambda record: "secret" not in record.getMessage())
        logger.info("too low")
        logger.warning("secret")
        logger.warning("passes")
        wait_for(lambda: len(arrivals.records) == 1)
        assert (arrivals.records[0]["message"], arrivals.records[0]["sequence"]) == ("passes", 1)
        assert handler.stats() == {"sent": 1, "queued": 0, "dropped": {}, "failed": 0}


def test_a_function_for_the_fields_sees_plain_values() -> None:
    """And says what is sent."""
    found = one(
        lambda logger: logger.info("x", extra={"user": {"id": [7]}}),
        fields=lambda record: {"id": record["extra"]["user"]["id"][0]},
    )
    assert found == {"id": 7}


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Put the root logger back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("_as_before")
def test_dict_config_by_string() -> None:
    """Options beside the class."""
    with Arrivals() as arrivals:
        ours = {
            "class": "message_passing.logging.ZeroMQHandler",
            "connect": arrivals.endpoint,
            "service": "s",
        }
        root = {"handlers": ["ours"], "level": "INFO"}
        settings = {"version": 1, "handlers": {"ours": ours}, "root": root, "disable_existing_loggers": False}
        logging.config.dictConfig(settings)
        logging.getLogger("some").info("configured")
        (found,) = arrivals.wait_for(lambda record: record["message"] == "configured")
        assert found["service"] == "s"


@pytest.mark.usefixtures("_as_before")
def test_file_config_by_string(tmp_path: Path) -> None:
    """Arguments in order."""
    with Arrivals() as arrivals:
        text = "[loggers]\nkeys=root\n[handlers]\nkeys=ours\n[formatters]\nkeys=\n[logger_root]\nlevel=INFO\n"
        text += "handlers=ours\n[handler_ours]\nclass=message_passing.logging.ZeroMQHandler\n"
        file = tmp_path / "logging.ini"
        file.write_text(text + f"args=({json.dumps(arrivals.endpoint)},)\n")
        logging.config.fileConfig(file, disable_existing_loggers=False)
        logging.getLogger("some").info("configured")
        arrivals.wait_for(lambda record: record["message"] == "configured")


@pytest.mark.parametrize("name", ["curve_server_key", "curve_secret_key", "curve_allowed_keys"])
@pytest.mark.parametrize("given", [["x"], [None], {"a": 1}, 7, b"x", "a\0b", "", None, []])
def test_a_key_that_is_no_text_is_refused(name: str, given: Any) -> None:
    """Where it is given, and without showing it: it may be a secret."""
    with pytest.raises(OptionError, match=f"option '{name}' (must be|contains a null|is empty)") as caught:
        ZeroMQHandler("tcp://127.0.0.1:9", **{name: given})
    assert "a\\x00b" not in str(caught.value)
