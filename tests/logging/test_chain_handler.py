"""Records given to any component, and to what only has `consume`."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from message_passing.codecs.json import JSONEncoder
from message_passing.errors import OptionError
from message_passing.logging import MessagePassingHandler
from support import Kept


def logger_to(output: Any) -> logging.Logger:
    """A logger of its own."""
    logger = logging.Logger("forwarded")  # noqa: LOG001 - nobody else's
    logger.addHandler(MessagePassingHandler(output, service="shop"))
    return logger


def test_each_record_becomes_one_message() -> None:
    """A dict, with extras as objects, which filters can look into."""
    output = Kept()
    logger_to(output).warning("hello %s", "world", extra={"user": {"id": 7}})
    (found,) = output.messages
    assert (found["message"], found["level"], found["service"]) == ("hello world", "WARNING", "shop")
    assert found["extra"] == {"user": {"id": 7}}


def test_through_an_encoder() -> None:
    """As JSON."""
    output = Kept()
    logger_to(JSONEncoder(output_to=output)).error("x", extra={"user": {"id": 7}})
    assert b'"user":{"id":7}' in output.messages[0]


def test_what_cannot_consume_is_refused() -> None:
    """Where it is given."""
    with pytest.raises(TypeError, match="must have a consume method"):
        MessagePassingHandler(object())


def test_an_output_that_fails_is_told_in_loggings_own_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, unless logging.raiseExceptions is off; never to the caller."""

    class Failing:
        def consume(self, message: Any) -> None:
            """Fail."""
            raise OSError("disk is full")

    logger = logger_to(Failing())
    logger.error("x")
    assert "disk is full" in capsys.readouterr().err
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.error("x")
    assert capsys.readouterr().err == ""


def test_other_fields() -> None:
    """A field set by its name, or a function; what is neither is refused."""
    for fields, wanted in (("logstash", "logger_name"), (lambda found: {"said": found["message"]}, "said")):
        output = Kept()
        logger = logging.Logger("forwarded")  # noqa: LOG001 - nobody else's
        logger.addHandler(MessagePassingHandler(output, fields=fields))  # type: ignore[arg-type]
        logger.warning("hello", extra={"host": {"a": 1}})
        assert wanted in output.messages[0]
        if wanted == "logger_name":
            assert output.messages[0]["host_"] == {"a": 1}
    with pytest.raises(OptionError, match="did you mean 'logstash'"):
        MessagePassingHandler(Kept(), fields="logstahs")  # type: ignore[arg-type]


def test_an_output_that_logs_is_not_given_that(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be given records without end; it is reported as logging does, once for each."""

    class Talkative(Kept):
        """Logs what it does."""

        def write_many(self, messages: list[Any]) -> None:
            super().write_many(messages)
            logger.error("in the output")

    output = Talkative()
    logger = logger_to(output)
    for number in range(3):
        logger.error("%d", number)
    assert [message["message"] for message in output.messages] == ["0", "1", "2"]
    assert capsys.readouterr().err.count("the output logged this") == 3


def test_a_function_for_the_fields_that_logs() -> None:
    """What it logs itself has the default fields."""
    output = Kept()

    def fields(found: dict[str, Any]) -> dict[str, Any]:
        logger.error("in it")
        return {"short": found["message"]}

    logger = logging.Logger("forwarded")  # noqa: LOG001 - nobody else's
    logger.addHandler(MessagePassingHandler(output, fields=fields))
    logger.error("x")
    assert [message.get("short") or message["message"] for message in output.messages] == ["in it", "x"]


def test_a_function_for_the_fields_must_return_a_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is given to the output otherwise."""
    output, wrong = Kept(), [None, "x", ["x"]]
    logger = logging.Logger("forwarded")  # noqa: LOG001 - nobody else's
    for value in wrong:
        logger.handlers = [MessagePassingHandler(output, fields=lambda _, value=value: value)]  # type: ignore[misc]
        logger.error("x")
    assert output.messages == []
    errors = capsys.readouterr().err
    assert errors.count("\nTypeError: the function for the fields must return a dict, not ") == 3
