"""What tests of several parts share."""

from __future__ import annotations

import asyncio
import re
import subprocess
from typing import TYPE_CHECKING, Any

from message_passing.flow import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.component import Component


class Kept(Output):
    """Keeps what it is given, in batches and all together."""

    def on_init(self) -> None:
        """Nothing yet."""
        self.batches: list[list[Any]] = []

    def write_many(self, messages: list[Any]) -> None:
        """Keep a batch."""
        self.batches.append(list(messages))

    @property
    def messages(self) -> list[Any]:
        """All of them, in the order that they came."""
        return [message for batch in self.batches for message in batch]


def accounted_for(component: Component) -> bool:
    """Whether every message that a component received is counted exactly once as something else."""
    counted = component.snapshot()
    elsewhere = counted["passed"] + counted["filtered"] + counted["failed"] + counted["held"]
    return counted["received"] == elsewhere + sum(counted["dropped"].values())


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing to wait on: the condition is only looked at
            await asyncio.sleep(0.001)


def perl(program: str, *arguments: str, given: bytes = b"") -> bytes:
    """What a Perl program writes to its standard output; its standard input is `given`."""
    done = subprocess.run(
        ["perl", "-e", program, *arguments],  # noqa: S607 - the Perl on PATH is the one that is meant
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
"""A time in UTC, as records, reports and lines about losses have it."""


def untimed(text: str) -> str:
    """Lines for a person without the times that some of them have behind the program's name."""
    return re.sub(rf"^([^ :]+(?: [a-z]+)?: ){TIME}: ", r"\1", text, flags=re.MULTILINE)
