"""From settings to a socket: nothing is left behind where none can be made."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.zeromq.access_control import AccessControl
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.throttled_warnings import ThrottledWarnings
from message_passing.zeromq.zap import ZapHandler

if TYPE_CHECKING:
    from collections.abc import Callable

SOME = SocketSettings("PUSH", connect=("tcp://127.0.0.1:9",))

TWO_ARE_TOO_MANY = """
import zmq
from message_passing.errors import OpenError
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket
zmq.Context.instance().max_sockets = 1
first = OpenSocket(SocketSettings("PUSH", bind=("inproc://first",)))
try:
    OpenSocket(SocketSettings("PUSH", bind=("inproc://second",)))
except OpenError as error:
    print(error)
first.attach()
first.close(0)
"""


def crowded(context: zmq.Context[Any]) -> zmq.Socket[bytes]:
    """A builder that makes one socket more than its context has room for."""
    context.max_sockets = 1
    first: zmq.Socket[bytes] = context.socket(zmq.PUSH)
    second: zmq.Socket[bytes] = context.socket(zmq.PUSH)
    first.linger = second.linger = 0
    return second


def clumsy(context: zmq.Context[Any]) -> zmq.Socket[bytes]:
    """A builder with a fault, after it has made its socket."""
    made: zmq.Socket[bytes] = context.socket(zmq.PUSH)
    made.connect("tcp//nonsense")
    return made


@pytest.mark.parametrize(("builder", "number"), [(crowded, errno.EMFILE), (clumsy, errno.EINVAL)])
def test_a_socket_that_cannot_be_built(
    builder: Callable[[zmq.Context[Any]], zmq.Socket[bytes]], number: int
) -> None:
    """What the builder raised is raised, and nothing stays open: neither its sockets nor their context."""
    gc.collect()  # what other tests left open
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - numbers only
    settings = SocketSettings("PUSH", connect=SOME.connect, builder=builder)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(zmq.ZMQError) as raised:
            OpenSocket(settings)
        assert raised.value.errno == number
        del raised
        gc.collect()
    assert [str(one.message) for one in told] == []
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208 - numbers only


def test_a_context_without_room_for_a_socket() -> None:
    """The one that the process's sockets share: it is told in words, and the others in it live."""
    words = [sys.executable, "-W", "error", "-c", TWO_ARE_TOO_MANY]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "cannot create a socket: Too many open files\n"


def test_a_zap_handler_without_room_for_its_sockets() -> None:
    """Those that it has made are closed, so that the context can be ended."""
    context: zmq.Context[Any] = zmq.Context()
    context.max_sockets = 2
    with pytest.raises(zmq.ZMQError, match="Too many open files"):
        ZapHandler(context, AccessControl(), ThrottledWarnings(), lambda: ((), ()))
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
