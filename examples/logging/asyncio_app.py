"""asyncio: what no task handles, its event loop logs itself, and that arrives like any other record."""

import asyncio
import logging

from message_passing.logging import ZeroMQHandler

logging.basicConfig(level=logging.INFO, handlers=[ZeroMQHandler("tcp://127.0.0.1:5558", service="shop")])
log = logging.getLogger("shop")


async def work(number: int) -> None:
    log.info("working on %d", number)  # never waits: there is nothing to await
    if number == 2:
        raise LookupError("nobody looks at this task's result")


async def main() -> None:
    tasks = [asyncio.create_task(work(number), name=f"work-{number}") for number in (1, 2)]
    await asyncio.wait(tasks)


asyncio.run(main())
