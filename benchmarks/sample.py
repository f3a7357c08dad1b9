"""Log lines as an application would send them: real-looking JSON objects, the same ones for the same seed.

python benchmarks/sample.py COUNT > sample.jsonl
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_START = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
_LEVELS = ("DEBUG", "INFO", "INFO", "INFO", "INFO", "WARNING", "ERROR")
_LOGGERS = ("shop.views", "shop.orders", "shop.payment", "auth.session", "django.request", "worker.mail")
_TEMPLATES = (
    "GET /api/v1/items/{n}?page={p} 200 {size} bytes in {ms:.1f} ms",
    "POST /api/v1/orders 201 {size} bytes in {ms:.1f} ms",
    "order {n} paid by card ending {p:04d}",
    "session {n:x} of user {p} expired after {ms:.0f} s",
    "retrying delivery of mail {n} (attempt {p})",
    "slow query: SELECT * FROM items WHERE id = {n} took {ms:.1f} ms",
    "upload \u201cr\u00e9sum\u00e9-{n}.pdf\u201d stored, {size} bytes",
)


def records(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """`count` log records as dicts."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    now = _START
    for n in range(count):
        now += timedelta(microseconds=chance.randrange(50, 20_000))
        text = chance.choice(_TEMPLATES).format(
            n=chance.randrange(10_000_000),
            p=chance.randrange(1, 10),
            size=chance.randrange(90_000),
            ms=chance.expovariate(1 / 40),
        )
        yield {
            "time": now.isoformat().replace("+00:00", "Z"),
            "level": chance.choice(_LEVELS),
            "logger": chance.choice(_LOGGERS),
            "message": text,
            "host": f"web-{chance.randrange(12):02d}.example.org",
            "process": 4000 + chance.randrange(16),
            "thread": "MainThread",
            "request": f"{chance.getrandbits(64):016x}",
            "number": n,
        }


def lines(count: int, seed: int = 1) -> list[bytes]:
    """`count` log records, each as one line of JSON without its newline."""
    return [
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        for record in records(count, seed)
    ]


if __name__ == "__main__":
    sys.stdout.buffer.writelines(line + b"\n" for line in lines(int(sys.argv[1])))
