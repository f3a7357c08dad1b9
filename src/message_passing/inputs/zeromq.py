"""Receive messages from ZeroMQ (Message::Passing::Input::ZeroMQ)."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.component import MOST_PROBLEMS
from message_passing.errors import DecodingError, Fault, OpenError, OptionError, PeerError
from message_passing.flow import Input
from message_passing.inputs._remembered import RememberedSenders
from message_passing.metrics import plural
from message_passing.options import option
from message_passing.zeromq.component import ZeroMQComponent
from message_passing.zeromq.hop.acknowledged_receiving import AcknowledgedReceiving
from message_passing.zeromq.hop.link import HopReceiver
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.sending import TOO_BIG
from message_passing.zeromq.subscriptions import prefixes_text
from message_passing.zeromq.user_id import NO_OBJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_BATCH, _LARGEST_BATCH = 16, 1000
_BATCH_BYTES = 160 * 1024
"""About how many bytes a batch may have. Larger ones leave the CPU cache before they are written; and the blocks
of a batch that is decoded and encoded would together exceed what the C library keeps when they are freed
(half a MiB): it then requests every page from the system again, which was a sixth of the time."""

_SENDERS_INTERVAL = 0.01
"""Seconds between two checks, at the end, of whether the senders have ended."""

_COUNTING = 1.0
"""The least seconds allowed for counting what is lost at the end."""

_NOTHING_CAME = 4.0
"""Seconds after which it is noted that connected senders have sent nothing."""

_SAMPLED = 16
_TURN = 0.002
"""Seconds after which other inputs run, however flooded this one is. A turn of the loop costs as much as receiving
some 40 messages."""

_BATCH_TIME = 0.05
"""Seconds that a batch may take before the next one is made smaller, so that signals are handled soon."""


class ZeroMQInput(ZeroMQComponent, Input):
    """Receives messages from a PUB or PUSH socket of this package, the original, or any other program.

    A SUB socket gets a copy of every message of every publisher, a PULL socket its share. A message is one
    ZeroMQ frame. When another publisher sends several frames (pyzmq's `PUBHandler`: topic, text), the last
    one is the message, and `subscribe` is matched on the first; a frame that begins a JSON object is always a
    message by itself. With `multipart` `each`, every frame is a message, as in the original.
    """

    name = "ZeroMQ"
    exclusive_paths = ("state_file",)
    example = MappingProxyType({"socket_bind": "tcp://*:5222"})

    socket_type: Literal["SUB", "PULL", "ROUTER", "DEALER"] = option(
        default="SUB",
        description="SUB receives everything that is published; PULL shares it with other PULLs. ROUTER (from DEALER"
        " outputs) and DEALER (from a ROUTER output, as one of several workers) acknowledge messages once the chain"
        " is done with them.",
    )
    window: int = option(
        default=64,
        ge=1,
        le=10_000,
        description="With ROUTER and DEALER: frames of about 64 KiB of one sender that may be unacknowledged.",
    )
    state_file: str = option(
        path=True,
        default="",
        min_length=1,
        description="With ROUTER and DEALER: path of a file that keeps, from one run to the next, which frames have"
        " been received, so that they are not delivered twice. It is saved once a second and at the end, so after a"
        " crash what was received in the last second may be delivered twice. Beside it, there is a `.lock`.",
    )
    subscribe: list[str] = option(
        default_factory=lambda: [""],
        description="Prefixes that a SUB socket subscribes to, compared with the message's first bytes. "
        "The default, an empty prefix, subscribes to everything.",
    )
    multipart: Literal["last", "each"] = option(
        default="last", description="Which frames of a multipart message are the message."
    )

    key_field: str = option(
        default="",
        min_length=1,
        description="Field that is set in each message to the name of the sender's key (with `allow` or "
        "PLAIN: the address, or user). Messages must then arrive as JSON objects. It costs "
        "some speed.",
    )

    queue_bytes: int = option(
        default=256 << 20,
        ge=0,
        description="The most bytes of memory that received messages, complete or incomplete, may take "
        "here. When it fills up, senders are paused; a peer whose incomplete message takes "
        "too much is disconnected. Linux only. 0: no limit but `socket_hwm`.",
    )

    def on_init(self) -> None:
        """Prepare the receiver.

        Raises:
            OptionError: `key_field` is given, but peers are not authenticated.
        """
        super().on_init()
        self._acknowledged: AcknowledgedReceiving | None = None
        self._remembered: RememberedSenders | None = None
        self.can_wait = self.socket_type != "SUB"
        if self.key_field and not (self._security and self._security.asks):
            text = f"{self.label}: key_field needs curve_allowed_keys, plain_passwords or allow"
            raise OptionError(Fault(text, "key_field"))
        try:  # a shell's bytes stay as they were
            prefixes = tuple(prefix.encode("utf-8", "surrogateescape") for prefix in self.subscribe)
        except UnicodeEncodeError as error:
            raise OptionError(Fault(f"{self.label}: subscribe is no text: {error}", "subscribe")) from error
        if self.socket_type in ("ROUTER", "DEALER"):
            self._prepare_acknowledged()
            return
        if self.state_file:
            text = f"{self.label}: state_file is for ROUTER and DEALER, which acknowledge"
            raise OptionError(Fault(text, "state_file"))
        self._receiver = Receiver(
            self.settings(self.socket_type, subscribe=prefixes),
            join_frames=self.multipart == "last",
            key_field=self.key_field,
            queue_bytes=self.queue_bytes,
        )
        self._receivers = [self._receiver]

    def _prepare_acknowledged(self) -> None:
        """Choose the mechanism for acknowledged messages."""
        self.acknowledges = True
        self._hop = HopReceiver(
            self.settings(self.socket_type),
            queue_bytes=self.queue_bytes,
            frames=self.window,
            size=self.window * (256 << 10),
            dead_after=60.0,
            key_field=self.key_field,
        )
        self._receivers = self._hop.sockets.receivers
        self._acknowledged = AcknowledgedReceiving(self._hop, self, self._tell_of_peers, self.key_field)
        if self.state_file:
            self._remembered = RememberedSenders(
                self.state_file, self._hop.consumer, lambda text: self.report(OpenError(text))
            )

    def _tell_of_peers(self) -> None:
        for receiver in self._receivers:
            self.tell(receiver.notices)
        if lost := self._hop.take_too_big():
            self.drop(lost, TOO_BIG)
            text = (
                f"dropped, and acknowledged, {plural(lost)} of more bytes than maxmsgsize ({self.maxmsgsize})"
            )
            self._receivers[0].notices.say(TOO_BIG, text)

    def would_refuse(self, message: bytes) -> str:
        """See `Input.would_refuse`: by its prefixes, and by its size."""
        prefixes = [prefix.encode("utf-8", "surrogateescape") for prefix in self.subscribe]
        if self.socket_type == "SUB" and not message.startswith(tuple(prefixes)):
            return f"it begins with no prefix that is subscribed to: {', '.join(map(repr, self.subscribe))}"
        if 0 <= self.maxmsgsize < len(message):
            return f"it has {len(message)} bytes, and maxmsgsize is {self.maxmsgsize}"
        return ""

    def on_open(self) -> None:
        """Bind or connect."""
        if self._acknowledged:
            if self._remembered:
                self._remembered.open()
            try:
                self._hop.open()
            except OpenError:
                if self._remembered:
                    self._remembered.close()
                raise
        else:
            self._receiver.open()

    def on_rewire(self) -> None:
        """Have objects marked for who needs their block; a class of one's own may change what it emits."""
        if not self._acknowledged:
            self._receiver.marks_objects = self.wiring.frames and type(self).emit is Input.emit

    async def run(self) -> None:
        """Emit what is ready, a bounded batch at a time, until cancelled."""
        if self._acknowledged:
            with self._remembered.keeping.running() if self._remembered else nullcontext():
                await self._acknowledged.run()
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        self._receiver.on_ready(functools.partial(loop.call_soon_threadsafe, ready.set))
        loop.add_reader(self._receiver.file_descriptor, ready.set)
        size, turn = _FIRST_BATCH, 0.0
        try:
            while True:
                ready.clear()
                self.tell(self._receiver.notices)
                batch = self._receiver.receive(size)
                if self._receiver.refused or self._receiver.too_big.count:
                    self._count_refused()
                elif not batch:
                    await ready.wait()
                    continue
                began, sample = time.monotonic(), batch[::_SAMPLED]
                self.emit(batch)
                batch = []  # so that it does not take memory beside the next one
                await self.drain()
                size = self._next_size(size, sample, (now := time.monotonic()) - began)
                if now >= turn:
                    await asyncio.sleep(0)
                    turn = time.monotonic() + _TURN
        finally:
            self._receiver.on_ready(lambda: None)
            loop.remove_reader(self._receiver.file_descriptor)

    async def background(self) -> None:
        """Acknowledge what is settled, until all components have been flushed; then let senders read that."""
        if self._acknowledged:
            await self._acknowledged.keep_alive(self.linger / 1000)

    def stopped(self) -> None:
        """Disconnect the senders in order, and emit everything they have sent, which exists nowhere else."""
        if self._acknowledged:  # the senders still have what is not acknowledged
            return
        self._take_rest()
        self.tell(self._receiver.notices, at_end=True)

    def _take_rest(self) -> None:
        receiver, linger = self._receiver, self.linger / 1000
        receiver.open_up(linger)
        all_told, began, ended = receiver.finish(everybody=False), time.monotonic(), False
        while time.monotonic() < began + linger / 2 and not all_told:
            self._take_or_wait()
            all_told = receiver.finish(everybody=False)
        receiver.finish(everybody=True)
        while time.monotonic() < began + linger * (1 + ended):  # what has arrived may take as long again
            ended = receiver.finished()  # checked first: nothing arrives after it
            if not self._take_or_wait() and ended:
                return
        self._count_left()

    def _take_or_wait(self) -> bool:
        """Emit what is there, if there is anything."""
        batch = self._receiver.receive(_LARGEST_BATCH)
        self._count_refused()
        if not batch:
            self._receiver.wait(_SENDERS_INTERVAL)
            return False
        self.emit(batch)
        return True

    def _count_left(self) -> None:
        """Count what is left when the time is up: it is lost."""
        unread, left = self._receiver.abort(), 0
        # Peers that we connect to may go on sending.
        deadline = time.monotonic() + max(_COUNTING, self.linger / 1000)
        while (batch := self._receiver.receive(_LARGEST_BATCH)) and time.monotonic() <= deadline:
            left += len(batch)
        self._count_refused()
        if left:
            self.drop(left, "not taken at close")
        if unread:
            text = f"{unread} bytes that had arrived were not received within linger ({self.linger} ms)"
            self.report(PeerError(text))

    def _count_refused(self) -> None:
        refused, self._receiver.refused = self._receiver.refused, []
        if refused:
            self.fail(DecodingError(NO_OBJECT), refused)
        too_big = self._receiver.too_big
        if count := too_big.count:
            too_big.count = 0
            self.drop(count, TOO_BIG)
            self._receiver.notices.say(TOO_BIG, too_big.described(self.maxmsgsize), too_big.sender)

    def info(self) -> Mapping[str, Any]:
        """Where it listens, and how peers that sent too much were handled."""
        receivers = self._receivers
        found = {
            **super().info(),
            "endpoints": tuple(one for receiver in receivers for one in receiver.endpoints()),
            "peers": sum(receiver.peers() for receiver in receivers),
            "received_bytes": sum(receiver.received_bytes for receiver in receivers),
            "refused": dict(sum((Counter(one.refused_peers()) for one in receivers), Counter())),
        }
        if disconnected := self._disconnected():
            found["disconnected"] = disconnected
        if pauses := self._pauses():
            found["pauses"] = pauses
        if self._acknowledged:
            found |= self._acknowledged.counted()
        return found

    def _disconnected(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for receiver in self._receivers:
            found.update(receiver.disconnected())
        return dict(found)

    def _pauses(self) -> int:
        return sum(receiver.pauses() for receiver in self._receivers)

    def problems(self) -> list[str]:
        """What prevents senders from reaching it; and that the chain loses what it receives."""
        found = [
            text for receiver in self._receivers if receiver.health for text in receiver.health.problems()
        ]
        if self._acknowledged and self._acknowledged.stalled:
            found.insert(0, self._acknowledged.stalled)
        if self._remembered and self._remembered.keeping.trouble:
            found.insert(0, self._remembered.keeping.trouble)
        return found[:MOST_PROBLEMS]

    def notes(self) -> list[str]:
        """Note that no sender has connected yet, or that one has and nothing has arrived."""
        return [text for receiver in self._receivers for text in self._notes_of(receiver)]

    def _notes_of(self, receiver: Receiver) -> list[str]:
        health = receiver.health
        if health is None:
            return []
        if self.metrics.received or health.connected_for() < _NOTHING_CAME:
            return health.notes()
        where, wanted = ", ".join(receiver.endpoints()), ""
        if self.socket_type == "SUB" and "" not in self.subscribe:
            prefixes = [one.encode("utf-8", "surrogateescape") for one in self.subscribe]
            wanted = f" that begins with {prefixes_text(prefixes)} (option subscribe)" if prefixes else ""
            if not prefixes:
                return [f"{where}: connected, and subscribed to nothing: option subscribe is empty"]
        return [f"{where}: connected, and no message has come yet{wanted}"]

    def summary(self) -> list[str]:
        """How many peers were disconnected for what they sent, and how often all were paused."""
        told = [
            f"disconnected {count} peer{'' if count == 1 else 's'}: {why}"
            for why, count in self._disconnected().items()
        ]
        if pauses := self._pauses():
            times = "once" if pauses == 1 else f"{pauses} times"
            told.append(
                f"paused its senders {times}, when buffered messages reached 5/8 of queue_bytes (this loses nothing)"
            )
        return told

    def on_close(self) -> None:
        """Close the socket."""
        if self._acknowledged:
            self._acknowledged.close(self.linger / 1000)
            if self._remembered:
                self._remembered.close()
        else:
            self._receiver.close()

    @staticmethod
    def _next_size(size: int, sample: list[bytes], took: float) -> int:
        if took > _BATCH_TIME:
            return max(1, size // 2)
        fitting = _BATCH_BYTES * len(sample) // (sum(map(len, sample)) or 1)
        return max(1, min(_LARGEST_BATCH, size * 2, fitting))
