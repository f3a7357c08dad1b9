"""A connection to one of several NATS servers, made anew whenever it is lost.

The client's own reconnecting is not used: it keeps what was published during an outage in a buffer of its own, and
says of what was on its way only that no answer came. Here every outage ends what waits for an answer, at once, and
whoever waits sends again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import OpenError, needs_extra
from message_passing.jetstream.client import CheckedClient
from message_passing.jetstream.reasons import NO_NATS_SERVER, Denied, said_plainly
from message_passing.network.backoff import RetryLater, pause_after
from message_passing.network.reasons import says_little

with needs_extra("jetstream"):
    from nats.errors import UnexpectedEOF

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from nats.aio.client import Client

    from message_passing.network.listener_probe import ListenerCheck

_PING_INTERVAL, _PINGS = 10, 2
"""Seconds between two questions whether the server is there, and how many may stay unanswered."""

_FIRST_PAUSE = 0.1
"""Seconds until the first new attempt to connect."""

_STEADY = 10.0
"""Seconds that a connection lasts which is no failure: a server that accepts and closes is tried later and later."""

_CLOSING = 2.0
"""The most seconds that closing a connection may take."""

_LOOK = 1.0
"""Seconds between two looks whether there still is a connection, besides being told of its end."""

_MOST_SERVERS = 100
"""The most servers of a cluster that are remembered."""


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """What a connection is made with.

    Attributes:
        name: what the server calls this client.
        domain: the JetStream domain that questions go to; empty for the server's own.
        connect_timeout: seconds.
        auth: arguments of `Client.connect`.
        tls: certificates, if it is to be encrypted.
        tls_hostname: the name in the server's certificate, if another than its address.
        has_certificate: whether this client has one.
    """

    name: str
    connect_timeout: float
    auth: dict[str, Any] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    tls_hostname: str = ""
    has_certificate: bool = False
    domain: str = ""


class NatsConnection:
    """One connection.

    Attributes:
        client: the connected client; None while there is none.
        trouble: why there is none, as a sentence; empty while there is one.
        denied: what the server has not allowed on this connection; empty if nothing.
        lost: how often a connection was lost.
    """

    def __init__(
        self,
        servers: Sequence[str],
        settings: Callable[[], NatsSettings],
        longest: float,
        check: ListenerCheck,
    ) -> None:
        """Begin without one.

        Args:
            servers: their addresses.
            settings: gives what to connect with; raises `OpenError`.
            longest: the most seconds between two attempts.
            check: finds out why a server cannot be used that does not say.
        """
        self.client: CheckedClient | None = None
        self.trouble = self.denied = ""
        self.lost = 0
        self._ending = self._refused = False
        self._servers = list(servers)
        self._settings, self._longest = settings, longest
        self._has_certificate = self._encrypts = False
        self._check = check
        self._noted: Exception | None = None  # what the client told last
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[], object]] = []

    def on_change(self, call: Callable[[], object]) -> None:
        """Have this called whenever a connection is made, lost, or something is denied."""
        self._watchers.append(call)

    def _tell(self) -> None:
        self._changed.set()
        for call in self._watchers:
            call()

    async def ready(self, seconds: float, *, once: bool = False) -> CheckedClient:
        """The client, once it is connected.

        Args:
            seconds: that this may take.
            once: whether each server is tried once only.

        Raises:
            RetryLater: it is not.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.client is None and not (once and self._refused):
                    self._changed.clear()
                    await self._changed.wait()
        if self.client is None:
            raise RetryLater(self.trouble or "not connected yet")
        return self.client

    async def keep(self) -> None:
        """Be connected, until cancelled."""
        attempt = 0
        while not self._ending:
            reasons: dict[str, None] = {}
            for server in random.sample(self._servers, len(self._servers)):
                ended = asyncio.Event()
                client = CheckedClient()
                try:
                    await self._connect(client, server, ended)
                except Exception as error:  # noqa: BLE001 - whatever it is: if this ended, nobody would try again
                    wants = client.told("tls_verify") and not self._has_certificate
                    hint = " (the server wants this client's certificate: option tls_cert)" if wants else ""
                    reasons[f"{server}: {await self._reason(server, error)}{hint}"] = None
                    self.trouble = f"not connected to {'; '.join(list(reasons)[:3])}"
                    self._tell()
                    continue
                finally:
                    if not client.is_connected:
                        await _close(client)
                began = monotonic()
                await self._use(client, server, ended)
                if monotonic() - began > _STEADY:
                    attempt = 0
                break
            attempt += 1
            self._refused = self.client is None and bool(reasons)
            self._tell()
            await asyncio.sleep(pause_after(attempt, _FIRST_PAUSE, self._longest))

    async def _reason(self, server: str, error: Exception) -> str:
        """Why it cannot be used; something else may listen there."""
        reason = said_plainly(error, self._noted)
        if says_little(reason):
            found = await asyncio.to_thread(self._check.why_not, server, self._encrypts)
            reason = found or reason
        return reason

    async def end(self, keeping: asyncio.Task[None]) -> None:
        """End the task that runs `keep`. One cancellation may not be enough: the client swallows some."""
        self._ending = True
        while not keeping.done():
            keeping.cancel()
            await asyncio.wait([keeping], timeout=_CLOSING)

    async def _connect(self, client: CheckedClient, server: str, ended: asyncio.Event) -> None:
        settings = self._settings()
        client.domain = settings.domain
        self._has_certificate, self._encrypts = settings.has_certificate, settings.tls is not None
        extra: dict[str, Any] = {}
        if settings.tls:
            extra["tls"] = settings.tls
        if settings.tls_hostname:
            extra["tls_hostname"] = settings.tls_hostname

        async def closed() -> None:
            ended.set()

        async def failed(error: Exception) -> None:
            self._noted = error
            if isinstance(denied := said_plainly(error), Denied):
                self.denied = denied
                self._tell()

        async with asyncio.timeout(2 * settings.connect_timeout):
            await client.connect(
                [server],
                name=settings.name,
                error_cb=failed,
                closed_cb=closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=settings.connect_timeout,  # type: ignore[arg-type] # any number of seconds
                ping_interval=_PING_INTERVAL,
                max_outstanding_pings=_PINGS,
                **settings.auth,
                **extra,
            )
        if not client.is_connected:  # it was refused in the middle of the greeting
            raise client.last_error or UnexpectedEOF
        reason = "" if client.knows_server() else NO_NATS_SERVER
        if settings.tls and not client.told("tls_required"):
            reason = "the server offers no TLS"
        if reason:
            await _close(client)
            raise OpenError(reason)

    async def _use(self, client: CheckedClient, server: str, ended: asyncio.Event) -> None:
        """Have it used until it has ended."""
        scheme = server.partition("://")[0]
        for found in client.discovered_servers:
            known = f"{scheme}://{found.netloc}"
            if known not in self._servers and len(self._servers) < _MOST_SERVERS:
                self._servers.append(known)
        self.client, self.trouble, self.denied = client, "", ""
        self._tell()
        try:
            while client.is_connected and not self._ending:  # it does not tell of each end
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await ended.wait()
            self.lost += 1
            reason = said_plainly(client.last_error) if client.last_error else "closed by the server"
            self.trouble = f"connection to {server} lost: {reason}"
        finally:
            self.client = None
            self._tell()
            await _close(client)


async def _close(client: Client) -> None:
    """Close a client, also if this is cancelled meanwhile: otherwise its tasks would be left behind."""
    closing, cancelled = asyncio.ensure_future(_flush_and_close(client)), False
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            cancelled = True
    await asyncio.sleep(0)  # its tasks end
    if cancelled:
        raise asyncio.CancelledError


async def _flush_and_close(client: Client) -> None:
    """Close a client, whatever state it is in, after sending what it still has."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSING):
            if client.is_connected:
                await client.flush()
            await client.close()
