"""The handler's options are checked where they are given, whatever they come from."""

from __future__ import annotations

import inspect
import logging
import logging.config
from contextvars import ContextVar
from typing import Any

import pytest

from arrivals import Arrivals
from message_passing.errors import OptionError
from message_passing.logging import ZeroMQHandler
from message_passing.logging.settings import HandlerOptions
from message_passing.options import declared
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import wait_for
from message_passing.zeromq.connection_options import ConnectionOptions

SOMEWHERE = "tcp://127.0.0.1:5558"

REQUEST: ContextVar[str] = ContextVar("request")

CANNOT_BE: dict[str, list[Any]] = {
    "linger": [0.5, -1, "-1", "0.5", "soon", None, [], True, 1 << 31, float("nan")],
    "socket_hwm": [2.5, -1, "many", None, {}, 1 << 40, b"5", float("inf")],
    "queue_bytes": [2.5, -1, "64 MiB", None, True],
    "largest": [0, -1, "x", None, 1.5],
    "report_interval": [-1, "often", float("nan"), [], True],
    "identity": ["perhaps", 2, None, [], 0.5],
    "template": ["perhaps", 2, None],
    "context": [["request_id"], "x", None, 5, {"request": 1}, [REQUEST, "x"], REQUEST],
    "service": [5, None, ["x"], b"x"],
    "policy": ["drop_oldst", None, 5, []],
    "fields": ["ECS", None, 5, {}, ""],
    "socket_type": ["SUB", "pub", None, 1],
    "level": ["WARNIG", "", None, 2.5, [], "-5", "\N{SUPERSCRIPT TWO}"],
    "connect": [[5558], ["nowhere"], 5558, b"tcp://127.0.0.1:1", {}, SOMEWHERE[6:], None],
    "socket_bind": [5558, [5]],
    "tcp_maxrt": [-1, "soon", None, 1 << 31],
    "heartbeat_ivl": [-1, 0.5, 1 << 31],
    "heartbeat_timeout": [0, None],
    "handshake_ivl": [-1, []],
    "maxmsgsize": [-2, "many", 1 << 63],
    "allow": ["10.0.0.7", ["nowhere"], []],
    "plain_password": [5, b"secret", "", None],
    "curve_secret_key": ["", None, 5],
}

WRONG = [(name, value) for name, values in CANNOT_BE.items() for value in values]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value!r:.30}" for name, value in WRONG])
def test_what_it_cannot_be_is_refused(name: str, value: Any) -> None:
    """With the option's name or what was found, and nothing is opened or left behind."""
    before = logging._handlerList[:]  # type: ignore[attr-defined]  # others in it may end at any time
    with pytest.raises(OptionError) as caught:
        ZeroMQHandler(**{"connect": SOMEWHERE, name: value})
    assert str(caught.value).startswith("ZeroMQHandler: ")
    assert f"option {name!r}" in str(caught.value) or repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [one for one in logging._handlerList if one not in before] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"linger": "500", "socket_hwm": "100", "largest": "10"},
            {"linger": 500, "socket_hwm": 100, "largest": 10},
        ),
        ({"identity": "false", "template": "true"}, {"identity": False, "template": True}),
        ({"identity": 0, "template": "1"}, {"identity": False, "template": True}),
        ({"report_interval": "1.5"}, {"report_interval": 1.5}),
        ({"report_interval": None}, {"report_interval": None}),
        ({"linger": 500.0}, {"linger": 500}),
        ({"level": "20"}, {"level": 20}),
        ({"context": (REQUEST,)}, {"context": (REQUEST,)}),
    ],
)
def test_what_an_environment_or_yaml_gives_is_understood(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Numbers and truth written as text, as in every component's options."""
    options = HandlerOptions({"connect": SOMEWHERE, **given})
    assert {name: getattr(options, name) for name in expected} == expected
    ZeroMQHandler(SOMEWHERE, **given).close()


def test_all_mistakes_together_with_what_may_have_been_meant() -> None:
    """Each once."""
    with pytest.raises(OptionError) as caught:
        ZeroMQHandler("nowhere", policy="drop_oldst", fields="eccs", linger="x", level="INF0")  # type: ignore[arg-type]
    texts = [str(fault) for fault in caught.value.faults]
    assert len(texts) == 5
    assert sum("did you mean" in text for text in texts) == 3


def test_the_constructor_shows_what_is_declared() -> None:
    """To people and tools, with types and defaults; and no message shows what may be a secret."""
    shown = inspect.signature(ZeroMQHandler).parameters
    assert list(shown) == list(declared(HandlerOptions))
    assert shown["connect"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert shown["linger"].kind is inspect.Parameter.KEYWORD_ONLY
    assert (shown["linger"].default, shown["policy"].default) == (1000, "drop_newest")
    with pytest.raises(OptionError) as caught:
        ZeroMQHandler(SOMEWHERE, curve_server_key=SOMEWHERE, curve_secret_key=b"mine alone")  # type: ignore[arg-type]
    assert "mine alone" not in str(caught.value)
    assert "not of type bytes" in str(caught.value)


def test_an_option_that_there_is_not() -> None:
    """With the one that may have been meant."""
    with pytest.raises(OptionError, match=r"ZeroMQHandler has no option 'lingr' \(did you mean 'linger'\?\)"):
        ZeroMQHandler(SOMEWHERE, lingr=5)  # type: ignore[call-arg]


SHARED = [name for name in declared(ConnectionOptions) if name not in ("connect", "socket_bind")]


@pytest.mark.parametrize("name", SHARED)
def test_options_of_connections_are_those_of_components(name: str) -> None:
    """What a component takes the handler takes, with the same type, bounds and default."""
    ours, theirs = declared(HandlerOptions)[name], declared(ZeroMQOutput)[name]
    assert (ours.type, ours.default, ours.secret) == (theirs.type, theirs.default, theirs.secret)


def test_limits_reach_the_socket() -> None:
    """As they do from a component's options."""
    given: Any = {"tcp_maxrt": 5000, "heartbeat_ivl": 2000, "heartbeat_timeout": 4000, "handshake_ivl": 3000}
    with Arrivals() as arrivals:
        handler = ZeroMQHandler(arrivals.endpoint, **given)
        try:
            handler.handle(logging.makeLogRecord({"msg": "x"}))
            wait_for(lambda: handler.stats()["sent"] == 1)
            delivery = handler._shipper.worker.transmitter
            assert delivery
            assert delivery.socket.sender
            socket = delivery.socket.sender.outgoing.socket
            assert (socket.tcp_maxrt, socket.handshake_ivl) == (5000, 3000)
        finally:
            handler.close()


def test_values_that_a_dict_config_resolves() -> None:
    """Also within a list: `ext://` names context variables, which no file can spell."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with Arrivals() as arrivals:
        ours = {
            "class": "message_passing.logging.ZeroMQHandler",
            "connect": arrivals.endpoint,
            "context": [f"ext://{__name__}.REQUEST"],
            "linger": "500",
        }
        try:
            REQUEST.set("r1")
            logging.config.dictConfig(
                {
                    "version": 1,
                    "disable_existing_loggers": False,
                    "handlers": {"ours": ours},
                    "root": {"handlers": ["ours"]},
                }
            )
            logging.getLogger("some").warning("x")
            (found,) = arrivals.wait_for(lambda record: record["message"] == "x")
            assert found["context"] == {"request": "r1"}
        finally:
            for handler in root.handlers:
                handler.close()
            root.handlers, root.level = handlers, level
