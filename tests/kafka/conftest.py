"""A cluster for each module: starting one takes milliseconds, and each test has a topic of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine_parts import nodes_of_test
from kafka_broker import MockCluster
from message_passing.inputs import kafka as kafka_input
from message_passing.inputs.kafka import KafkaInput
from message_passing.kafka import watch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["nodes_of_test"]  # a fixture of the tests here


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library tells of itself, commits and asks more often; the mock answers each question at its last moment."""
    monkeypatch.setattr(watch, "_INTERVAL_MS", 50)
    monkeypatch.setattr(kafka_input, "_COMMIT_MS", 50)
    given = KafkaInput._consumer_config
    often = {"fetch.wait.max.ms": 20, "heartbeat.interval.ms": 100, "topic.metadata.refresh.interval.ms": 200}
    monkeypatch.setattr(KafkaInput, "_consumer_config", lambda self: {**given(self), **often})


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker in this process, with a topic `logs` of four partitions."""
    found = MockCluster()
    yield found
    found.end()
