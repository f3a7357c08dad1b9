"""The lock that is not lost when a signal handler raises."""

from __future__ import annotations

import dis
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from logs import held
from message_passing.logging.signal_safe_lock import SignalSafeLock

if TYPE_CHECKING:
    from types import CodeType, FrameType


class Interruption(BaseException):
    """What a signal handler raises."""


def interruptible(code: CodeType) -> list[int]:
    """The offsets before which Python runs signal handlers: after calls, at the beginning, after jumps back."""
    found, pending = [], False
    for one in dis.get_instructions(code):
        if pending:
            found.append(one.offset)
        pending = one.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
    return found


def raising_at(code: CodeType, offset: int) -> Any:
    """A trace function that raises once, before the step at this offset of `code`."""
    armed = [True]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is not code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti == offset and armed:
            armed.clear()
            raise Interruption
        return trace

    return trace


def run_in_another_thread(lock: SignalSafeLock) -> list[int | None]:
    """What another thread gets, which waits a little."""
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(lock.run(lambda: 7, wait=0.2)))
    thread.start()
    thread.join()
    return got


@pytest.mark.parametrize("offset", interruptible(SignalSafeLock.run.__code__))
@pytest.mark.parametrize("taken", [False, True])
def test_it_is_free_wherever_a_signal_handler_raised(offset: int, taken: bool) -> None:
    """At each step where Python may run one, whether the lock was to be had or not: afterwards anybody gets it."""
    lock = SignalSafeLock()
    before = sys.gettrace()

    def interrupted() -> None:
        sys.settrace(raising_at(SignalSafeLock.run.__code__, offset))
        try:
            lock.run(lambda: 1)
        except Interruption:
            pass
        finally:
            sys.settrace(before)

    if taken:
        with held(lock):
            interrupted()
    else:
        interrupted()
    assert run_in_another_thread(lock) == [7]
    assert lock.run(lambda: 8) == 8


def test_one_at_a_time() -> None:
    """Who comes second gets None, at once or after the time that he waits, and has his turn when it is free."""
    lock = SignalSafeLock()
    with held(lock):
        assert lock.run(lambda: 1) is None
        assert lock.run(lambda: 1, wait=0.01) is None
    assert lock.run(lambda: 1) == 1


def test_it_is_not_taken_again_within() -> None:
    """By what the function calls, or a signal handler in the middle of it: that would be two at once."""
    lock = SignalSafeLock()
    assert lock.run(lambda: [lock.run(lambda: 1), lock.run(lambda: 2, wait=1)]) == [None, None]
    assert run_in_another_thread(lock) == [7]


def test_what_the_function_raises_goes_on_its_way() -> None:
    """And the lock is free."""
    lock = SignalSafeLock()
    with pytest.raises(ZeroDivisionError):
        lock.run(lambda: 1 // 0)
    assert run_in_another_thread(lock) == [7]
