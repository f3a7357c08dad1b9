"""Metrics: as Prometheus' own tools understand them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from console.watched import Watched, watched
from documents import ROOT, blocks
from message_passing.testing import free_port, wait_for
from nodes import part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLLOWED = ("--input", "STDIN", "--filter", "Follow", "--output", "STDOUT")

needs_prometheus = pytest.mark.program("prometheus", "promtool")


@contextmanager
def prometheus(folder: Path, one: Watched) -> Iterator[int]:
    """A real Prometheus that scrapes a node each second; the port on which it is asked."""
    port = free_port()
    config = folder / "prometheus.yml"
    job = {"job_name": "node", "static_configs": [{"targets": [f"127.0.0.1:{one.port}"]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    command = [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def asked(port: int, query: str) -> list[Any]:
    """What a query gives; nothing while Prometheus is not there yet."""
    try:
        url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found
    except OSError:
        return []


@needs_prometheus
def test_promtool_finds_nothing_to_complain_of() -> None:
    """Names, units, types and help are as its conventions ask."""
    with watched(*FOLLOWED) as one:
        one.node.write(b'{"sender":"a","sequence":1}\n{"sender":"a","sequence":3}\nno JSON\n')
        wait_for(lambda: one.component("output")["received"] == 2)
        _, metrics = one.ask("/metrics")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607 - Debian's, on PATH
        input=metrics,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b""), metrics
    text = metrics.decode()
    assert 'message_passing_messages_received_total{component="decoder",kind="decoder"} 3.0' in text
    assert 'message_passing_messages_failed_total{component="decoder",kind="decoder"} 1.0' in text
    assert "message_passing_senders_lost_total 1.0" in text


@needs_prometheus
def test_a_real_prometheus_scrapes_it(tmp_path: Path) -> None:
    """What it then says of a counter is what came."""
    with watched(*FOLLOWED) as one, prometheus(tmp_path, one) as port:
        one.node.write(b'{"a":1}\n' * 42)
        query = 'message_passing_messages_passed_total{component="output"}'.replace('"', "%22")
        wait_for(lambda: any(found["value"][1] == "42" for found in asked(port, query)), timeout=60)
        assert asked(port, "up")[0]["value"][1] == "1"


@needs_prometheus
def test_the_guide_s_rules_and_scrape_are_what_prometheus_takes(tmp_path: Path) -> None:
    """And every metric that the rules name is one that a node has."""
    scrape, rules = (
        block.text for block in blocks(ROOT / "docs/guide-operate.md") if block.language == "yaml"
    )
    (tmp_path / "prometheus.yml").write_text(scrape)
    (tmp_path / "rules.yml").write_text(rules)
    for what, name in (("config", "prometheus.yml"), ("rules", "rules.yml")):
        command = ["promtool", "check", what, str(tmp_path / name)]
        checked = subprocess.run(command, capture_output=True, check=False, timeout=30)
        assert checked.returncode == 0, checked.stderr
    words = [*part("input", "STDIN"), "--filter", "Follow"]
    output = part(
        "output",
        "ZeroMQ",
        socket_bind=f"tcp://127.0.0.1:{free_port()}",
        socket_type="PUSH",
        socket_hwm=1,
        when_full="drop_newest",
    )
    with watched(*words, *output) as one:
        one.node.write(b'{"a":1}\n' * 100)
        wait_for(lambda: one.component("output")["dropped"])
        _, metrics = one.ask("/metrics")
    for name in re.findall(r"message_passing_\w+", rules):
        assert f"\n{name}" in metrics.decode()


def test_names_of_a_stranger_cannot_break_the_format(tmp_path: Path) -> None:
    """A component's name is a label's value, whatever is in it."""
    named = {
        "inputs": {'i"\n\\{} 1': {"class": "STDIN", "output_to": "o"}},
        "outputs": {"o": {"class": "STDOUT"}},
    }
    config = tmp_path / "c.json"
    config.write_text(json.dumps(named))
    with watched("--configfile", str(config)) as one:
        _, metrics = one.ask("/metrics")
        assert 'component="i\\"\\n\\\\{} 1"' in metrics.decode()
