"""A cluster for each module: starting one takes milliseconds, and each test has a topic of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kafka_broker import MockCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker in this process, with a topic `logs` of four partitions."""
    found = MockCluster()
    yield found
    found.end()
