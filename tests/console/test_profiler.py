"""Which component the time goes to."""

from __future__ import annotations

import threading
import time
from typing import Any

from message_passing.flow import Filter
from message_passing.profiler import SamplingProfiler
from message_passing.testing import wait_for
from support import Kept


class Slow(Filter):
    """Is busy for as long as it is told to be."""

    def on_init(self) -> None:
        """Not yet."""
        super().on_init()
        self.go_on = threading.Event()
        self.entered = threading.Event()

    def filter(self, message: Any) -> Any:
        """Work."""
        self.entered.set()
        while not self.go_on.is_set():
            time.sleep(0.001)
        return message


def test_the_innermost_component_is_the_busy_one() -> None:
    """A filter that calls the next one does not do the next one's work; and nobody's time is nobody's."""
    kept, profiler = Kept(), SamplingProfiler()
    slow = Slow(output_to=kept)
    first = Slow(output_to=slow)
    first.go_on.set()
    names = {id(one): name for one, name in ((first, "first"), (slow, "slow"), (kept, "kept"))}
    thread = threading.Thread(target=first.consume, args=(1,))
    thread.start()
    try:
        wait_for(slow.entered.is_set)
        for _ in range(50):
            profiler.sample(thread.ident or 0, names)
        assert profiler.shares() == {"slow": 1.0}
    finally:
        slow.go_on.set()
        thread.join()
    for _ in range(50):
        profiler.sample(thread.ident or 0, names)
    assert (profiler.shares() or {})["slow"] == 0.5


def test_too_few_looks_say_nothing_and_old_ones_fade() -> None:
    """So that what is shown is of the last seconds."""
    profiler = SamplingProfiler()
    assert profiler.shares() is None
    for _ in range(50):
        profiler.sample(0, {})
    assert profiler.shares() == {}
    for _ in range(30):
        profiler.decay()
    assert profiler.shares() is None
    profiler.forget()
