"""Sending without letting go of Python's lock.

pyzmq releases the GIL around every zmq_send. In a program whose threads are busy, each release can cost the
sender a wait for its turn (up to sys.getswitchinterval(), 5 ms), for a call that takes less than a
microsecond and, with ZMQ_DONTWAIT, cannot block. Measured with two busy threads: 70 us a message released,
0.75 us held; with none, 0.6 us and 1.1 us. So this is for the log handler,
which lives among other threads and holds a lock meanwhile that they may want.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable


def _find() -> Any:
    """The zmq_send of libzmq, as the pyzmq that is loaded links it; None where it cannot be reached like this."""
    try:
        from zmq.backend.cython import _zmq  # noqa: PLC0415 - another backend has no such module

        library = ctypes.PyDLL(_zmq.__file__)
        function = library.zmq_send
        errno = library.zmq_errno
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function, errno


_found = _find()


def gil_holding_send(socket: zmq.Socket[bytes]) -> Callable[[bytes, int], object]:
    """A function like `socket.send(message, flags)` that keeps the GIL, or that one where there is no way.

    It raises `zmq.Again` and `zmq.ZMQError` as the original does. With the socket closed it must not be called.
    """
    if _found is None:
        return socket.send
    zmq_send, zmq_errno = _found
    address = ctypes.c_void_p(socket.underlying)

    def send(message: bytes, flags: int) -> None:
        if zmq_send(address, message, len(message), flags) < 0:
            number = zmq_errno()
            raise zmq.Again(number) if number == zmq.EAGAIN else zmq.ZMQError(number)

    return send
