"""A cluster for each module: starting one takes milliseconds, and each test has a topic of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine_parts import nodes_of_test
from kafka_broker import MockCluster
from message_passing.inputs import kafka as kafka_input
from message_passing.inputs.kafka import KafkaInput
from message_passing.kafka import watch
from message_passing.testing import wait_for

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


@pytest.fixture(autouse=True)
def _no_client_is_left() -> Iterator[None]:
    """What a component had of the library ends with it: else its threads go on, and open what others then find."""
    yield
    wait_for(lambda: not threads_of_the_library(), 20)


def threads_of_the_library() -> list[str]:
    """The names of librdkafka's threads in this process (its `rd_kafka_set_thread_sysname`)."""
    found = []
    for one in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            found.append(one.read_text(encoding="utf-8"))
    return [name for name in found if name.startswith("rdk:")]


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """One broker in this process, with a topic `logs` of four partitions."""
    found = MockCluster()
    yield found
    found.end()
