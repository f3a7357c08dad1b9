"""The options that the Kafka input and output share: brokers, credentials, and the topic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError
from message_passing.kafka.topics import TopicWish, try_topic
from message_passing.network.engine import TLS_FILES, EngineComponent, unencrypted
from message_passing.network.listener_probe import KAFKA
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping

KAFKA_PORT = 9092

_NAMED = {"tls_ca": "ssl.ca.location", "tls_cert": "ssl.certificate.location", "tls_key": "ssl.key.location"}

MESSAGE_BYTES = 1_000_000
"""The largest message that librdkafka sends by default; brokers accept a little more (their message.max.bytes)."""


class KafkaComponent(EngineComponent):
    """A component with connections to the brokers of a Kafka cluster."""

    server_kind = KAFKA
    how_to_encrypt = "the option tls"

    bootstrap_servers: str | list[str] = option(
        default="127.0.0.1:9092",
        description="Address of a broker, or several of a cluster, separated by commas or as a list:"
        " `10.0.0.1:9092`. Other brokers are discovered.",
    )
    topic: str = option(
        min_length=1,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of the topic: letters, digits, `.`, `_` and `-`.",
    )
    username: str = option(default="", min_length=1, description="User name, for SASL.")
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = option(
        default="SCRAM-SHA-512",
        description="Authentication mechanism. PLAIN sends the password: use it only with TLS.",
    )
    tls: bool = option(
        default=False, description="Encrypt the connections. With `tls_ca` or `tls_cert`, always."
    )
    create: bool = option(
        default=False,
        description="Create the topic if there is none, with the options below. A topic that exists is used as it"
        " is; what differs from these options is reported, and never changed.",
    )
    partitions: int = option(
        default=0,
        ge=0,
        description="With `create`: the number of partitions, the most nodes of a group that share the topic. 0: as"
        " the broker says.",
    )
    replicas: int = option(
        default=0,
        ge=0,
        description="With `create`: how many brokers store each partition. 0: as the broker says.",
    )
    min_insync_replicas: int = option(
        default=0,
        ge=0,
        description="With `create`: how many of them must have a message before it is acknowledged. 0: as the broker"
        " says.",
    )
    max_age: float = option(
        default=0.0,
        ge=0,
        description="With `create`: seconds after which messages are removed, read or not. 0: as the broker says.",
    )
    max_bytes: int = option(
        default=0,
        ge=0,
        description="With `create`: bytes of a partition beyond which the oldest messages are removed, read or not."
        " 0: as the broker says.",
    )

    def on_init(self) -> None:
        """Check the addresses and credentials.

        Raises:
            OptionError: they are no addresses, or contradict each other.
        """
        super().on_init()
        self._servers, faults = brokers_of(self.bootstrap_servers)
        for name, needed in (("username", "password"), ("password", "username"), ("tls_key", "tls_cert")):
            if getattr(self, name) and not getattr(self, needed):
                faults.append(Fault(f"{name} needs {needed}", name))
        if faults:
            raise OptionError(*(Fault(f"{self.label}: {one.text}", one.where) for one in faults))

    def connected(self) -> int:
        """To how many brokers there is a connection, as far as known."""
        raise NotImplementedError

    def wish(self) -> TopicWish:
        """The topic as it is wanted."""
        return TopicWish(
            name=self.topic,
            create=self.create,
            partitions=self.partitions,
            replicas=self.replicas,
            max_age=self.max_age,
            max_bytes=self.max_bytes,
            min_insync_replicas=self.min_insync_replicas,
        )

    @property
    def _encrypted(self) -> bool:
        return bool(self.tls or self.tls_ca or self.tls_cert)

    def client_config(self) -> dict[str, Any]:
        """What a client is made with (librdkafka's CONFIGURATION.md), read anew for each, since files change.

        Raises:
            OpenError: a file cannot be read, or a variable is not set.
        """
        found: dict[str, Any] = {
            "bootstrap.servers": ",".join(self._servers),
            "client.id": re.sub(r"[^A-Za-z0-9._-]", "-", self.chain_name),
            "socket.connection.setup.timeout.ms": max(1000, round(self.connect_timeout * 1000)),
            "reconnect.backoff.ms": min(100, self._longest_pause()),
            "reconnect.backoff.max.ms": self._longest_pause(),
            "socket.keepalive.enable": True,
            "topic.metadata.refresh.interval.ms": 10_000,
            "security.protocol": f"{'SASL_' if self.username else ''}{'SSL' if self._encrypted else 'PLAINTEXT'}",
        }
        if self.username:
            found |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username,
                "sasl.password": from_environment(self.password),
            }
        if self._encrypted:
            paths = self.files_of(*TLS_FILES)
            self.tls_context(paths)
            found |= {_NAMED[name]: path for name, path in paths.items()}
            if "tls_cert" in paths:
                found.setdefault("ssl.key.location", paths["tls_cert"])
        return found

    def _longest_pause(self) -> int:
        return max(10, round(self.reconnect_longest * 1000))

    def on_open(self) -> None:
        """Read the files.

        Raises:
            OpenError: one cannot be read, or is not what it should be.
        """
        super().on_open()
        self.client_config()

    def warnings(self) -> list[str]:
        """Warn of a password that is sent unencrypted."""
        given = [*super().warnings()]
        secret = (
            "password" if self.username and self.sasl_mechanism == "PLAIN" and not self._encrypted else ""
        )
        hosts = [urlsplit(f"//{one}").hostname for one in self._servers]
        if text := unencrypted(secret, hosts, f"use {self.how_to_encrypt}, or another sasl_mechanism"):
            given.append(f"{self.label}: {text}")
        return given

    def try_connection(self, timeout: float) -> str:
        """For `check --connect`: see `topics.try_topic`."""
        return try_topic(self.client_config(), self.wish(), timeout)

    def info(self) -> Mapping[str, Any]:
        """The brokers, and to how many there is a connection."""
        return {**super().info(), "endpoints": tuple(self._servers), "peers": self.connected()}


def brokers_of(given: str | list[str]) -> tuple[list[str], list[Fault]]:
    """The addresses in `bootstrap_servers`, each with its port; and what is wrong with them."""
    name = "bootstrap_servers"
    found: list[str] = []
    faults: list[Fault] = []
    for text in given if isinstance(given, list) else given.split(","):
        one = text.strip()
        try:
            parts = urlsplit(f"//{one}")
            port = parts.port or KAFKA_PORT
        except ValueError:
            faults.append(Fault(f"{name}: an address has no valid port: HOST:PORT", name))
            continue
        if "@" in one:
            reason = f"{name}: no names and passwords in addresses: use the options username and password"
            faults.append(Fault(reason, name))
        elif "://" in one or not parts.hostname or parts.path or parts.query or re.search(r"\s", one):
            faults.append(Fault(f"{name}: {one!r} is no address: HOST:PORT", name))
        else:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            found.append(f"{host}:{port}")
    if not found and not faults:
        faults.append(Fault(f"{name}: give at least one: HOST:PORT", name))
    return list(dict.fromkeys(found)), faults
