"""Why a server cannot be reached, in plain words."""

from __future__ import annotations

import socket
import ssl

NO_ANSWER = "no answer in time"
CLOSED_BY_SERVER = "the server closed the connection"
NOT_WANTED = "what listens there is no "
"""How the sentence begins that something else listens there."""

ODD_ANSWER = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What taking an answer apart raises if it is none that the engine gives."""


def network_reason(error: BaseException) -> str:
    """What the system or TLS says of a connection, as words for a user; empty if the error is none of theirs."""
    if isinstance(error, socket.gaierror):
        return f"the host is not known ({error.strerror})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: no server listens there"
    if isinstance(error, ConnectionError):
        return CLOSED_BY_SERVER
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return ""


def says_little(reason: str) -> bool:
    """Whether this leaves open why a server cannot be used: it may be something else (see `listener_probe`)."""
    return not reason or any(
        text in reason for text in (NO_ANSWER, CLOSED_BY_SERVER, NOT_WANTED, "TLS failed")
    )
