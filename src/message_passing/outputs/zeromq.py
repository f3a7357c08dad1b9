"""Send messages over ZeroMQ (Message::Passing::Output::ZeroMQ)."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import monotonic
from message_passing.component import MOST_PROBLEMS
from message_passing.encoded import all_as_bytes
from message_passing.errors import Fault, MessagePassingError, OpenError, OptionError
from message_passing.flow import Output
from message_passing.metrics import Metrics, plural
from message_passing.options import option
from message_passing.output import running_loop
from message_passing.spool.directory import exposure, obstacle, shortage
from message_passing.zeromq.component import ZeroMQComponent
from message_passing.zeromq.flusher import Flusher
from message_passing.zeromq.hop.acknowledged_sending import AcknowledgedSending
from message_passing.zeromq.hop.options import AcknowledgedOptions, misplaced_spool, spooling
from message_passing.zeromq.last_wait import until_taken
from message_passing.zeromq.open_outputs import open_outputs
from message_passing.zeromq.sending import QUEUE_FULL, SEND_BATCH, TOO_BIG, UNLIMITED, Sender

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.metrics import Snapshot
    from message_passing.spool.rows import SpoolLoss
    from message_passing.zeromq.hop.spooled import SpooledSending

_SEND_PATIENCE = 1.0
"""Seconds for which a chain waits for a receiver that accepts nothing before it drops, unless it waits forever."""

_SHORTEST, _LONGEST_PAUSE = 0.001, 0.02
"""Seconds between two checks for room, which become rarer the longer nothing moves."""


class ZeroMQOutput(AcknowledgedOptions, ZeroMQComponent, Output, own_doors=True):
    """Sends messages to SUB or PULL sockets, ours, the original's or anybody's.

    It works in any program, with or without an event loop, from any thread, and never waits or sleeps: what
    cannot be sent or queued is dropped and counted. While nobody is there who takes them, messages are held: by a
    binding PUB for `subscribe_delay` after it was opened; by the others however long it takes, also when a receiver
    has gone. At most `socket_hwm` are, and 128 MiB. A message that nobody has subscribed to, though somebody has to
    others, is held as long by a binding PUB, and for 10 seconds from the first subscription on by a connecting one.
    In the first 0.2 seconds (or `subscribe_delay`, if that is less) a binding PUB holds all, so that everybody who
    waited for it gets the first messages.

    Inside a running chain, a receiver that is slow but alive slows the input down instead. PUSH waits for its workers
    as long as it takes, also when all are away, where the chain's inputs lose nothing by waiting (STDIN, FileTail,
    PULL). Otherwise, and with PUB, the chain waits while messages move, and for a second at most when they do not;
    then messages are dropped and counted. `when_full` chooses.

    After a fork the child gets a socket of its own when it first sends. A bound address stays the parent's.
    """

    name = "ZeroMQ"
    exclusive_paths = ("spool",)
    weighs = True
    confirms = "handed to the network"
    confirms_early = True
    example = MappingProxyType({"connect": "tcp://127.0.0.1:5222"})

    socket_type: Literal["PUB", "PUSH", "DEALER", "ROUTER"] = option(
        default="PUB",
        description="PUB sends every message to all subscribers; PUSH distributes messages round-robin to"
        " workers. DEALER (to one ROUTER input) and ROUTER (to DEALER inputs that share the work) keep every"
        " message until it is acknowledged.",
    )
    subscribe_delay: float = option(
        default=0.2,
        ge=0,
        description="How long a binding PUB buffers messages without a subscriber, in seconds after it "
        "was opened; and how long closing waits for a subscriber, or `linger` if that is "
        "longer. Nothing but closing waits for it.",
    )

    when_full: Literal["default", "block", "drop_newest", "drop_oldest"] = option(
        default="default",
        description="What to do when receivers have no room. `block`: the chain waits, and reads no more "
        "meanwhile; a program without a chain never waits. `drop_newest`, `drop_oldest` (of "
        "what is queued here, not in ZeroMQ): a chain waits for a second without progress, "
        "then messages are dropped and counted. `default`: `block` for PUSH after inputs that"
        " can wait (STDIN, FileTail, PULL), `drop_newest` for PUB and after SUB and UDP.",
    )

    def on_init(self) -> None:
        """Prepare; nothing is connected yet."""
        super().on_init()
        self._acknowledged: AcknowledgedSending | None = None
        self._spooled: SpooledSending | None = None
        if self.socket_type in ("DEALER", "ROUTER"):
            self._prepare_acknowledged()
        elif text := misplaced_spool(self, self.socket_type):
            raise OptionError(Fault(f"{self.label}: {text}", "spool"))
        self._lock = threading.RLock()
        self._senders: list[Sender] = []
        self._flushers: list[Flusher] = []
        self._parents = ""  # why a forked child sends nothing
        self._copies = False  # each message is sent several times
        self._ended: Counter[str] = Counter()  # the counts of closed senders
        self._possibly_lost: Counter[str] = Counter()
        self._unsent_why: list[str] = []
        self._flows: bool | None = None  # known from the first batch on

    def _prepare_acknowledged(self) -> None:
        """Use the mechanism for acknowledged messages.

        Raises:
            OptionError: an option is given that this mechanism does not have.
        """
        if self.when_full != "default":
            text = f"{self.label}: when_full is not for {self.socket_type}, which loses nothing in a chain"
            raise OptionError(Fault(text, "when_full"))
        self.confirms, self.confirms_early = "acknowledged by the receiver", False
        settings = self.settings(self.socket_type)
        if self.spool:
            self.confirms = "spooled to disk"
            made = spooling(self, self.label, "message_passing.zeromq.hop.spooled:SpooledSending")
            self._acknowledged = self._spooled = made(
                settings,
                ack_timeout=self.ack_timeout,
                directory=self.spool,
                max_bytes=self.spool_bytes,
                max_age=self.spool_age,
                when_full=self.spool_when_full,
                compress=self.spool_compress == "zstd",
                on_drop=self._dropped_from_spool,
            )
            return
        self._acknowledged = AcknowledgedSending(settings, most=self.socket_hwm, ack_timeout=self.ack_timeout)

    def _dropped_from_spool(self, loss: SpoolLoss) -> None:
        with self._lock:  # another thread counts, too
            self.drop(loss.count, loss.reason)

    def _tell_spool(self, spooled: SpooledSending, *, at_end: bool = False) -> None:
        for text in spooled.notices.take(all_counts=at_end):
            self.report(MessagePassingError(text))

    def warnings(self) -> list[str]:
        """See `ZeroMQComponent`; and that the spool cannot be written, or may grow beyond its disk."""
        spool = Path(self.spool)
        found = obstacle(spool) or exposure(spool) or shortage(spool, self.spool_bytes) if self.spool else ""
        return [*super().warnings(), *([f"{self.label}: {found}"] if found else [])]

    def on_open(self) -> None:
        """Bind or connect. Each endpoint to publish to has a socket and a queue of its own."""
        if self._acknowledged:
            self._acknowledged.open()
            open_outputs.add(self)
            for receiver in self._acknowledged.receivers:
                receiver.notices.wake = partial(self.tell, receiver.notices)
                self.tell(receiver.notices)
            if self._spooled:
                self._spooled.notices.wake = partial(self._tell_spool, self._spooled)
                self._tell_spool(self._spooled)
            return
        settings = self.settings(self.socket_type)
        each = [settings]
        if self.socket_type == "PUB" and len(settings.connect) > 1:
            each = [replace(settings, connect=(endpoint,)) for endpoint in settings.connect]
            self._copies = True
        faults: list[Fault] = []
        for one in each:
            sender = Sender(one, subscribe_delay=self.subscribe_delay, on_drop=self.drop)
            sender.drop_oldest = self.when_full == "drop_oldest"
            sender.notices.wake = partial(self.tell, sender.notices)
            try:
                sender.open()
            except OpenError as error:
                faults += error.faults
            else:
                flusher = Flusher(sender, self._lock)
                sender.outgoing.changed = flusher.changed
                self._senders.append(sender)
                self._flushers.append(flusher)
        if faults:
            self._close_senders()
            raise OpenError(*faults)
        open_outputs.add(self)

    def consume_many(self, messages: list[Any]) -> None:
        """Accept a batch from any thread: two at once would break both ZeroMQ and the counting."""
        with self._lock:
            super().consume_many(messages)

    def write_many(self, messages: list[Any]) -> None:
        """Send a batch, without waiting."""
        taken = all_as_bytes(self, messages)
        if self._parents:
            self.drop(taken, self._parents)
            return
        size = sum(map(len, taken))
        if 0 <= self.maxmsgsize < size and max(map(len, taken)) > self.maxmsgsize:
            taken = self._fitting(taken)
            size = sum(map(len, taken))
        if self._flows is None:
            self._flows = running_loop() is not None
        if self._acknowledged:
            plain = taken is messages and type(taken) is list
            self._write_acknowledged(self._acknowledged, taken, plain=plain)
            return
        overflow = self._overflow()
        for sender, flusher in zip(self._senders, self._flushers, strict=True):
            sender.overflow = overflow
            sender.send_many(taken, size)
            if sender.held:
                flusher.look_after()
                sender.hold(self.hold())

    def _write_acknowledged(
        self, sending: AcknowledgedSending, messages: Sequence[bytes], *, plain: bool
    ) -> None:
        """Take a batch that a chain waits for; a program that does not wait has what there is room for."""
        if not self.waited_for and not sending.has_room:
            self.drop(messages, QUEUE_FULL)
        else:
            sending.write(messages, self.hold(), plain=plain)
        for receiver in sending.receivers:
            self.tell(receiver.notices)

    def _fitting(self, messages: Sequence[bytes]) -> list[bytes]:
        """The messages that a receiver with our own limit accepts; it would disconnect us for any other."""
        fitting = [message for message in messages if len(message) <= self.maxmsgsize]
        self.drop([message for message in messages if len(message) > self.maxmsgsize], TOO_BIG)
        for sender in self._senders[:1]:
            size = max(map(len, messages))
            sender.notices.say(
                TOO_BIG, f"did not send a message of {size} bytes: maxmsgsize is {self.maxmsgsize}"
            )
        return fitting

    async def drain(self) -> None:
        """Wait while a receiver that is slow takes what is queued for it: see `when_full`."""
        self._flows = self.waited_for = True
        if self._acknowledged:
            await self._acknowledged.drain(self.stop_request)
            return
        for sender in self._senders:
            if sender.held:
                await self._wait_for(sender)

    def _overflow(self) -> int:
        """How many messages may wait here for a receiver that has no room.

        Whoever sends from an event loop waits for `drain`: so what a batch has too many may be kept until then. Of a
        batch that is waited for, many more messages may have been made on its way than it was read as.
        """
        if self.waited_for and self._blocks():
            return UNLIMITED
        return SEND_BATCH if self._flows or self.when_full == "drop_oldest" else 0

    def _blocks(self) -> bool:
        """Whether a chain waits for as long as it takes."""
        if self.when_full == "default":
            return self.socket_type == "PUSH" and self.sources_wait
        return self.when_full == "block"

    def _gives_up_at(self, began: float, moved: float) -> float:
        """Until when a chain waits that has waited since `began`, with the last progress at `moved`.

        After a stop, for at most `linger`; a chain that blocks does not wait at all then: it has room, and closing
        comes next.
        """
        if self.stop_request.asked:
            return self.stop_request.asked_at + (0 if self._blocks() else self.linger / 1000)
        if self._blocks():
            return math.inf
        return began if self.standing and moved == began else moved + _SEND_PATIENCE

    async def _wait_for(self, sender: Sender) -> None:
        began = moved_at = monotonic()
        pause = _SHORTEST
        while True:
            with self._lock:
                if (
                    sender not in self._senders
                ):  # closed meanwhile: it has sent or counted what it had buffered
                    return
                before = sender.sent
                sender.service()
                moved, backlog = sender.sent > before, sender.backlog()
            if not backlog:
                self.standing = self.standing and not moved
                return
            if moved:
                self.standing, moved_at, pause = False, monotonic(), _SHORTEST
            if monotonic() >= self._gives_up_at(began, moved_at):
                self.standing = True
                return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 1.1 * pause)

    async def flush(self) -> None:
        """Wait while workers keep accepting messages, if the chain waits for them; a stop ends that."""
        if self._acknowledged:
            await self._acknowledged.flush(self.stop_request)
        elif self.socket_type == "PUSH" and self._blocks():
            await until_taken(self._senders, self._lock, self.linger / 1000, self.stop_request)

    def held(self) -> int:
        """The number of messages that wait here for a receiver, or for its acknowledgement."""
        if self._acknowledged:
            return self._acknowledged.held
        return sum(sender.carried() for sender in self._senders)

    def possibly_lost(self) -> Mapping[str, int]:
        """What ZeroMQ had in its queues and does not report: see `Progress`."""
        found = self._possibly_lost.copy()
        for sender in self._senders:
            found.update(sender.possible)
        return found

    def summary(self) -> list[str]:
        """How many peers were disconnected, how often nobody could connect, and why messages were left at the end."""
        cut = self._ended["cut"] + sum(sender.outgoing.cut for sender in self._senders)
        shut = self._ended["shut"] + sum(sender.outgoing.shut for sender in self._senders)
        found = [f"{cut} connection{'s' if cut > 1 else ''} ended that sent too much to it"] if cut else []
        if shut:
            found.append(
                f"nobody could connect to it for some seconds{f', {shut} times' if shut > 1 else ''}, "
                "since connections that had ended had sent too much to it"
            )
        if self._spooled and (left := self._spooled.spooled):
            is_are = "is" if left == 1 else "are"
            found.append(
                f"{plural(left)} {is_are} in the spool {self.spool!r}, to be sent when it runs again"
            )
        return [*found, *self._unsent_why]

    def info(self) -> Mapping[str, Any]:
        """Its endpoints, how many messages it may buffer, and how many peers it has."""
        found = dict(super().info())
        if self._acknowledged:
            return {**found, "capacity": self._acknowledged.capacity, **self._acknowledged.info()}
        if senders := self._senders:
            found["endpoints"] = tuple(one for sender in senders for one in sender.outgoing.endpoints())
        refused = sum(
            (Counter(one.failures) for sender in senders if (one := sender.outgoing.peers)), Counter()
        )
        return {
            **found,
            "capacity": self.socket_hwm * max(1, len(senders)) or None,
            "peers": sum(len(sender.descriptors) for sender in senders),
            "sent_bytes": self._ended["bytes"] + sum(sender.outgoing.sent_bytes for sender in senders),
            "refused": refused,
        }

    def problems(self) -> list[str]:
        """What prevents it from sending."""
        if self._acknowledged:
            health = [one.health for one in self._acknowledged.receivers if one.health]
            connections = [text for one in health for text in one.problems()]
            return [*self._acknowledged.problems(), *connections][:MOST_PROBLEMS]
        return [text for sender in list(self._senders) for text in sender.problems()][:MOST_PROBLEMS]

    def notes(self) -> list[str]:
        """Note that no receiver has connected yet."""
        if self._acknowledged:
            known = [one.health for one in self._acknowledged.receivers if one.health]
            return [text for one in known for text in one.notes()][:MOST_PROBLEMS]
        health = [peers.health for one in list(self._senders) if (peers := one.outgoing.peers)]
        return [text for one in health for text in one.notes()][:MOST_PROBLEMS]

    def snapshot(self, *, held: int | None = None) -> Snapshot:
        """The counters now; with several endpoints, passed counts each copy."""
        counted = super().snapshot(held=held)
        if self._spooled:  # what an earlier run received, and this one has lost, this one never received
            counted["passed"] += self._spooled.dropped_earlier
        if self._copies:
            counted["passed"] = self._ended["given"] + sum(sender.given for sender in self._senders)
        return counted

    def on_close(self) -> None:
        """Send what is buffered and queued, within `linger`."""
        open_outputs.discard(self)
        if self._acknowledged:
            self._acknowledged.wait(self.stop_request.begin_closing() + self.linger / 1000)
            if self._acknowledged.held:
                self._unsent_why += [f"not sent: {text}" for text in self._acknowledged.obstacles()]
            self._acknowledged.close()
            if self._spooled:
                self._tell_spool(self._spooled, at_end=True)
        self._close_senders()

    def _close_senders(self) -> None:
        since = self.stop_request.begin_closing()
        while self._senders:
            self._flushers[0].stop()  # the other senders send meanwhile
            with self._lock:
                sender, _ = self._senders.pop(0), self._flushers.pop(0)
                sender.close(since)
                self.tell(sender.notices, at_end=True)
                self._possibly_lost.update(sender.possible)
                self._unsent_why += [f"not sent: {sender.unsent_why}"] if sender.unsent_why else []
                self._ended.update(cut=sender.outgoing.cut, shut=sender.outgoing.shut, given=sender.given)
                self._ended["bytes"] += sender.outgoing.sent_bytes

    def start_again_in_child(self) -> None:
        """After a fork: sockets, threads, locks and buffered messages belong to the parent."""
        self._lock = threading.RLock()
        for sender, flusher in zip(self._senders, self._flushers, strict=True):
            flusher.abandon()
            sender.abandon()
        self._senders, self._flushers = [], []
        if self._acknowledged:
            self._acknowledged.abandon()
            self._prepare_acknowledged()
        if self.spool:
            self._parents = "the spool is the parent process's"
        self.metrics = Metrics()
        self._holds.clear()
        self._possibly_lost.clear()
        self._ended.clear()
        if self._bind:
            self._parents = "bound by the parent process"
        elif not self._parents:
            self._opened = False
