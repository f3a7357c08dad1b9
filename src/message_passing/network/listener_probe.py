"""What listens at an address where the wanted engine does not answer: another engine, a web server, one with TLS.

A server that greets says what it is by itself; others answer a question of their own protocol. Each question goes
over a connection of its own, and none does anything: no name, no secret, and nothing to store.
"""

from __future__ import annotations

import contextlib
import math
import re
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from message_passing.clock import monotonic
from message_passing.network.reasons import NOT_WANTED

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE_TIMEOUT = 3.0
"""The most seconds that all questions together may take."""

_ANSWER = 0.7
"""The most seconds that an answer to one may take."""

_AGAIN = 60.0
"""Seconds after which a server is asked again."""

_MOST_KNOWN = 100
"""The most servers of which the answer is remembered."""

NATS, REDIS, KAFKA, ZEROMQ = "NATS server", "Redis server", "Kafka broker", "ZeroMQ socket"

_WEB_QUESTION = b"GET / HTTP/1.0\r\n\r\n"
"""To Redis it is a question, too, which lacks something."""

_NUMBER = 0x6D70
_KAFKA_QUESTION = struct.pack(">ihhih", 10, 18, 0, _NUMBER, -1)
"""ApiVersions, version 0, without a name: which requests the broker knows (kafka.apache.org/protocol)."""

_ANSWERS = (
    (NATS, re.compile(rb"INFO \{")),
    (REDIS, re.compile(rb"-(ERR|NOAUTH|DENIED|LOADING|MASTERDOWN|NOPERM)\b")),
    (ZEROMQ, re.compile(rb"\xff.{8}\x7f", re.DOTALL)),  # rfc.zeromq.org/spec/23
    ("web server (HTTP)", re.compile(rb"HTTP/\d|<!DOCTYPE HTML|<html", re.IGNORECASE)),
    ("AMQP broker", re.compile(rb"AMQP")),
    ("SSH server", re.compile(rb"SSH-")),
    ("mail server", re.compile(rb"220[ -].*SMTP", re.IGNORECASE)),
    ("PostgreSQL server", re.compile(rb"E\0\0\0.S?FATAL", re.DOTALL)),
    ("MySQL server", re.compile(rb".\0\0\0(\x0a\d|\xff)", re.DOTALL)),
)
"""How answers to the first question, and greetings, begin."""

_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""An alert, or a part of a handshake (RFC 8446, section 5.1)."""


@dataclass(frozen=True, slots=True)
class DetectedServer:
    """What listens at an address.

    Attributes:
        kind: `NATS server`; empty if it is not known.
        encrypted: whether it talks only with TLS.
        wants_certificate: whether it talks only to clients with a certificate.
    """

    kind: str = ""
    encrypted: bool = False
    wants_certificate: bool = False


class ListenerCheck:
    """Says why a client cannot use the servers that do not answer it, and asks each only now and then."""

    def __init__(self, wanted: str, how_to_encrypt: str) -> None:
        """Nothing is known yet.

        Args:
            wanted: the kind of server that the client talks to.
            how_to_encrypt: what to write for TLS.
        """
        self._wanted, self._how_to_encrypt = wanted, how_to_encrypt
        self._known: dict[str, tuple[float, DetectedServer]] = {}

    def find(self, address: str, *, again: float = _AGAIN) -> DetectedServer:
        """What listens there; it waits.

        Args:
            address: with a port; a scheme before it does not matter.
            again: seconds after which it is asked again.
        """
        at, found = self._known.get(address, (-math.inf, DetectedServer()))
        if monotonic() - at >= again:
            parts = urlsplit(address if "://" in address else f"//{address}")
            found = probe_listener(parts.hostname or "", parts.port or 0)
            self._known.pop(address, None)
            self._known[address] = monotonic(), found
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return found

    def why_not(self, address: str, encrypted: bool) -> str:
        """Why the client cannot use what listens there, as words; empty if that is not known.

        Args:
            address: see `find`.
            encrypted: whether the client talks with TLS.
        """
        found = self.find(address)
        if found.kind not in ("", self._wanted):
            article = "an" if found.kind.startswith(("AMQP", "SSH")) else "a"
            secured = ", with TLS" if found.encrypted else ""
            return f"{NOT_WANTED}{self._wanted}: it is {article} {found.kind}{secured}"
        if found.wants_certificate:
            return "the server wants this client's certificate: option tls_cert"
        if found.encrypted and not encrypted:
            return f"the server wants TLS: {self._how_to_encrypt}"
        if encrypted and not found.encrypted and found.kind:
            return "the server offers no TLS"
        return ""


def probe_listener(host: str, port: int, seconds: float = PROBE_TIMEOUT) -> DetectedServer:
    """Find out what listens there; it waits.

    Args:
        host: its name or address.
        port: its number.
        seconds: that this may take.
    """
    until = monotonic() + seconds

    def plain() -> socket.socket:
        return socket.create_connection((host, port), _left(until))

    kind, secured = _kind_of(plain, until)
    if kind:
        return DetectedServer(kind)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent

    def encrypted() -> socket.socket:
        with contextlib.ExitStack() as stack:
            made = context.wrap_socket(stack.enter_context(plain()), server_hostname=host)
            stack.pop_all()
        return made

    try:
        encrypted().close()
    except ssl.SSLError as error:
        # A server that speaks no TLS answers something else, or hangs up, which is no alert.
        secured = secured or "ALERT" in str(error.reason)
        return DetectedServer("", secured, wants_certificate=_wants_certificate(error))
    except OSError:
        return DetectedServer("", secured)
    kind, wants = _kind_of(encrypted, until)
    return DetectedServer(kind, encrypted=True, wants_certificate=wants and not kind)


def _kind_of(connect: Callable[[], socket.socket], until: float) -> tuple[str, bool]:
    """What it says that it is; and whether it said something of TLS instead: that it wants it, or a certificate."""
    secured = False
    for question in (_WEB_QUESTION, _KAFKA_QUESTION):
        answer = b""
        try:
            with connect() as line:
                line.settimeout(_left(until))
                line.sendall(question)
                answer = line.recv(1024)
                while answer[:1] == b"\xff" and len(answer) < 10 and (more := line.recv(64)):
                    answer += more
        except ssl.SSLError as error:
            secured = secured or _wants_certificate(error)
        except OSError:
            pass
        secured = secured or answer[:2] in _TLS_RECORDS
        if answer[4:8] == struct.pack(">i", _NUMBER):
            return KAFKA, secured
        for kind, begin in _ANSWERS:
            if begin.match(answer):
                if b"HTTPS port" in answer or b"HTTP request to an HTTPS" in answer:
                    return "", True
                return kind, secured
    return "", secured


def _wants_certificate(error: ssl.SSLError) -> bool:
    return "CERTIFICATE_REQUIRED" in str(error.reason) or "HANDSHAKE_FAILURE" in str(error.reason)


def _left(until: float) -> float:
    return max(0.01, min(_ANSWER, until - monotonic()))
