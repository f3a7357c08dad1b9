"""Why a server cannot be reached, in plain words."""

from __future__ import annotations

import socket
import ssl


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
        return "the server closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return ""
