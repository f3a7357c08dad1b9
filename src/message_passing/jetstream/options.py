"""The options that the JetStream input and output share: servers, credentials, and the stream."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError, PeerError, needs_extra
from message_passing.jetstream.connection import NatsConnection, NatsSettings
from message_passing.jetstream.streams import StreamKeeper, StreamWish, try_stream
from message_passing.jetstream.subjects import pattern_fault
from message_passing.network.engine import TLS_FILES, EngineComponent, unencrypted
from message_passing.network.listener_probe import NATS
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping

NATS_PORT = 4222

CONSUMER_NAME = r"^[^\s.*>/\\]+$"
"""Of a stream or a consumer: what nats-server accepts (its documentation, "Streams", "Name")."""

_FILES = ("credentials_file", "nkey_file", *TLS_FILES)


class JetStreamComponent(EngineComponent):
    """A component with a connection to a NATS server."""

    server_kind = NATS
    how_to_encrypt = "tls:// in `servers`, or `tls_ca`"

    servers: str | list[str] = option(
        default="nats://127.0.0.1:4222",
        description="Address of a server, or several of a cluster, separated by commas or as a list: "
        "`nats://10.0.0.1:4222`, `tls://nats.example.org`. Other servers of the cluster are discovered.",
    )
    user: str = option(default="", min_length=1, description="User name.")
    token: str = option(secret=True, default="", min_length=1, description="A token, or `env:NAME`.")
    credentials_file: str = option(
        path=True,
        default="",
        min_length=1,
        description="Credentials file (`.creds`), with a user's JWT and seed.",
    )
    nkey_file: str = option(
        path=True, default="", min_length=1, description="File with the seed of a user's NKey."
    )
    tls_hostname: str = option(
        default="",
        min_length=1,
        description="The name that the server's certificate must have. Default: that in `servers`.",
    )
    domain: str = option(
        default="",
        min_length=1,
        max_length=255,
        pattern=CONSUMER_NAME,
        description="The JetStream domain that has the stream, at a leaf node: that of the hub, for example. Default:"
        " the server's own.",
    )
    stream: str = option(
        default="", min_length=1, max_length=255, pattern=CONSUMER_NAME, description="The stream."
    )
    create: bool = option(
        default=False,
        description="Create the stream if there is none, with the options below. A stream that exists is used as it"
        " is; what differs from these options is reported, and never changed.",
    )
    subjects: list[str] = option(
        default_factory=list,
        description="With `create`: the subjects that the stream stores. Default, for an output: its `subject`, with"
        " `*` in place of each field.",
    )
    replicas: int = option(
        default=0,
        ge=0,
        le=5,
        description="With `create`: how many servers of a cluster store the stream. 0: the server's default (one).",
    )
    storage: Literal["file", "memory"] = option(
        default="file", description="With `create`: where the servers keep the stream."
    )
    retention: Literal["limits", "interest", "workqueue"] = option(
        default="limits",
        description="With `create`: when a message is removed: at the limits, once every consumer has acknowledged"
        " it, or once one has.",
    )
    max_bytes: int = option(
        default=0, ge=0, description="With `create`: the maximum size of the stream in bytes. 0: no limit."
    )
    max_messages: int = option(
        default=0,
        ge=0,
        description="With `create`: the most messages in the stream, a frame being one. 0: no limit.",
    )
    max_age: float = option(
        default=0.0,
        ge=0,
        description="With `create`: seconds after which a message is removed. 0: no limit.",
    )
    discard: Literal["new", "old"] = option(
        default="new",
        description="With `create`: what happens at the limits: the stream accepts no new messages, so that outputs"
        " wait; or it removes the oldest, whether or not they have been read.",
    )
    duplicate_window: float = option(
        default=120.0,
        gt=0,
        description="With `create`: seconds during which the server recognizes a message that is sent again.",
    )

    def on_init(self) -> None:
        """Check the servers and credentials.

        Raises:
            OptionError: they are no addresses, or contradict each other.
            PackageError: credentials need a package that is missing, or broken.
        """
        super().on_init()
        self._servers, faults = _servers_of(self.servers)
        given = {name for name in (*_FILES, "user", "password", "token") if getattr(self, name)}
        faults += list(_credential_faults(given))
        if self.create and not self.stream:
            faults.append(Fault("create needs the name of the stream (option stream)", "create"))
        for subject in self.subjects:
            if fault := pattern_fault(subject):
                faults.append(Fault(f"{subject!r} is no subject: {fault}", "subjects"))
        if faults:
            raise OptionError(*(Fault(f"{self.label}: {one.text}", one.where) for one in faults))
        if self.credentials_file or self.nkey_file:
            with needs_extra("jetstream"):
                import nkeys  # noqa: F401, PLC0415 - the client imports it when it connects, which would be too late
        self.connection = NatsConnection(
            self._servers, self._settings, self.reconnect_longest, self.new_check()
        )
        self.streams = StreamKeeper(self._wish(), lambda text: self.report(PeerError(text)))

    def stream_subjects(self) -> list[str]:
        """The subjects of the stream to create."""
        return list(self.subjects)

    def _wish(self) -> StreamWish:
        return StreamWish(
            name=self.stream,
            create=self.create,
            subjects=tuple(self.stream_subjects()),
            replicas=self.replicas,
            storage=self.storage,
            retention=self.retention,
            max_bytes=self.max_bytes,
            max_messages=self.max_messages,
            max_age=self.max_age,
            discard=self.discard,
            duplicate_window=self.duplicate_window,
        )

    def on_open(self) -> None:
        """Read the files: certificates and credentials.

        Raises:
            OpenError: one cannot be read, or is not what it should be.
        """
        super().on_open()
        self._settings()

    def _settings(self) -> NatsSettings:
        """What a connection is made with, read anew for each, since files and variables change.

        Raises:
            OpenError: a file cannot be read, or a variable is not set.
        """
        paths = self.files_of(*_FILES)
        secrets = {
            name: from_environment(given) for name in ("password", "token") if (given := getattr(self, name))
        }
        named = {"credentials_file": "user_credentials", "nkey_file": "nkeys_seed"}
        auth: dict[str, Any] = {called: paths[name] for name, called in named.items() if name in paths}
        if self.user:
            auth["user"] = self.user
        return NatsSettings(
            name=self.chain_name,
            connect_timeout=self.connect_timeout,
            auth={**auth, **secrets},
            tls=self.tls_context(paths) if self._wants_tls() else None,
            tls_hostname=self.tls_hostname,
            has_certificate=bool(self.tls_cert),
            domain=self.domain,
        )

    def _always_tls(self) -> bool:
        return bool(self.tls_ca) or all(one.startswith("tls://") for one in self._servers)

    def _wants_tls(self) -> bool:
        return bool(self.tls_ca or self.tls_cert) or any(one.startswith("tls://") for one in self._servers)

    def warnings(self) -> list[str]:
        """Warn of a password that is sent unencrypted, and of a stream that will be full for good."""
        given = [*super().warnings()]
        secret = "password" if self.password else "token" if self.token else ""
        hosts = [urlsplit(one).hostname for one in self._servers]
        if not self._always_tls() and (text := unencrypted(secret, hosts, f"use {self.how_to_encrypt}")):
            given.append(f"{self.label}: {text}")
        if self.create and self.discard == "new" and self.retention == "limits" and self._is_limited():
            text = "once the stream is full it accepts nothing, whatever is read from it: use retention workqueue"
            given.append(f"{self.label}: {text} or interest, max_age, or discard old")
        return given

    def _is_limited(self) -> bool:
        return bool(self.max_bytes or self.max_messages) and not self.max_age

    def try_connection(self, timeout: float) -> str:
        """For `check --connect`: see `streams.try_stream`."""
        self.connect_timeout = min(self.connect_timeout, timeout)
        return asyncio.run(try_stream(self.connection, self._wish(), timeout))

    def info(self) -> Mapping[str, Any]:
        """The servers, and whether one is connected."""
        return {
            **super().info(),
            "endpoints": tuple(self._servers),
            "peers": int(self.connection.client is not None),
        }

    def problems(self) -> list[str]:
        """That no server is connected, or the stream cannot be used."""
        found = [*super().problems()]
        if trouble := self.connection.trouble or self.streams.trouble:
            found.insert(0, trouble)
        return found


def _servers_of(given: str | list[str]) -> tuple[list[str], list[Fault]]:
    """The addresses in `servers`, each with its scheme and port; and what is wrong with them."""
    found: list[str] = []
    faults: list[Fault] = []
    for text in given if isinstance(given, list) else given.split(","):
        one = text.strip()
        address = one if "://" in one else f"nats://{one}"
        try:
            parts = urlsplit(address)
            port = parts.port or NATS_PORT
        except ValueError:
            faults.append(Fault("servers: an address has no valid port: nats://HOST:PORT", "servers"))
            continue
        if "@" in parts.netloc:
            reason = (
                "servers: no names and passwords in addresses: use the options user and password, or token"
            )
            faults.append(Fault(reason, "servers"))
        elif parts.scheme not in ("nats", "tls") or not parts.hostname or re.search(r"\s", address):
            faults.append(
                Fault(f"servers: {one!r} is no address: nats://HOST:PORT or tls://HOST:PORT", "servers")
            )
        else:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            found.append(f"{parts.scheme}://{host}:{port}")
    if not found and not faults:
        faults.append(Fault("servers: give at least one: nats://HOST:PORT", "servers"))
    return list(dict.fromkeys(found)), faults


def _credential_faults(given: set[str]) -> list[Fault]:
    found = []
    for name, needed in (("password", "user"), ("user", "password"), ("tls_key", "tls_cert")):
        if name in given and needed not in given:
            found.append(Fault(f"{name} needs {needed}", name))
    ways = [name for name in ("user", "token", "credentials_file", "nkey_file") if name in given]
    if len(ways) > 1:
        found.append(Fault(f"give one of {' and '.join(ways)}, not {len(ways)}", ways[1]))
    return found
