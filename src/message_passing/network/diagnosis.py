"""Steps of `message-passing doctor`, and the base of what an engine's package contributes to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from message_passing.network.engine import EngineComponent
from message_passing.network.reasons import NOT_WANTED, says_little

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step.

    Attributes:
        name: `connect`.
        text: what was found, a sentence.
        advice: what to do if it failed; empty otherwise.
        skipped: it could not be checked, which is not a failure.
    """

    name: str
    text: str
    advice: str = ""
    skipped: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.advice


class EngineDiagnosis(EngineComponent):
    """What `doctor` finds out about a server of an engine, with the options that its inputs and outputs have.

    An engine's package has a module `diagnosis` with a subclass, which is found by its `schemes`.
    """

    # `doctor` reads this from the file, without importing it: a subclass has a tuple of texts, in one line.
    schemes: ClassVar[tuple[str, ...]] = ()
    """The schemes of its addresses: `nats` for `nats://`."""

    address_option: ClassVar[str] = ""
    """The option that the address is given to."""

    @classmethod
    def address_of(cls, endpoint: str) -> str:
        """The value of that option for an endpoint."""
        return endpoint

    def examine(self, seconds: float) -> Iterator[Step]:
        """What the server says, once it accepts connections; up to a step that fails.

        Args:
            seconds: that each step may take.
        """
        raise NotImplementedError


def advice_on_refusal(component: str, reason: str) -> str:
    """What to do about a server that does not accept this client.

    Args:
        component: what has the options: `JetStream`.
        reason: what the server said, or did.
    """
    if NOT_WANTED in reason:
        return "another program uses this port: give the right one, or stop that program"
    if says_little(reason):
        return "see whether this is the right port; the log of the server may say more"
    return f"give --options as the component has them: `message-passing describe {component}` lists them"
