"""What a sender holds: counted as it changes, so that anybody may ask how much it is at any time."""

from __future__ import annotations

import random
import threading

from message_passing.lines import MultiMessage, message_count
from message_passing.zeromq.held import Held


def some(chance: random.Random, most: int = 20) -> list[bytes]:
    """Messages, some of which are frames of several."""
    return [
        MultiMessage(b"x" * chance.randrange(9), chance.randrange(1, 5)) if chance.random() < 0.3 else b"line"
        for _ in range(chance.randrange(most))
    ]


def change(held: Held, chance: random.Random) -> None:
    """Do one of the things that are done to it."""
    queue = chance.choice([held.waiting, held.unclaimed])
    match chance.randrange(4):
        case 0:
            held.keep(queue, some(chance), chance.randrange(-1, 15))
        case 1:
            held.keep_newest(queue, some(chance), chance.randrange(-1, 15))
        case 2:
            held.remove(chance.randrange(len(held.waiting) + 1))
        case _ if chance.random() < 0.2:
            held.clear(queue)


def test_the_count_agrees_with_what_is_there() -> None:
    """Whatever was kept, displaced, sent and given up before."""
    chance = random.Random(7)  # noqa: S311 - chance for a test
    held = Held()
    for _ in range(3000):
        change(held, chance)
        assert held.carried() == message_count([*held.waiting, *held.unclaimed])


def test_it_is_asked_while_another_thread_sends() -> None:
    """A chain asks what waits in a branch, and a monitor asks too, while it changes under a lock of its own."""
    held, done = Held(), threading.Event()
    held.keep(held.waiting, [b"x"] * 10_000, 10_000)

    def busy() -> None:
        while not done.is_set():
            held.remove(100)
            held.keep(held.waiting, [b"x"] * 100, 100)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert all(9_900 <= held.carried() <= 10_000 for _ in range(2000))
    finally:
        done.set()
        thread.join()
