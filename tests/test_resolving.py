"""What can never be the name of a host, in every place where one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commands import finished
from message_passing.console.listening import http_address
from message_passing.errors import OptionError
from message_passing.inputs.socket_udp import SocketUDPInput
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.socket_udp import SocketUDPOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.resolving import wrong_host

if TYPE_CHECKING:
    from collections.abc import Callable

MAY_BE = [
    "localhost", "a", "web-1", "db_1.internal", "logs.example.", "xn--gr-xka.example", "größe.example",
    "127.0.0.1", "127.1", "10.5", "123456789012", "::1", "fe80::1%eth0", "a" * 63 + ".example", "3com.example",
]  # fmt: skip

NEVER = [
    ("local host", "' '"), ("a\tb", r"'\t'"), ("a\0b", r"'\x00'"), ("tcp://x", "':'"), ("x/y", "'/'"),
    ("user@x", "'@'"), ("::1:5601:", "':'"), ("1.2.3.4:5", "':'"), ("[::1]", "without brackets here, ::1"),
    ("[x]", "'['"), ("*", "with IPv6"), ("*.example", "'*'"), ("a..b", "empty"), (".", "empty"), (".a", "empty"),
    ("a" * 64, "63 in a part"), ("a." * 127 + "bc", "253 characters"), ("999.0.0.1", "four numbers"),
    ("1.2.3.4.5", "four numbers"), ("host.5", "four numbers"), ("%h", "'%'"), ("$HOST,x", "','"),
    ("x ", "' '"), ("", "empty"), ("x\u200b", "200b"),
]  # fmt: skip


@pytest.mark.parametrize("host", MAY_BE)
def test_what_may_be_one(host: str) -> None:
    """A name may come later, as at boot: nobody is refused for a name that is not known."""
    assert wrong_host(host) == ""


@pytest.mark.parametrize(("host", "why"), NEVER)
def test_what_can_never_be_one(host: str, why: str) -> None:
    """Waiting for it would be waiting for ever, so it is an error, and says what is wrong."""
    assert "is not a host: " in wrong_host(host)
    assert why in wrong_host(host)


@pytest.mark.parametrize(
    "given",
    [
        lambda host: SocketUDPInput(hostname=host, port=5140),
        lambda host: SocketUDPOutput(hostname=host, port=5140),
        lambda host: ZeroMQOutput(connect=f"tcp://{host}:5558"),
        lambda host: ZeroMQOutput(connect=["tcp://127.0.0.1:5558", f"tcp://127.0.0.1;{host}:5558"]),
        lambda host: ZeroMQHandler(connect=f"tcp://{host}:5558"),
        lambda host: http_address(f"{host}:9090"),
    ],
)
@pytest.mark.parametrize("host", ["999.0.0.1", "a..b", "a" * 64])
def test_wherever_one_is_given(given: Callable[[str], object], host: str) -> None:
    """Components, the log handler and the console refuse it, before anything is opened."""
    with pytest.raises(OptionError, match="is not a host: "):
        given(host)


def test_the_command_ends() -> None:
    """With status 2, since no later start would help."""
    options = '{"hostname": "[::1]", "port": 5140}'
    done = finished("--input", "Socket::UDP", "--input_options", options, "--output", "Null")
    assert done.status == 2
    assert "'[::1]' is not a host: write the address without brackets here, ::1" in done.err
