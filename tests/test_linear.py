"""What a message costs grows with its size and no faster, in every codec and filter that the registry finds."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import registry
from message_passing.testing import TestOutput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 10_000
"""Of the smaller message, in bytes or items; the larger one is `FACTOR` times that."""

FACTOR = 4
MOST = 10
"""How many times as much the larger one may cost: 4 is linear, 16 is quadratic."""

QUICK = 0.005
"""Seconds below which nothing is compared: a quadratic cost is far above it at these sizes."""

MODULUS = (1 << 61) - 1  # Python's hash of a number is what is left of it: sys.hash_info.modulus

TEXTS: dict[str, Callable[[int], bytes]] = {
    "a long text": lambda n: b'{"message":"%b"}' % (b"x" * n),
    "a text of escapes": lambda n: b'{"message":"%b"}' % (b"\\n\\ud83d\\ude00" * (n // 14)),
    "a text that is not ASCII": lambda n: b'{"message":"%b"}' % ("\u2028\x85\u20ac" * (n // 8)).encode(),
    "many keys": lambda n: json.dumps({f"key {i}": i for i in range(n // 8)}).encode(),
    "the same key": lambda n: b"{" + b",".join([b'"a":1'] * (n // 6)) + b"}",
    "many items": lambda n: b"[" + b",".join([b"{}"] * (n // 3)) + b"]",
    "deep": lambda n: b"[" * n + b"]" * n,
    "deep and malformed": lambda n: b'{"a":' * n,
    "a long number": lambda n: b"9" * n,
    "a long fraction": lambda n: b"0." + b"123456789" * (n // 9),
    "many long numbers": lambda n: b"[" + b",".join([b"9" * 300] * (n // 300)) + b"]",
    "many lines": lambda n: b'{"a":1}\n' * (n // 8),
    "many malformed lines": lambda n: b"x\n" * (n // 2),
    "every second line malformed": lambda n: b"{}\n}\n" * (n // 5),
    "empty lines": lambda n: b"\n" * n,
    "lines of spaces": lambda n: b" \r\n" * (n // 3),
    "line breaks of all kinds": lambda n: "\v\f\x1c\r\x85\u2028".encode() * (n // 9),
    "zeros": bytes,
    "no text": lambda n: bytes(range(128, 256)) * (n // 128),
}
"""Messages of about so many bytes, as a decoder gets them."""

OBJECTS: dict[str, Callable[[int], Any]] = {
    "tags": lambda n: {"@tags": [f"tag {i}" for i in range(n // 8)]},
    "tags that are numbers": lambda n: {"@tags": [i * MODULUS for i in range(n // 8)]},
    "tags that are objects": lambda n: {"@tags": [{"a": i} for i in range(n // 8)]},
    "tags that are lists": lambda n: {"@tags": [[i] for i in range(n // 8)]},
    "tags that are the same": lambda n: {"@tags": [{"a": 1, "b": 2}] * (n // 8)},
    "numbers": lambda n: [i * MODULUS for i in range(n // 8)],
    "many keys": lambda n: {f"key {i}": [i] for i in range(n // 8)},
    "keys with dots": lambda n: {"a." * i: {} for i in range(int(n**0.5))},
    "keys within keys": lambda n: nested("foo", n // 8),
    "a line": lambda n: {"@message": "7" * n, "level": "error" * (n // 5), "message": " " * n},
    "a line of commas": lambda n: {"@message": "1," * (n // 2), "level": "error\n" * (n // 6)},
    "a long name": lambda n: {"sender": "x" * n, "sequence": 1, "x" * n: 1},
    "a long time": lambda n: {"epochtime": "1" * n, "date": "x" * n, "__CLASS__": "x" * n},
    "numbers that are odd": lambda n: {"values": [float("nan"), 1e308, {1}, (2,)] * (n // 8)},
    "text": lambda n: "\ud800\n\u2028" * (n // 3),
    "bytes": lambda n: b"\n\r" * (n // 2),
}
"""Messages of about so many items or bytes, as a filter or an encoder gets them."""

PACKED = ("Gzip", "Bzip2", "Zstd", "Crypt::CBC")


def nested(key: str, deep: int) -> dict[str, Any]:
    """An object in an object, and so on, as deep as Python's own limit allows."""
    made: dict[str, Any] = {}
    for _ in range(min(deep, 900)):
        made = {key: made, "x" * (deep // 900): 1}
    return made


def packed(codec: str, data: bytes) -> bytes:
    """What the encoder of that name makes."""
    encoder: Any = registry.find("encoder", codec)(**options(codec))
    text: bytes = encoder.filter(data)
    return text


def options(name: str, folder: Path | None = None) -> dict[str, Any]:
    """What a component needs to be told."""
    if name == "Crypt::CBC":
        return {"encryption_key": "a passphrase", "encryption_cipher": "AES"}
    if name == "Regexp" and folder:
        path = folder / "regexfile"
        path.write_text(
            "[FORMAT]\n:nginxaccesslog = %n.*\n[REGEXP]\n%n = (?#=n)\\d+(?#!n)\n", encoding="utf-8"
        )
        return {"regexfile": str(path), "capture": ["n"], "mutate": {"n": "number"}}
    return {}


def shapes(kind: str, name: str) -> dict[str, Callable[[int], Any]]:
    """The messages that such a component is tried with."""
    if kind != "decoder":
        return {**OBJECTS, **TEXTS}
    if name not in PACKED:
        return {**TEXTS}
    found: dict[str, Callable[[int], Any]] = {**TEXTS}
    for shape, make in TEXTS.items():
        found[f"{shape}, packed"] = lambda n, make=make: packed(name, make(n))  # type: ignore[misc]
    found["members"] = lambda n: packed(name, b"x") * (n // 50)
    found["empty members"] = lambda n: packed(name, b"") * (n // 30)
    found["large members"] = lambda n: packed(name, bytes(n)) * 20
    found["cut off"] = lambda n: packed(name, bytes(range(256)) * (n // 256))[:-9]
    found["zeros after it"] = lambda n: packed(name, b"x") + bytes(n)
    return found


def cost(make: Callable[[], Any], message: Any, measure: Callable[[Callable[[], None]], float]) -> float:
    """What a new component needs for a message, opened before and closed after."""

    async def tried() -> float:
        component = make()
        component.open()
        try:
            return measure(lambda: component.consume_many([message]))
        finally:
            component.close()

    return asyncio.run(tried())


def seconds(work: Callable[[], None]) -> float:
    """Of this process's own time."""
    gc.disable()  # without collecting first: what a thousand tests have left takes a fifth of a second each time
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        gc.enable()


def peak(work: Callable[[], None]) -> float:
    """Bytes of memory that were needed at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


EVERY = [(kind, name) for kind in ("decoder", "filter", "encoder") for name in registry.names(kind)]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_message_costs_what_it_weighs(kind: str, name: str, tmp_path: Path) -> None:
    """A message of four times the size needs about four times the time and memory, of whatever it consists."""
    cls = registry.find(kind, name)
    given = {**cls.example, **options(name, tmp_path)}

    def make() -> Any:
        return cls(**given, output_to=TestOutput(), error=TestOutput())

    for shape, message in shapes(kind, name).items():
        for measure, least in ((seconds, QUICK), (peak, 1_000_000)):
            ratio = large = 0.0
            for _ in range(3):  # the machine may have been busy with something else
                large = cost(make, message(FACTOR * SIZE), measure)
                if large < least:
                    break
                ratio = large / cost(make, message(SIZE), measure)
                if ratio < MOST:
                    break
            else:
                pytest.fail(f"{shape}: {ratio:.1f} times as much ({measure.__name__}: {large:g})")


def test_a_cost_that_grows_with_the_square_is_seen() -> None:
    """The measure itself can tell."""

    def compared(n: int) -> float:
        tags: list[Any] = []

        def work() -> None:
            for tag in range(n):
                if tag not in tags:
                    tags.append(tag)

        return seconds(work)

    assert compared(FACTOR * 2000) > MOST * compared(2000)
