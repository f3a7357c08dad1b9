"""Testing a component against the contract of all components: see `check_component`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from message_passing import options
from message_passing.errors import OpenError, OptionError, OutputClosedError
from message_passing.flow import Input, Output, Source
from message_passing.lines import ImmutableBatch, message_count
from message_passing.outputs.test import TestOutput
from message_passing.testing._settling import deliver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from message_passing.component import Component
    from message_passing.delivery import Outcome
    from message_passing.metrics import Snapshot

    _Check = Callable[[type[Any], dict[str, Any]], Iterator[str]]

_PATIENCE = 2.0
"""Seconds that a thread or socket may take to disappear, and an input to stop."""

_MESSAGES: tuple[Any, ...] = (
    b"",
    b"0",
    b"\xff\x00\xfe garbage",
    b'{"message":"text"}',
    "text",
    {"message": "text", "n": 1, "nested": {"list": [1, None]}},
    {},
    ["a", "list"],
    0,
)


class ContractError(AssertionError):
    """A component breaks the contract: one line for each broken promise."""


def check_component(cls: type[Component], **given: Any) -> None:
    """Test a component class against the contract of all components.

    It is documented, and so is every option; its `example` is accepted, and an unknown option is rejected with the
    nearest name; it opens and closes, twice, and leaves no file, thread or task behind; an input stops when it is
    told to; an output or filter takes any message, in batches and alone, without raising, its counters add up, and
    one bad message does not fail its neighbours; it does not change the batch that it is given; a delivery is settled
    once, and not while some of it is held; `flush` ends, and nothing is lost uncounted.

    It works in an empty directory of its own. What the component opens there, or on the network, is real.

    Args:
        cls: a subclass of `Input`, `Filter` or `Output`.
        given: options that override those of its `example`, such as a free port.

    Raises:
        ContractError: with each broken promise, whose fault it is, and what to do.
    """
    checks: list[_Check] = [_described, _options_checked]
    live: list[_Check] = [_opens_and_closes, _counts, _settles]
    values = {**cls.example, **given}
    faults = [fault for check in checks for fault in check(cls, values)]
    if not faults:
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            try:
                for check in live:
                    faults = faults or [*check(cls, values)]
            except OpenError as error:
                faults = [_cannot_open(values, error)]
    if faults:
        raise ContractError("\n".join(f"{cls.__qualname__}: {fault}" for fault in faults))


def _cannot_open(values: dict[str, Any], error: OpenError) -> str:
    return (
        f"it cannot be opened with {values} ({_one_line(error)}): if that is this machine's fault, give "
        "check_component other options (free_port() finds a port)"
    )


def _one_line(error: Exception) -> str:
    return "; ".join(str(error).splitlines())


def _described(cls: type[Any], _values: dict[str, Any]) -> Iterator[str]:
    if not (cls.__dict__.get("__doc__") or "").strip():
        yield "the class has no docstring of its own: write one, it is the reference for users"
    for name, one in _declared(cls).items():
        if not one.description:
            yield f"the class does not say what option {name!r} does: use option(description=...)"


def _options_checked(cls: type[Any], values: dict[str, Any]) -> Iterator[str]:
    try:
        cls(**cls.example)
    except OptionError as error:
        yield f"its own `example` is rejected ({_one_line(error)}): let the class show options that work"
        return
    for unknown, near in _unknown_names(cls):
        try:
            cls(**values, **{unknown: 1})
        except OptionError as error:
            if near and f"did you mean {near!r}" not in str(error):
                yield f"option {unknown!r} is rejected without suggesting {near!r}: leave that to Component"
        except Exception as error:  # noqa: BLE001 - any other is the fault that is looked for
            yield f"option {unknown!r} raises {error!r}, not OptionError: leave that to Component.__init__"
        else:
            yield f"option {unknown!r} is accepted and ignored: let __init__ pass all options to Component"


def _declared(cls: type) -> Mapping[str, options.Option]:
    return options.declared(cls)


def _unknown_names(cls: type[Any]) -> Iterator[tuple[str, str]]:
    yield "zzz_unknown", ""
    known = _declared(cls)
    for name in known:
        misspelt = name + name[-1]
        if len(name) > 3 and misspelt not in known:
            yield misspelt, name


def _opens_and_closes(cls: type[Any], values: dict[str, Any]) -> Iterator[str]:
    if faults := _live_once(cls, values):
        yield from faults
        return
    # what exists now was created once for the process (a context, a pool): only what follows is a leak
    files, threads = _open_files(), set(threading.enumerate())
    for _ in range(2):
        yield from _live_once(cls, values)
    deadline = time.monotonic() + _PATIENCE
    while True:
        left = sorted(_open_files() - files)
        left += [f"thread {thread.name}" for thread in set(threading.enumerate()) - threads]
        if not left:
            return
        if time.monotonic() > deadline:
            yield f"it leaves behind {', '.join(left)}: release in on_close whatever on_open acquired"
            return
        time.sleep(0.01)


def _live_once(cls: type[Any], values: dict[str, Any]) -> list[str]:
    component, _, _ = _make(cls, values)
    faults: list[str] = []
    for door in ("open", "open", "reopen", "run", "close_one", "close_one"):
        try:
            if door != "run":
                getattr(component, door)()
            elif isinstance(component, Input):
                faults += asyncio.run(_run_and_stop(component))
        except OpenError:
            component.close()
            raise
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            faults.append(f"{door}() raises {error!r}: it may raise OpenError in on_open, nothing elsewhere")
    return faults


async def _run_and_stop(component: Input) -> list[str]:
    task = asyncio.create_task(component.run())
    await asyncio.wait([task], timeout=0.05)
    task.cancel()
    await asyncio.wait([task], timeout=_PATIENCE)
    if not task.done():
        return ["run() keeps running after it was cancelled: let asyncio.CancelledError pass"]
    component.stopped()
    error = None if task.cancelled() else task.exception()
    if error and not isinstance(error, OutputClosedError):
        return [f"run() raises {error!r}: report it with self.report, or handle it"]
    if left := asyncio.all_tasks() - {task, asyncio.current_task()}:
        names = ", ".join(one.get_name() for one in left)
        return [f"run() leaves tasks behind ({names}): cancel and await them before it ends"]
    return []


def _open_files() -> set[str]:
    """The open file descriptors of this process, by number, where the system can list them."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the directory itself, open while it is listed
                found.add(f"file descriptor {entry.name} ({entry.readlink()})")
    return {text for text in found if "/proc/" not in text}


def _counts(cls: type[Any], values: dict[str, Any]) -> Iterator[str]:
    if not issubclass(cls, Output):
        return
    failed = {}
    changes: list[str] = []
    for way in ("consume", "consume_many"):
        component, errors, arrived = _make(cls, values)
        try:
            asyncio.run(_feed(component, way, changes))
        except OutputClosedError:
            pass  # the reader has gone, which is nobody's fault
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            yield f"{way} raises {error!r}: define filter, write or their _many forms, not the methods that call them"
            continue
        finally:
            component.close()
        counted = component.snapshot()
        failed[way] = counted["failed"]
        yield from _adds_up(counted, way)
        if arrived and counted["passed"] != (count := message_count(arrived.messages)):
            yield f"it passed {count} messages on, counted {counted['passed']}: use emit"
        reported = sum(report.get("count", 1) for report in errors.messages)
        if reported < counted["failed"]:
            yield f"{counted['failed']} failed but {reported} were reported: use self.fail for both"
    if changes:
        yield "it changes the batch that it is given: return a new list, since other components have that batch too"
    elif len(set(failed.values())) > 1:
        yield (
            f"{failed['consume_many']} messages fail in a batch but {failed['consume']} when each comes "
            "alone: in filter_many or write_many, pass only the bad ones to self.fail"
        )


def _adds_up(counted: Snapshot, way: str) -> Iterator[str]:
    received = counted["received"]
    if received != len(_MESSAGES):
        yield f"{way} of {len(_MESSAGES)} messages counted {received}: do not change `metrics.received`"
    lost = sum(counted["dropped"].values()) + counted["failed"]
    accounted = counted["passed"] + counted["filtered"] + counted["held"] + lost
    several = counted["passed"] > received  # it makes several messages of one
    if counted["passed"] < 0 or accounted < received or (accounted > received and not several):
        yield f"its counters do not add up after {way} ({counted}): count each message once"


async def _feed(component: Output, way: str, changes: list[str]) -> None:
    messages = _Watched(copy.deepcopy(_MESSAGES), changes)
    if way == "consume_many":
        component.consume_many(messages)
    else:
        for message in messages:
            component.consume(message)
    await component.drain()
    component.close()


def _settles(cls: type[Any], values: dict[str, Any]) -> Iterator[str]:
    if not issubclass(cls, Output):
        return
    component, _, _ = _make(cls, values)
    outcomes: list[Outcome] = []
    try:
        yield from asyncio.run(deliver(component, copy.deepcopy([*_MESSAGES]), outcomes, _PATIENCE))
    finally:
        component.close()
    if len(outcomes) != 1:
        yield f"a batch is settled {len(outcomes)} times, though it is closed: release each hold that it takes"
    yield from _adds_up(component.snapshot(), "deliver")


class _Watched(ImmutableBatch[Any]):
    """A batch that records attempts to change it; so does a slice of it."""

    def __init__(self, messages: Iterable[Any], changes: list[str]) -> None:
        super().__init__(messages)
        self._changes = changes

    def refuse(self) -> NoReturn:
        """Note it."""
        self._changes.append("changed")
        super().refuse()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Watched(found, self._changes) if isinstance(index, slice) else found


def _make(cls: type[Any], values: dict[str, Any]) -> tuple[Any, TestOutput, TestOutput | None]:
    """A component, what its error chain receives, and what it passes on (None for an output)."""
    errors = TestOutput()
    component = cls(**{"error": errors, **values})
    arrived = None
    if isinstance(component, Source) and "output_to" not in values:
        arrived = TestOutput()
        component.connect_to(arrived)
    return component, errors, arrived
