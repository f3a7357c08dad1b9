"""Sending batches, with or without holding the GIL.

pyzmq releases the GIL around every zmq_send. In a program whose threads are busy, each release can cost the
sender a wait for its turn (up to sys.getswitchinterval(), 5 ms), for a call that takes less than a
microsecond and, with ZMQ_DONTWAIT, cannot block. Measured with two busy threads: 70 us a message released,
0.75 us held. So only the log handler keeps it, which runs among other threads and meanwhile holds a lock that they
may need.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Protocol

import zmq

_NOBLOCK = int(zmq.NOBLOCK)


def _find() -> Any:
    """The zmq_send of the libzmq that the loaded pyzmq uses; None where it cannot be reached this way."""
    try:
        from zmq.backend.cython import _zmq  # noqa: PLC0415 - another backend has no such module

        library = ctypes.PyDLL(_zmq.__file__)
        functions = library.zmq_send, library.zmq_errno
    except (ImportError, OSError, AttributeError):
        return None
    # No argtypes: checking against them would take as long as the call. Bytes become a pointer to them, a
    # c_void_p stays one, and numbers are passed as int, which a message of less than 2 GiB fits.
    return functions


_found = _find()


class Tally(Protocol):
    """Where the number of sent messages is added, even when a signal handler raises in the middle."""

    sent: int


Send = Callable[[Sequence[bytes], Tally], None]


def gil_holding_send(socket: zmq.Socket[bytes]) -> Send:
    """Return a function that sends messages until one cannot be sent, and counts those sent.

    It raises `zmq.ZMQError`, as `socket.send` does, if the first one fails for another reason than a full pipe.
    With the socket closed it must not be called.
    """
    if _found is None:
        return releasing_send(socket)
    zmq_send, zmq_errno = _found
    address = ctypes.c_void_p(socket.underlying)

    def send(messages: Sequence[bytes], tally: Tally) -> None:
        done = 0
        try:
            while rest := messages[done:]:
                for sent in map(zmq_send, repeat(address), rest, map(len, rest), repeat(_NOBLOCK)):
                    if sent < 0:
                        break
                    done += 1
                else:
                    break
                number = zmq_errno()
                if number == zmq.EAGAIN or (done and number != errno.EINTR):
                    break
                if number != errno.EINTR:  # interrupted by a signal: try again
                    raise zmq.ZMQError(number)
        finally:
            tally.sent += done

    return send


def releasing_send(socket: zmq.Socket[bytes]) -> Send:
    """The same with pyzmq's own call, for callers that do not keep others waiting."""
    # zmq.Socket.send in Python adds nothing for bytes but half of its time: this is what it calls.
    send_one = super(zmq.Socket, socket).send

    def send(messages: Sequence[bytes], tally: Tally) -> None:
        done = 0
        try:
            for _ in map(send_one, messages, repeat(_NOBLOCK)):
                done += 1
        except zmq.Again:
            pass
        except zmq.ZMQError:
            if not done:
                raise
        finally:
            tally.sent += done

    return send
