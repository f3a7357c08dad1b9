"""A durable consumer as somebody wants it: created where it is missing, compared where it exists, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.errors import needs_extra
from message_passing.jetstream.client import API_TIMEOUT
from message_passing.jetstream.streams import API_ERRORS, api_reason

with needs_extra("jetstream"):
    from nats.js.errors import APIError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nats.js.api import ConsumerInfo

    from message_passing.jetstream.client import CheckedClient

_EXISTS = (10013, 10148)
"""`JSConsumerNameExistErr` and `JSConsumerAlreadyExists` of nats-server's server/errors.json."""


@dataclass(frozen=True, slots=True)
class ConsumerWish:
    """The options of a consumer: see the JetStream input."""

    stream: str
    durable: str
    filter_subject: str
    deliver_policy: str
    ack_wait: float
    max_ack_pending: int
    max_deliveries: int

    def config(self, begun: datetime | None = None) -> dict[str, Any]:
        """What the server is asked to create; times in nanoseconds.

        Args:
            begun: when there was one before, which had what was new then.
        """
        since = begun if self.deliver_policy == "new" else None
        found: dict[str, Any] = {
            "name": self.durable,
            "durable_name": self.durable,
            "deliver_policy": "by_start_time" if since else self.deliver_policy,
            **({"opt_start_time": since.isoformat()} if since else {}),
            "ack_policy": "explicit",
            "ack_wait": round(self.ack_wait * 1e9),
            "max_deliver": -1,
            "max_ack_pending": self.max_ack_pending,
        }
        return {**found, "filter_subject": self.filter_subject} if self.filter_subject else found

    def unusable(self, found: Any) -> str:
        """Why an existing consumer cannot be used; empty if it can."""
        if found.deliver_subject:
            return "it pushes its messages: a pull consumer is needed"
        if found.headers_only:
            return "it gives headers without what the messages contain (headers_only)"
        policy = getattr(found.ack_policy, "value", found.ack_policy)
        if policy != "explicit":
            return f"its ack_policy is {policy}: it must be explicit"
        return ""

    def differences(self, found: Any) -> list[str]:
        """In which options an existing one differs, in words."""
        pairs = [
            (
                "filter_subject",
                found.filter_subject or ", ".join(found.filter_subjects or ()),
                self.filter_subject,
            ),
            ("ack_wait", found.ack_wait, self.ack_wait),
            ("max_ack_pending", found.max_ack_pending, self.max_ack_pending),
            ("inactive_threshold", found.inactive_threshold or 0, 0),
        ]
        told = [
            f"{name} {have or 'none'}, not {want or 'none'}" for name, have, want in pairs if have != want
        ]
        if (most := most_deliveries(found)) and not 0 < self.max_deliveries <= most:
            text = f"max_deliver {most}: what the chain loses so often fails, and what nodes had that died is gone"
            told.append(text)
        return told


def most_deliveries(found: Any) -> int:
    """How often an existing consumer delivers a message at most; 0 for no limit."""
    return max(0, found.max_deliver or 0)


def latest_given(found: ConsumerInfo) -> tuple[int, int]:
    """The latest message that a consumer has given to anybody: its numbers in the stream and of the consumer."""
    given = found.delivered
    return (int(given.stream_seq), int(given.consumer_seq)) if given else (0, 0)


def has_all(found: Any) -> bool:
    """Whether an existing consumer is to have each message of its stream, from somewhere on."""
    policy = str(getattr(found.deliver_policy, "value", found.deliver_policy) or "all")
    return not (found.filter_subject or found.filter_subjects or policy.startswith("last"))


class ConsumerKeeper:
    """Makes sure that the consumer exists.

    Attributes:
        trouble: why it cannot be used, as a sentence; empty if it can, as far as known.
    """

    def __init__(self, wish: ConsumerWish, tell: Callable[[str], object]) -> None:
        """Begin without knowing.

        Args:
            wish: the consumer.
            tell: called with a sentence, once, in which options an existing one differs.
        """
        self.trouble = ""
        self._wish, self._tell = wish, tell
        self._told = ""
        self._begun: datetime | None = None  # when the first one that was found was created

    async def ensure(self, client: CheckedClient) -> ConsumerInfo | None:
        """Look for the consumer of an existing stream, and create it if there is none; None if it cannot be used."""
        name = f"the consumer {self._wish.durable!r} of the stream {self._wish.stream!r}"
        try:
            found = await self._found(client)
            (
                latest_given(found),
                most_deliveries(found.config),
                has_all(found.config),
            )  # if it is an answer at all
        except API_ERRORS as error:
            self.trouble = f"{name}: {api_reason(error)}"
            return None
        if reason := self._wish.unusable(found.config):
            self.trouble = f"{name} cannot be used: {reason}"
            return None
        self.trouble = ""
        if self._begun is None:
            self._begun = self._last = found.created
        elif found.created != self._last:
            self._last = found.created
            what = f"what is stored since {self._begun:%Y-%m-%dT%H:%M:%SZ}"
            what = what if self._wish.deliver_policy == "new" else "all that is stored"
            self._tell(f"{name} is another one than before: it begins with {what}")
        different = "; ".join(self._wish.differences(found.config))
        if different and different != self._told:
            self._tell(f"{name} exists, and is used as it is: it has {different}")
        self._told = different
        return found

    async def _found(self, client: CheckedClient) -> ConsumerInfo:
        manager = client.manager()
        try:
            found: ConsumerInfo = await manager.consumer_info(self._wish.stream, self._wish.durable)
        except NotFoundError:
            pass
        else:
            return found
        subject = f"{client.api_prefix}.CONSUMER.CREATE.{self._wish.stream}.{self._wish.durable}"
        if self._wish.filter_subject:
            subject += f".{self._wish.filter_subject}"
        # With this action the server creates one or refuses; without, it would change one that another node has made.
        asked = {
            "stream_name": self._wish.stream,
            "config": self._wish.config(self._begun),
            "action": "create",
        }
        answer = await client.request(subject, msgspec.json.encode(asked), timeout=API_TIMEOUT)
        given = msgspec.json.decode(answer.data).get("error")
        if given and given.get("err_code") not in _EXISTS:
            raise _error_of(given)
        made: ConsumerInfo = await manager.consumer_info(self._wish.stream, self._wish.durable)
        return made


def _error_of(given: dict[str, Any]) -> APIError:
    try:
        APIError.from_error(given)
    except APIError as error:
        return error
    return APIError(description=str(given))
