"""A server for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine_parts import nodes_of_test
from redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["nodes_of_test"]  # a fixture of the tests here


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that runs, and keeps what it has in a file."""
    found = RedisServer(tmp_path, appendonly="yes")
    found.start()
    yield found
    found.end()
