"""How a component settles deliveries: tested by `check_component`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from message_passing.errors import OutputClosedError
from message_passing.flow import Input
from message_passing.living import Backgrounds

if TYPE_CHECKING:
    from message_passing.delivery import Outcome
    from message_passing.flow import Output


class Head(Input):
    """Delivers the batches that the test passes to it."""


async def deliver(
    component: Output, messages: list[Any], outcomes: list[Outcome], patience: float
) -> list[str]:
    """Deliver a batch to a component, and run it as a chain would until it is closed.

    Args:
        component: not open yet.
        messages: the batch.
        outcomes: the outcome is appended here.
        patience: seconds that flushing may take.

    Returns:
        What is wrong.
    """
    faults: list[str] = []
    component.open()
    backgrounds = Backgrounds(lambda _, error: faults.append(f"background() raises {error!r}: report it"))
    backgrounds.begin([component])
    with contextlib.suppress(OutputClosedError):
        Head(output_to=component).deliver(messages, outcomes.append)
    early = bool(outcomes) and component.held()
    try:
        await asyncio.wait_for(component.flush(), patience)
    except OutputClosedError:
        pass
    except TimeoutError:
        faults.append(f"flush() runs for more than {patience:g} s: give up what cannot be sent")
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        faults.append(f"flush() raises {error!r}: report it with self.report, or handle it")
    if early or (outcomes and component.held()):
        faults.append(
            "a batch is settled while it still holds some of it: take self.hold() for what it keeps"
        )
    await backgrounds.end()
    return faults
