"""A real Redis, as the broker of Celery."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from message_passing.testing import free_port
from nodes import wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_redis = pytest.mark.program("redis-server")

REDIS = "redis://127.0.0.1:6379"
"""Where the examples' Redis is."""


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Debian's, on a port of its own and with nothing on disk, while the block runs; its URL."""
    port = free_port()
    words = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [shutil.which("redis-server") or "redis-server", *words], stdout=log, stderr=log
        )
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
