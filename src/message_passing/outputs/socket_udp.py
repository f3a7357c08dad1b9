"""Messages as UDP datagrams (Message::Passing::Output::Socket::UDP)."""

from __future__ import annotations

import errno
from types import MappingProxyType
from typing import Any

from message_passing.errors import EncodingError, MessageError
from message_passing.flow import Output
from message_passing.inputs._udp import shown, udp_socket
from message_passing.options import option
from message_passing.outputs._lines import as_bytes


class SocketUDPOutput(Output):
    """Sends each message as one datagram, without waiting and without knowing whether anybody receives it.

    Messages for which the system has no room at the moment are counted as dropped (`send buffer full`),
    as are those to a port of which the system knows that nobody listens there (`connection refused`).
    A message that is too large for a datagram (65507 bytes on IPv4) is reported as failed.
    """

    name = "Socket::UDP"
    example = MappingProxyType({"hostname": "localhost", "port": 5140})

    hostname: str = option(description="Address or host name to send to.", min_length=1)
    port: int = option(description="Port to send to.", ge=1, le=65535)

    def on_open(self) -> None:
        """Find the host.

        Raises:
            OpenError: there is no such host, or no way to it.
        """
        self._socket = udp_socket(self.hostname, self.port, bind=False)

    def on_close(self) -> None:
        """Close the socket; what it took is on its way."""
        self._socket.close()

    def write_many(self, messages: list[Any]) -> None:
        """Send a batch; failures for the same reason make one report."""
        failures: dict[str, list[Any]] = {}
        for message in messages:
            try:
                self._send(as_bytes(message))
            except BlockingIOError:
                self.drop([message], "send buffer full")
            except ConnectionRefusedError:
                self.drop([message], "connection refused")
            except EncodingError as error:
                failures.setdefault(str(error), []).append(message)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self.drop([message], "send buffer full")
                else:
                    failures.setdefault(self._reason(error), []).append(message)
        for reason, failed in failures.items():
            self.fail(MessageError(reason), failed)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except ConnectionRefusedError:
            # An earlier datagram was refused, which is told only now, in place of sending this one.
            self._socket.send(data)

    def _reason(self, error: OSError) -> str:
        if error.errno == errno.EMSGSIZE:
            return "too large for one UDP datagram"
        return f"cannot send to UDP {shown(self.hostname, self.port)}: {error.strerror}"
