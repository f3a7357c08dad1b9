"""The sockets of either end of an acknowledged hop, what comes through them, and who does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from message_passing.errors import Fault, OpenError
from message_passing.zeromq.hop.frames import Data, OtherVersionError, ProtocolError, decode
from message_passing.zeromq.misfits import FITTING_TYPES, type_misfit
from message_passing.zeromq.receiving import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from message_passing.zeromq.hop.frames import HopMessage
    from message_passing.zeromq.received import Message
    from message_passing.zeromq.settings import SocketSettings

_AT_ONCE = 64
"""Messages that are received before something is sent."""


class HopState(Protocol):
    """What both ends have."""

    def peers(self) -> list[Hashable]:
        """All peers."""

    def greeting(self) -> HopMessage:
        """Who this is."""

    def next_message(self, key: Hashable, now: float) -> HopMessage | None:
        """What is to be sent to a peer."""

    def sent(self, key: Hashable, message: HopMessage, now: float) -> None:
        """It was sent."""

    def next_time(self, now: float) -> float:
        """When there is something to do again."""


class HopSockets:
    """One ROUTER, whose peers are known by their routing ids; or a DEALER for each endpoint, known by its number.

    Attributes:
        receivers: the sockets: one, or those of several DEALERs.
        strange: messages that were not of the protocol.
    """

    def __init__(self, settings: SocketSettings, queue_bytes: int | None, key_field: str = "") -> None:
        self.strange = 0
        several = settings.socket_type == "DEALER" and len(settings.connect) > 1
        each = [replace(settings, connect=(one,)) for one in settings.connect] if several else [settings]
        self._routes = settings.socket_type == "ROUTER"
        self._settings = settings
        self._fitting = FITTING_TYPES[settings.socket_type]
        self.receivers = [Receiver(one, queue_bytes=queue_bytes, key_field=key_field) for one in each]

    def open(self) -> None:
        """Open all.

        Raises:
            OpenError: with what every one of them has found.
        """
        faults: list[Fault] = []
        for receiver in self.receivers:
            try:
                receiver.open()
            except OpenError as error:
                faults += error.faults
        if faults:
            self.close()
            raise OpenError(*faults)

    def close(self, linger: int = 0) -> None:
        """Close all; what was sent has so many milliseconds to leave."""
        for receiver in self.receivers:
            receiver.close(linger)

    @property
    def file_descriptors(self) -> list[int]:
        """Readable when there may be something to receive."""
        return [receiver.file_descriptor for receiver in self.receivers]

    def on_ready(self, wake: Callable[[], object]) -> None:
        """See `Receiver.on_ready`."""
        for receiver in self.receivers:
            receiver.on_ready(wake)

    def fixed_peers(self) -> list[Hashable]:
        """The peers of DEALERs: one for each."""
        return [] if self._routes else list(range(len(self.receivers)))

    def received(self, state: HopState, strange: Mapping[type, str]) -> Iterator[tuple[Hashable, HopMessage]]:
        """What has come, a bounded number of messages.

        Args:
            state: of this end.
            strange: what a peer that says this must be.
        """
        for number, receiver in enumerate(self.receivers):
            for came in receiver.receive_parts(_AT_ONCE):
                key: Hashable = came.frames[0] if self._routes else number
                try:
                    message = decode(came.frames[1:] if self._routes else came.frames)
                except ProtocolError as error:
                    self._is_strange(receiver, came, f"protocol error: {error}")
                    if isinstance(error, OtherVersionError):
                        self._greet_back(key, state)
                    continue
                if came.peer_type and came.peer_type not in self._fitting:
                    self._is_strange(receiver, came, type_misfit(self._settings.socket_type, came.peer_type))
                elif misfit := strange.get(type(message)):
                    self._is_strange(receiver, came, misfit)
                    self._greet_back(key, state)
                elif came.user and isinstance(message, Data):
                    yield key, replace(message, user=came.user)
                else:
                    yield key, message

    def _is_strange(self, receiver: Receiver, came: Message, text: str) -> None:
        self.strange += 1
        address = (
            receiver.address_of(came.descriptor) or came.address
        )  # it may not be known yet with its port
        receiver.notices.say(f"strange {text}", f"{address or 'a peer'}: {text}", address)

    def _greet_back(self, key: Hashable, state: HopState) -> None:
        """A DEALER that does not fit, and has greeted, is told who is here, so that its side reports it, too."""
        if self._routes:
            self.send(key, state.greeting())

    def send(self, key: Hashable, message: HopMessage) -> bool:
        """Send something to a peer, if there is room now."""
        frames = message.encode()
        if isinstance(key, bytes):
            return self.receivers[0].send_parts([key, *frames])
        assert isinstance(key, int)  # noqa: S101 - a DEALER's number
        return self.receivers[key].send_parts(frames)

    def send_all(self, state: HopState, now: float) -> bool:
        """Send everything that is due, as far as there is room; return whether anything was."""
        some = False
        for key in state.peers():
            while message := state.next_message(key, now):
                if not self.send(key, message):
                    break
                state.sent(key, message, now)
                some = True
        return some
