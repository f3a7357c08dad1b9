"""Messages as UDP datagrams (Message::Passing::Output::Socket::UDP)."""

from __future__ import annotations

import errno
from types import MappingProxyType
from typing import Any

from message_passing.encoded import as_bytes
from message_passing.errors import EncodingError, MessageError
from message_passing.flow import Output
from message_passing.inputs._udp import check_host, format_address, not_known_yet, udp_attempt
from message_passing.options import option


class SocketUDPOutput(Output):
    """Sends each message as one datagram, without blocking and without knowing whether it is received.

    Messages for which the system has no room at the moment are counted as dropped (`send buffer full`),
    as are those to a port that the system knows to be closed (`connection refused`).
    While the host's name is not known (at boot, before the network is up), that is reported once, the lookup is
    repeated, and messages are dropped (`unknown host`).
    A message that is too large for a datagram (65507 bytes on IPv4) is reported as failed.
    """

    name = "Socket::UDP"
    confirms = "handed to the network"
    confirms_early = True
    example = MappingProxyType({"hostname": "localhost", "port": 5140})

    hostname: str = option(description="Address or host name to send to.", min_length=1)
    port: int = option(description="Port to send to.", ge=1, le=65535)

    def on_init(self) -> None:
        """Prepare; there is no socket yet.

        Raises:
            OptionError: its host can never be found.
        """
        super().on_init()
        check_host(self.label, self.hostname)

    def on_open(self) -> None:
        """Look up the host, repeatedly if needed.

        Raises:
            OpenError: it cannot be the name of a host, or there is no route to it.
        """
        self._trying = udp_attempt(self.hostname, self.port, bind=False)
        if not self._trying.result:
            self.report(
                not_known_yet(
                    self._trying, self.hostname, self.port, "messages are dropped until it is known"
                )
            )

    def on_close(self) -> None:
        """Close the socket; what it accepted is in transit."""
        self._trying.stop()
        if self._trying.result:
            self._trying.result.close()

    def write_many(self, messages: list[Any]) -> None:
        """Send a batch; failures for the same reason make one report."""
        if not self._trying.result:
            if self._trying.failure:
                raise self._trying.failure
            self.drop(messages, "unknown host")
            return
        self._socket = self._trying.result
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
            # An earlier datagram was refused, which is reported only now, instead of sending this one.
            self._socket.send(data)

    def _reason(self, error: OSError) -> str:
        if error.errno == errno.EMSGSIZE:
            return "too large for one UDP datagram"
        return f"cannot send to UDP {format_address(self.hostname, self.port)}: {error.strerror}"
