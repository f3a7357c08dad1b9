"""Messages from UDP datagrams (Message::Passing::Input::Socket::UDP)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from array import array
from types import MappingProxyType

from message_passing.errors import OpenError
from message_passing.flow import Input
from message_passing.inputs._reading import READ_BATCH, readable
from message_passing.inputs._udp import check_host, format_address, not_known_yet, udp_attempt
from message_passing.options import option

_LARGEST = 65536

_LAST_BATCHES = 100
"""The most waiting datagrams that are still emitted at the end; the rest is counted."""

_LOOK = 0.1
"""Seconds between two checks of whether the name of its host is known."""

_UNREAD_MOST = 10_000_000
"""More cannot wait: `receive_buffer` is bounded, and each datagram uses several hundred bytes of it."""

# Linux, include/uapi/asm-generic/socket.h and linux/sock_diag.h; the socket module has no names for them
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
_MEMINFO_DROPS = 8

_FILTER = struct.Struct("HBBI")  # struct sock_filter of linux/filter.h
_PROGRAM = struct.Struct("HP")  # struct sock_fprog
# BPF_RET | BPF_K: the number of bytes accepted of each datagram; 0 drops it.
_TAKE_NOTHING = 6, 0, 0, 0


class SocketUDPInput(Input):
    """Receives datagrams, each one a message, as bytes.

    Datagrams that the system discards because they arrive faster than they are read are counted as
    dropped (`receive buffer full`; on Linux). A larger `receive_buffer` absorbs longer bursts.

    While the host's name is not known (at boot, before the network is up), that is reported once, and the lookup is
    repeated.

    At the end, up to 100,000 waiting datagrams are still read, and the rest is counted (`unread at close`). What
    arrives between the stop and the end of the process is counted too (`closed`; on Linux). What the system or a
    network card drops before it reaches the socket is not counted here.
    """

    name = "Socket::UDP"
    example = MappingProxyType({"port": 5140})
    privileged = True
    can_wait = False

    hostname: str = option(
        default="localhost", description="Address or host name to bind to: `0.0.0.0` or `::` for all."
    )
    port: int = option(description="Port to bind to; 0 lets the system choose one.", ge=0, le=65535)
    receive_buffer: int = option(
        default=0,
        description="The system's receive buffer, in bytes; 0 for its default.",
        ge=0,
        le=1 << 30,
    )

    def on_init(self) -> None:
        """Prepare; nothing is bound yet.

        Raises:
            OptionError: its host can never be found.
        """
        super().on_init()
        check_host(self.label, self.hostname)
        self._bound: socket.socket | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, once open: the address and the port, even if the system chose it.

        Raises:
            OpenError: the name of its host is not known yet.
        """
        host, port = self._socket.getsockname()[:2]
        return host, port

    def on_open(self) -> None:
        """Bind, or keep looking up a host whose name is not known.

        Raises:
            OpenError: the address is in use, or not allowed, or it cannot be the name of a host.
        """
        self._kernel_drops = 0
        self._reason = "receive buffer full"
        self._trying = udp_attempt(self.hostname, self.port, bind=True)
        if not self._is_bound():
            self.report(
                not_known_yet(self._trying, self.hostname, self.port, "nothing is received until it is known")
            )

    def _is_bound(self) -> bool:
        """Try again to bind; whether it is bound.

        Raises:
            OpenError: the name is known, and the system refuses to bind its address.
        """
        if self._trying.failure:
            raise self._trying.failure
        if self._bound is None and self._trying.result:
            self._bound = self._trying.result
            if self.receive_buffer:
                self._enlarge()
        return self._bound is not None

    @property
    def _socket(self) -> socket.socket:
        if self._bound is None:
            raise OpenError(
                f"UDP {format_address(self.hostname, self.port)}: the host {self.hostname!r} is not known yet"
            )
        return self._bound

    def on_close(self) -> None:
        """Count what is left, and unbind."""
        self._trying.stop()
        if self._bound is None:
            if self._trying.result:
                self._trying.result.close()
            return
        self._take_no_more()
        self._count_unread()
        self._socket.close()

    async def run(self) -> None:
        """Emit what is there at every wake-up; the rest of a flood at the next one, when others have run."""
        while not self._is_bound():  # noqa: ASYNC110 - a thread finds it out
            await asyncio.sleep(_LOOK)
        while True:
            await readable(self._socket.fileno())
            self.emit(self._receive())
            await self.drain()

    def stopped(self) -> None:
        """Emit what has arrived: a bounded number, since there may be very many."""
        if self._bound is None:
            return
        self._take_no_more()
        for _ in range(_LAST_BATCHES):
            batch = self._receive()
            is_last = len(batch) < READ_BATCH
            self.emit(batch)
            if is_last:
                break

    def _receive(self) -> list[bytes]:
        batch: list[bytes] = []
        receive = self._socket.recv
        try:
            while len(batch) < READ_BATCH:
                batch.append(receive(_LARGEST))
        except BlockingIOError:
            pass
        except OSError:
            if not batch:
                raise  # otherwise, first emit what came before it; the next call will find it again
        self._count_drops()
        return batch

    def _count_drops(self) -> None:
        # Exact, although it looks only now: the system drops while its buffer is full, so a wake follows.
        if sys.platform != "linux":
            return
        info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        drops = _MEMINFO.unpack(info)[_MEMINFO_DROPS]
        if drops != self._kernel_drops:
            new = (drops - self._kernel_drops) % (1 << 32)
            self._kernel_drops = drops
            self.drop(new, self._reason)

    def _take_no_more(self) -> None:
        """Have the system drop and count what comes from now on, so that the backlog stops growing."""
        if sys.platform != "linux" or self._reason == "closed":
            return
        self._count_drops()
        self._reason = "closed"
        filters = array("B", _FILTER.pack(*_TAKE_NOTHING))
        # The filter is locked (SO_LOCK_FILTER): more may arrive, and is counted.
        with contextlib.suppress(OSError):
            program = _PROGRAM.pack(1, filters.buffer_info()[0])
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def _count_unread(self) -> None:
        unread = 0
        with contextlib.suppress(OSError):  # there is no more
            while unread < _UNREAD_MOST:
                self._socket.recv(1)
                unread += 1
        self.drop(unread, "unread at close")
        self._count_drops()

    def _enlarge(self) -> None:
        wanted = self.receive_buffer
        try:  # with CAP_NET_ADMIN, beyond the system's limit
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        # Linux reports twice the value.
        got = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        if got < wanted:
            where = format_address(self.hostname, self.port)
            limited = f"receive_buffer is {got} bytes, not {wanted}: net.core.rmem_max allows no more"
            self.report(OpenError(f"UDP {where}: {limited}"))
