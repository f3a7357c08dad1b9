"""What `message-passing doctor nats://...` finds out: the server, its JetStream, streams, and who reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from message_passing.errors import needs_extra
from message_passing.jetstream.options import JetStreamComponent
from message_passing.jetstream.streams import API_ERRORS, api_reason
from message_passing.metrics import plural
from message_passing.network.backoff import RetryLater
from message_passing.network.diagnosis import EngineDiagnosis, Step, advice_on_refusal
from message_passing.network.listener_probe import PROBE_TIMEOUT

with needs_extra("jetstream"):
    from nats.js.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from nats.js.api import ConsumerInfo, StreamInfo
    from nats.js.manager import JetStreamManager

    from message_passing.jetstream.client import CheckedClient

_MOST_LISTED = 20
"""The most streams and consumers that are named."""

_FULL = 0.99
"""The share of its limit from which a stream that accepts nothing beyond it counts as full."""


class JetStreamDiagnosis(JetStreamComponent, EngineDiagnosis):
    """Examines a NATS server."""

    schemes = ("nats", "tls")
    address_option = "servers"
    name = "JetStream"

    def examine(self, seconds: float) -> Iterator[Step]:
        """See `EngineDiagnosis`."""
        self.connect_timeout = min(self.connect_timeout, seconds)
        return iter(asyncio.run(self._examined(seconds)))

    async def _examined(self, seconds: float) -> list[Step]:
        keeping = asyncio.create_task(self.connection.keep())
        found: list[Step] = []
        try:
            client = await self.connection.ready(seconds + PROBE_TIMEOUT, once=True)
            async for step in self._look(client):
                found.append(step)
                if not step.ok:
                    break
        except RetryLater as error:
            return [*found, Step("server", str(error), advice_on_refusal("JetStream", str(error)))]
        except API_ERRORS as error:
            advice = "see the reason above; the log of the server may say more"
            return [*found, Step("jetstream", api_reason(error), advice)]
        finally:
            await self.connection.end(keeping)
        return found

    async def _look(self, client: CheckedClient) -> AsyncIterator[Step]:
        told: dict[str, Any] = client._server_info  # noqa: SLF001 - nothing else says it
        cluster = f", of the cluster {told['cluster']}" if told.get("cluster") else ""
        encrypted = "encrypted" if told.get("tls_required") else "not encrypted"
        name = f"NATS {told.get('version')} ({told.get('server_name')}{cluster})"
        yield Step("server", f"{name} accepted us; the connection is {encrypted}")
        manager = client.manager()
        streams = {one.config.name or "": one for one in await manager.streams_info()}
        names = ", ".join(list(streams)[:_MOST_LISTED]) or "none"
        more = f" and {len(streams) - _MOST_LISTED} more" if len(streams) > _MOST_LISTED else ""
        yield Step("jetstream", f"it is enabled; streams: {names}{more}")
        if not self.stream:
            yield Step("stream", 'none was named: --options \'{"stream":"NAME"}\'', skipped=True)
            return
        try:
            info = await manager.stream_info(self.stream)
        except NotFoundError:
            advice = "create it, or have an output or input do so (option create); or give the right name"
            yield Step("stream", f"there is no stream {self.stream!r}", advice)
            return
        yield _of_stream(self.stream, info)
        async for step in self._readers(manager, info):
            yield step

    async def _readers(self, manager: JetStreamManager, info: StreamInfo) -> AsyncIterator[Step]:
        consumers = await manager.consumers_info(self.stream)
        if not consumers:
            text = "nobody has read this stream so far: it has no consumer"
            yield Step("consumers", text, skipped=True)
        for one in consumers[:_MOST_LISTED]:
            yield _of_consumer(one)
        if info.state.messages:
            yield Step("canary", "none was sent: the stream would keep it", skipped=True)


def _of_stream(name: str, info: StreamInfo) -> Step:
    state, config = info.state, info.config
    text = f"{name} has {plural(state.messages)} ({state.bytes} bytes)"
    cluster = info.cluster
    others = (cluster.replicas or []) if cluster else []
    if cluster and others:
        text += f"; {len(others) + 1} servers store it, and {cluster.leader or 'none'} leads"
        if missing := [str(one.name) for one in others if one.offline or not one.current]:
            advice = "start them, or wait until they have caught up: until then it survives fewer failures"
            return Step("stream", f"{text}; not up to date: {', '.join(missing)}", advice)
    used = max(
        have / most
        for have, most in ((state.bytes, config.max_bytes), (state.messages, config.max_msgs), (0, 1))
        if most and most > 0
    )
    if used >= _FULL and getattr(config.discard, "value", config.discard) == "new":
        advice = "have it read (retention workqueue), remove messages, or raise its max_bytes and max_msgs"
        return Step("stream", f"{text}; it is full, and accepts nothing more", advice)
    return Step("stream", text)


def _of_consumer(info: ConsumerInfo) -> Step:
    waiting, open_ = info.num_pending or 0, info.num_ack_pending or 0
    text = f"{info.name}: {plural(waiting)} to be read, {open_} not acknowledged"
    if info.paused:
        return Step("consumer", f"{text}; it is paused", f"resume it: nats consumer resume {info.name}")
    if waiting and not open_ and not info.num_waiting:
        advice = f'start a node: --input JetStream --input_options \'{{"durable":"{info.name}", ...}}\''
        return Step("consumer", f"{text}, and no node reads", advice)
    return Step("consumer", text)
