"""The options that the inputs and outputs of Redis share: the server and the credentials."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from message_passing.environment import from_environment
from message_passing.errors import Fault, OpenError, OptionError, needs_extra
from message_passing.network.backoff import RetryLater
from message_passing.network.engine import TLS_FILES, EngineComponent, unencrypted
from message_passing.network.listener_probe import REDIS
from message_passing.options import option
from message_passing.redis.connection import RedisLink, RedisSettings
from message_passing.redis.reasons import redis_reason

with needs_extra("redis"):
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

REDIS_PORT = 6379


class RedisComponent(EngineComponent):
    """A component with connections to one Redis server."""

    server_kind = REDIS
    how_to_encrypt = "an address with TLS: rediss://HOST:PORT"

    username: str = option(
        default="", min_length=1, description="User name. Default: the server's `default`."
    )

    def on_init(self) -> None:
        """Check the server and credentials.

        Raises:
            OptionError: it is no address, or they contradict each other.
        """
        super().on_init()
        self._host, self._port, self._database, self._encrypted, faults = self.server()
        for name, needed in (("username", "password"), ("tls_key", "tls_cert")):
            if getattr(self, name) and not getattr(self, needed):
                faults.append(Fault(f"{name} needs {needed}", name))
        if not self._encrypted:
            faults += [
                Fault(f"{name} needs {self.how_to_encrypt}", name)
                for name in TLS_FILES
                if getattr(self, name)
            ]
        if faults:
            raise OptionError(*(Fault(f"{self.label}: {one.text}", one.where) for one in faults))
        self.link = self.new_link()

    def server(self) -> tuple[str, int, int, bool, list[Fault]]:
        """The host, the port, the database, whether to encrypt; and what is wrong with the options of these."""
        raise NotImplementedError

    def new_link(self) -> RedisLink:
        """Another connection."""
        return RedisLink(self._settings, self.connect_timeout, self.new_check())

    def _address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'rediss' if self._encrypted else 'redis'}://{host}:{self._port}"

    def _settings(self) -> RedisSettings:
        """What a connection is made with, read anew for each, since files and variables change.

        Raises:
            OpenError: a file cannot be read, or a variable is not set.
        """
        arguments: dict[str, Any] = {
            "host": self._host,
            "port": self._port,
            "db": self._database,
            "client_name": re.sub(r"\s|[^!-~]", "-", self.chain_name),
        }
        if self.username:
            arguments["username"] = self.username
        if self.password:
            arguments["password"] = from_environment(self.password)
        if self._encrypted:
            paths = self.files_of(*TLS_FILES)
            self.tls_context(paths)
            named = {"tls_ca": "ssl_ca_certs", "tls_cert": "ssl_certfile", "tls_key": "ssl_keyfile"}
            arguments |= {called: paths[name] for name, called in named.items() if name in paths}
        return RedisSettings(self._address(), arguments, self._encrypted)

    def on_open(self) -> None:
        """Read the files.

        Raises:
            OpenError: one cannot be read, or is not what it should be.
        """
        super().on_open()
        self._settings()

    def try_connection(self, timeout: float) -> str:
        """For `check --connect`: connect, and look what is there, changing nothing; what was found, as words.

        Raises:
            OpenError: the server cannot be used within that time, or has something else there.
        """
        return asyncio.run(self._try(timeout))

    async def _try(self, seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                return await self.look()
        except TimeoutError as error:
            raise OpenError(f"{self._address()}: no answer within {seconds:g} s") from error
        except (RetryLater, ResponseError) as error:
            raise OpenError(redis_reason(error)) from error
        finally:
            self.link.close()
            await asyncio.sleep(0)  # it is closed

    async def look(self) -> str:
        """What the server has, as words.

        Raises:
            OpenError: it is not what is needed.
            RetryLater: there is no connection.
            ResponseError: the server refuses it.
        """
        await self.link.ask("PING")
        return "connected"

    def warnings(self) -> list[str]:
        """Warn of a password that is sent unencrypted."""
        given = [*super().warnings()]
        secret = "password" if self.password and not self._encrypted else ""
        if text := unencrypted(secret, [self._host], f"use {self.how_to_encrypt}"):
            given.append(f"{self.label}: {text}")
        return given

    def info(self) -> Mapping[str, Any]:
        """The server, and whether it is connected."""
        return {**super().info(), "endpoints": (self._address(),), "peers": int(self.link.connected)}


class RedisStreamComponent(RedisComponent):
    """A component with a stream on a Redis server."""

    url: str = option(
        default="redis://127.0.0.1:6379",
        description="Address of the server: `redis://10.0.0.1:6379`, with TLS `rediss://redis.example.org`, with the"
        " number of a database `redis://10.0.0.1:6379/2`.",
    )
    stream: str = option(min_length=1, description="Name of the stream (its key).")

    most_bytes = 512 << 20
    """The most bytes of a value (redis.io, "Strings"), as far as the server does not say otherwise."""
    _looked, _memory_only = 0, False

    def server(self) -> tuple[str, int, int, bool, list[Fault]]:
        """See `RedisComponent`."""
        return server_of(self.url)

    async def look_at_server(self) -> None:
        """Find out, once for each connection, whether the server keeps what it stores, and how large that may be.

        Raises:
            RetryLater: there is no connection.
        """
        if self.link.connected and self.link.number == self._looked:
            return
        with contextlib.suppress(ResponseError):  # it may not be allowed
            self._memory_only = await self.link.ask("INFO", "persistence", read=_keeps_nothing)
        with contextlib.suppress(ResponseError):  # likewise
            told = await self.link.ask("CONFIG", "GET", "proto-max-bulk-len", read=_second)
            self.most_bytes = told or self.most_bytes
        self._looked = self.link.number

    def notes(self) -> list[str]:
        """See `Component`: and that what the server stores is in its memory only."""
        given = [*super().notes()]
        if self._memory_only:
            given.append(
                "the server loses what it stores if it ends: set `appendonly yes` in its configuration"
            )
        return given

    async def look(self) -> str:
        """See `RedisComponent`: the stream."""
        kind = await self.link.ask("TYPE", self.stream, read=bytes.decode)
        if kind not in ("stream", "none"):
            raise OpenError(f"what the server has as {self.stream!r} is no stream: a {kind}")
        found = "there is a stream" if kind == "stream" else "with the first message there will be a stream"
        return f"connected; {found} {self.stream!r}"


class RedisPubSubComponent(RedisComponent):
    """A component that publishes or receives what is published."""

    how_to_encrypt = "the option tls"

    hostname: str = option(
        default="127.0.0.1", min_length=1, description="Address or host name of the server."
    )
    port: int = option(default=REDIS_PORT, ge=1, le=65535, description="Its port.")
    tls: bool = option(default=False, description="Encrypt the connection.")

    def server(self) -> tuple[str, int, int, bool, list[Fault]]:
        """See `RedisComponent`."""
        faults = []
        if re.search(r"[\s/@]", self.hostname):
            faults.append(Fault(f"hostname: {self.hostname!r} is no host name or address", "hostname"))
        return self.hostname, self.port, 0, self.tls, faults


def _keeps_nothing(told: bytes) -> bool:
    return b"aof_enabled:0" in told


def _second(told: list[bytes]) -> int:
    return int(told[1]) if told else 0


def server_of(url: str) -> tuple[str, int, int, bool, list[Fault]]:
    """The host, port, database of an address, whether it asks for TLS; and what is wrong with it."""
    form = "redis://HOST:PORT, redis://HOST:PORT/DATABASE or rediss://HOST:PORT"
    bad = "", 0, 0, False
    address = url if "://" in url else f"redis://{url}"
    try:
        parts = urlsplit(address)
        port = parts.port or REDIS_PORT
    except ValueError:
        return *bad, [Fault(f"url: the address has no valid port: {form}", "url")]
    if "@" in parts.netloc:
        reason = "url: no names and passwords in addresses: use the options username and password"
        return *bad, [Fault(reason, "url")]
    database = re.fullmatch(r"/?([0-9]{0,4})", parts.path)
    known = parts.scheme in ("redis", "rediss") and parts.hostname and database
    if (
        not known
        or not parts.hostname
        or not database
        or parts.query
        or parts.fragment
        or re.search(r"\s", url)
    ):
        return *bad, [Fault(f"url: {url!r} is no address: {form}", "url")]
    return parts.hostname, port, int(database[1] or 0), parts.scheme == "rediss", []
