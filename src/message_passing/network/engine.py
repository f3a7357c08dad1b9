"""The options that inputs and outputs of all engines share: the password, TLS, and patience."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from message_passing.component import Component
from message_passing.errors import OpenError
from message_passing.network.listener_probe import ListenerCheck
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TLS_FILES = ("tls_ca", "tls_cert", "tls_key")
"""The options that name files of TLS."""


class EngineComponent(Component):
    """A component with a connection to an engine: a server that keeps messages."""

    server_kind: ClassVar[str] = ""
    """What its servers are: one of the kinds in `listener_probe`."""

    how_to_encrypt: ClassVar[str] = ""
    """What to write for TLS."""

    password: str = option(
        secret=True, default="", min_length=1, description="The user's password, or `env:NAME`."
    )
    tls_ca: str = option(
        path=True,
        default="",
        min_length=1,
        description="File with the certificates of authorities that are trusted to sign the server's "
        "(PEM). Default: the system's. With this, or `tls_cert`, nothing is sent unencrypted.",
    )
    tls_cert: str = option(
        path=True, default="", min_length=1, description="File with this client's certificate (PEM)."
    )
    tls_key: str = option(
        path=True, default="", min_length=1, description="File with its private key. Default: in `tls_cert`."
    )
    connect_timeout: float = option(
        default=5.0, gt=0, description="Seconds that connecting to a server may take."
    )
    reconnect_longest: float = option(
        default=5.0,
        gt=0,
        description="Maximum delay between two attempts to connect, in seconds; the first is a tenth of a second.",
    )

    def new_check(self) -> ListenerCheck:
        """Finds out why its servers cannot be used, where they do not say."""
        return ListenerCheck(self.server_kind, self.how_to_encrypt)

    def files_of(self, *names: str) -> dict[str, str]:
        """The paths in those of these options that are given.

        Raises:
            OpenError: a file cannot be read.
        """
        paths = {name: given for name in names if (given := getattr(self, name))}
        for name, path in paths.items():
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise OpenError(f"{path} (option {name}) cannot be read: {error.strerror}") from error
        return paths

    @staticmethod
    def tls_context(paths: Mapping[str, str]) -> ssl.SSLContext:
        """What a connection is encrypted with.

        Args:
            paths: of `files_of`.

        Raises:
            OpenError: a certificate is none, or has another key.
        """
        option_name = "tls_ca"
        try:
            context = ssl.create_default_context(cafile=paths.get("tls_ca"))
            option_name = "tls_cert"
            if "tls_cert" in paths:
                context.load_cert_chain(paths["tls_cert"], paths.get("tls_key"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            text = f"{paths.get(option_name, 'the certificates')} (option {option_name}) cannot be used: {reason}"
            raise OpenError(text) from error
        return context


def unencrypted(secret: str, hosts: Iterable[str | None], cure: str) -> str:
    """The warning that a secret may be sent unencrypted; empty if there is none, or it does not leave the machine.

    Args:
        secret: what it is; empty for none.
        hosts: where it is sent.
        cure: what to do.
    """
    if not secret or all(host in ("localhost", "127.0.0.1", "::1") for host in hosts):
        return ""
    return f"the {secret} may be sent unencrypted: {cure}"
