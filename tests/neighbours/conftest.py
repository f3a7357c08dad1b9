"""What tests of the frameworks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A real Redis; its URL."""
    with redis_server(tmp_path) as url:
        yield url
