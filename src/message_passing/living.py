"""Components with work of their own in the event loop: background tasks, and the last flush."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from message_passing.component import Component
from message_passing.errors import MessagePassingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

FLUSH_AT_CHANGE = 5.0
"""Seconds that a component may take to flush when it is removed from a running chain."""


def lives(component: Component) -> bool:
    """Whether something would be lost if it were closed without the event loop."""
    return _defines(component, "background") or flushes(component)


def flushes(component: Component) -> bool:
    """Whether it defines `flush`."""
    return _defines(component, "flush")


def _defines(component: Component, name: str) -> bool:
    return getattr(type(component), name) is not getattr(Component, name)


class Backgrounds:
    """The background tasks of components while the chain runs, within one event loop."""

    def __init__(self, on_failure: Callable[[Component, Exception], object]) -> None:
        """Start with no tasks.

        Args:
            on_failure: called when one has raised.
        """
        self._on_failure = on_failure
        self._tasks: dict[Component, asyncio.Task[None]] = {}
        self._leaving: dict[Component, asyncio.Task[None]] = {}  # each waits for the one before

    def begin(self, components: Iterable[Component]) -> None:
        """Start the tasks of open components that have not been started."""
        for one in components:
            if one.is_open and one not in self._tasks and _defines(one, "background"):
                self._tasks[one] = asyncio.create_task(self._run(one), name=f"{one.label} background")

    async def _run(self, component: Component) -> None:
        try:
            await component.stop_request.failing(component.background())
        except Exception as error:  # noqa: BLE001 - whatever it raises ends the chain
            self._on_failure(component, error)

    def retire(self, component: Component) -> None:
        """Flush a component removed from a running chain, for a bounded time, and close it.

        One after the other, in the order that messages flow: the next one is still open for what one passes on.
        """
        before = [*self._leaving.values()][-1:]
        task = asyncio.create_task(self._retire(component, before), name=f"{component.label} leaves")
        self._leaving[component] = task

    @property
    def are_leaving(self) -> bool:
        """Whether some have not been closed yet."""
        return any(not task.done() for task in self._leaving.values())

    async def _retire(self, component: Component, before: list[asyncio.Task[None]]) -> None:
        try:
            if before:
                await asyncio.wait(before)
            async with asyncio.timeout(FLUSH_AT_CHANGE):
                await component.stop_request.failing(component.flush())
        except TimeoutError as error:
            text = f"it has left the chain, and could not pass on what it held within {FLUSH_AT_CHANGE:g} s"
            component.report(MessagePassingError(text) if component.held() else error)
        except Exception as error:  # noqa: BLE001 - it is closed whatever it does; what it has left is counted
            component.report(error)
        finally:
            await self._stop([component])
            close_alone(component)

    async def left(self) -> None:
        """Wait until all that are leaving are closed."""
        if self._leaving:
            await asyncio.wait(self._leaving.values())

    async def end(self) -> None:
        """Cancel all tasks; those that are leaving are closed without a flush."""
        leaving = [*self._leaving]
        await _cancelled(self._leaving.values())
        await self._stop([*self._tasks])
        for component in leaving:
            close_alone(component)

    async def _stop(self, components: Iterable[Component]) -> None:
        await _cancelled([task for one in components if (task := self._tasks.pop(one, None))])


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def close_alone(component: Component) -> None:
    """Close it, and report what that raises."""
    try:
        component.close_one()
    except component.stop_request.caught as error:  # the others must still be closed
        component.report(error)
