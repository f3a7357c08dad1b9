"""What an endpoint may look like."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import zmq

from message_passing.errors import OptionError
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.zeromq.endpoints import (
    check_endpoint,
    refusal,
    repeated_endpoints,
    unknown_hosts,
    wants_ipv6,
)

GOOD_TO_CONNECT = [
    "tcp://127.0.0.1:5558",
    "tcp://logs.example.org:5558",
    "tcp://[::1]:5558",
    "tcp://10.0.0.1:0;10.0.0.2:5558",
    "ipc:///run/logs.sock",
    "ipc://@abstract",
    "inproc://name",
]
GOOD_TO_BIND = ["tcp://*:5558", "tcp://*:*", "tcp://127.0.0.1:0", "tcp://eth0:5558", "tcp://[::]:5558"]
BAD = [
    ("tcp//host:1", False, "is not an endpoint"),
    ("", False, "is not an endpoint"),
    ("tcp://", False, "is not an endpoint"),
    ("tpc://host:1", False, "did you mean 'tcp'"),
    ("udp://host:1", False, "there are tcp, ipc, inproc"),
    ("tcp://host", False, "needs a host and a port"),
    ("tcp://host:", True, "needs a host and a port"),
    ("tcp://host:port", True, "needs a host and a port"),
    ("tcp://*:5558", False, "only for socket_bind"),
    ("tcp://host:*", False, "only for socket_bind"),
    ("tcp://*:65536", True, "up to 65535"),
]


@pytest.mark.parametrize("endpoint", GOOD_TO_CONNECT)
def test_good_endpoints_to_connect_to(endpoint: str) -> None:
    """Endpoints of every transport are accepted."""
    assert check_endpoint(endpoint, binds=False) == ""


@pytest.mark.parametrize("endpoint", GOOD_TO_BIND)
def test_good_endpoints_to_bind(endpoint: str) -> None:
    """Wildcards, interfaces and IPv6 addresses may be bound."""
    assert check_endpoint(endpoint, binds=True) == ""


@pytest.mark.parametrize(("endpoint", "binds", "text"), BAD)
def test_bad_endpoints_say_what_is_wrong(endpoint: str, binds: bool, text: str) -> None:
    """A malformed endpoint is named, with what would be right."""
    complaint = check_endpoint(endpoint, binds=binds)
    assert text in complaint
    assert repr(endpoint) in complaint


def test_ipv6_is_asked_for_only_where_it_is_written() -> None:
    """An address in brackets needs ZMQ_IPV6, a host name does not."""
    assert wants_ipv6(("tcp://127.0.0.1:1", "tcp://[::1]:1"))
    assert not wants_ipv6(("tcp://localhost:1", "ipc:///tmp/[x]"))


def test_only_hosts_that_do_not_exist_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows a name is not to be had gives a fault, one that fails for now gives none."""

    def resolver(host: str, *_: Any) -> list[Any]:
        numbers = {"gone.example": socket.EAI_NONAME, "later.example": socket.EAI_AGAIN}
        if host in numbers:
            raise socket.gaierror(numbers[host], "as the test says")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    endpoints = (
        "tcp://gone.example:1",
        "tcp://later.example:1",
        "tcp://there.example:1",
        "ipc:///x",
        "tcp://[::1]:1",
    )
    assert [str(fault) for fault in unknown_hosts(endpoints)] == [
        "tcp://gone.example:1: unknown host 'gone.example'"
    ]


def test_a_host_name_with_impossible_labels_is_a_fault() -> None:
    """What cannot be a host name at all is told, not raised."""
    (fault,) = unknown_hosts((f"tcp://{'x' * 70}.example:1",))
    assert "is not a host name" in fault.text or "unknown host" in fault.text


def test_a_refusal_that_is_not_in_the_table_has_the_system_s_words() -> None:
    """Any errno of ZeroMQ's or the system's gives a text."""
    assert refusal(zmq.ZMQError(zmq.ETERM)) == zmq.strerror(zmq.ETERM)


SAME = [
    ("tcp://127.0.0.1:5558", "tcp://127.0.0.1:5558"),
    ("tcp://127.0.0.1:5558", "tcp://127.0.0.1:05558"),
    ("tcp://Logs.Example:5558", "tcp://logs.example.:5558"),
    ("tcp://[::1]:5558", "tcp://[0:0:0:0:0:0:0:1]:5558"),
    ("ipc:///run/logs.sock", "ipc:///run//logs.sock"),
    ("ipc://@logs", "ipc://@logs"),
    ("inproc://logs", "inproc://logs"),
]
DIFFERENT = [
    ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
    ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
    ("tcp://127.0.0.1:5558", "tcp://127.0.0.1:5559"),
    ("tcp://127.0.0.1:5558", "tcp://127.0.0.2:5558"),
    ("tcp://10.0.0.1:0;10.0.0.9:5558", "tcp://10.0.0.2:0;10.0.0.9:5558"),
    ("ipc://@logs", "ipc://@Logs"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
@pytest.mark.parametrize("make", [ZeroMQHandler, ZeroMQInput, ZeroMQOutput])
@pytest.mark.parametrize("side", ["connect", "socket_bind"])
def test_the_same_endpoint_twice_is_refused(make: Any, side: str, one: str, other: str) -> None:
    """However it is written, by the handler, the input and the output: a receiver would get everything twice."""
    with pytest.raises(OptionError) as caught:
        make(**{side: [one, other]})
    assert [f"option {side!r}: {other!r} is" in str(fault) for fault in caught.value.faults] == [True]
    assert "give each endpoint once" in str(caught.value)


@pytest.mark.parametrize("endpoints", DIFFERENT)
def test_different_endpoints_are_none_twice(endpoints: tuple[str, str]) -> None:
    """A port that the system chooses is another one each time, and other ports, hosts and ways out are others."""
    assert repeated_endpoints(endpoints) == []


def test_an_endpoint_that_is_given_three_times_is_reported_once() -> None:
    """One sentence for each way in which it is written."""
    assert len(repeated_endpoints(("tcp://h:1", "tcp://h:1", "tcp://h:1", "tcp://H:1"))) == 2
