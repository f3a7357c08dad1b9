"""A server for each test that wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine_parts import nodes_of_test
from nats_server import NatsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["nodes_of_test"]  # a fixture of the tests here


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """One that runs."""
    found = NatsServer(tmp_path / "nats")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[NatsServer]:
    """One that is started by the test."""
    found = NatsServer(tmp_path / "nats")
    yield found
    found.kill()
