"""What every component promises, tried on every component that the registry finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from message_passing import registry
from message_passing.testing import check_component, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REGEXFILE = "[FORMAT]\n:nginxaccesslog = %status\n[REGEXP]\n%status = (?#=status)\\d+(?#!status)\n"

EVERYTHING = [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


def regexfile(directory: Path) -> dict[str, Any]:
    """A regexfile of the test's own."""
    path = directory / "regexfile"
    path.write_text(REGEXFILE, encoding="utf-8")
    return {"regexfile": str(path), "capture": ["status"]}


ELSEWHERE: dict[tuple[str, str], Callable[[Path], dict[str, Any]]] = {
    ("input", "Socket::UDP"): lambda _: {"port": 0},
    ("input", "ZeroMQ"): lambda _: {"socket_bind": f"tcp://127.0.0.1:{free_port()}"},
    ("input", "JetStream"): lambda _: {"servers": f"127.0.0.1:{free_port()}"},
    ("output", "JetStream"): lambda _: {"servers": f"127.0.0.1:{free_port()}", "flush_timeout": 0.1},
    ("input", "Kafka"): lambda _: {"bootstrap_servers": f"127.0.0.1:{free_port()}"},
    ("output", "Kafka"): lambda _: {"bootstrap_servers": f"127.0.0.1:{free_port()}", "flush_timeout": 0.1},
    ("input", "Redis::Streams"): lambda _: {"url": f"redis://127.0.0.1:{free_port()}"},
    ("output", "Redis::Streams"): lambda _: {"url": f"redis://127.0.0.1:{free_port()}", "flush_timeout": 0.1},
    ("input", "Redis"): lambda _: {"port": free_port()},
    ("output", "Redis"): lambda _: {"port": free_port(), "flush_timeout": 0.1},
    ("output", "Socket::UDP"): lambda _: {"port": free_port()},
    ("output", "ZeroMQ"): lambda _: {"connect": f"tcp://127.0.0.1:{free_port()}"},
    ("filter", "Regexp"): regexfile,
}
"""Whose example names a port or file that a machine may not have: what the test gives instead."""


def test_the_registry_is_not_empty() -> None:
    """There is something of every kind to try."""
    assert {kind for kind, _ in EVERYTHING} == set(registry.PACKAGES)
    assert len(EVERYTHING) >= 20


def test_no_exception_without_a_component() -> None:
    """What is given instead of an example is for a component that exists."""
    assert set(ELSEWHERE) <= set(EVERYTHING)


@pytest.mark.parametrize(("kind", "name"), EVERYTHING)
def test_keeps_the_contract(kind: str, name: str, tmp_path: Path) -> None:
    """It is documented, checks its options, lives and dies cleanly, and counts."""
    elsewhere = ELSEWHERE.get((kind, name))
    check_component(registry.find(kind, name), **(elsewhere(tmp_path) if elsewhere else {}))


@pytest.mark.parametrize(("kind", "name"), EVERYTHING)
def test_is_found_in_any_case(kind: str, name: str) -> None:
    """The documented name leads to the class that has it, however it is capitalised."""
    cls = registry.find(kind, name.swapcase())
    assert cls is registry.find(kind, name)
    assert (cls.name, cls.kind) == (name, kind)
