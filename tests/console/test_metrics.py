"""Metrics: as Prometheus' own tools understand them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
import zmq
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from console.scraped import asked, eventful, needs_prometheus, prometheus
from console.watched import Watched, watched
from documents import ROOT, blocks
from message_passing.testing import free_port, wait_for
from nats_server import NatsServer
from nodes import part

if TYPE_CHECKING:
    from pathlib import Path

RULES = ROOT / "src/message_passing/console/monitoring/alerts.yml"

FOLLOWED = ("--input", "STDIN", "--filter", "Follow", "--output", "STDOUT")


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
    assert "message_passing_senders_lost 1.0" in text


@needs_prometheus
def test_a_real_prometheus_scrapes_it(tmp_path: Path) -> None:
    """What it then says of a counter is what came."""
    with watched(*FOLLOWED) as one, prometheus(tmp_path, one) as port:
        one.node.write(b'{"a":1}\n' * 42)
        query = 'message_passing_messages_passed_total{component="output"}'
        wait_for(lambda: any(found["value"][1] == "42" for found in asked(port, query)), timeout=60)
        assert asked(port, "up")[0]["value"][1] == "1"


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """The values by name and by the labels' values, as OpenMetrics' own parser reads them."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_openmetrics_for_who_asks_for_it() -> None:
    """Valid by its parser, which is stricter than Prometheus: with all that can happen to a node."""
    with eventful() as one:
        wait_for(lambda: "message_passing_newest_message_timestamp_seconds" in _openmetrics(one))
        found = samples(_openmetrics(one))
        _, plain = one.ask("/metrics")
    assert b"# EOF" not in plain
    given = 100 * len(json.dumps({"sender": "a", "sequence": 100, "time": time.time()}))
    assert found["message_passing_received_bytes_total"]["input", "input"] == pytest.approx(given, rel=0.1)
    assert found["message_passing_sent_bytes_total"]["output", "output"] == 0
    assert found["message_passing_peers"] == {("input", "input"): 1, ("output", "output"): 0}
    assert sum(found["message_passing_peers_refused_total"].values()) >= 1
    assert found["message_passing_senders_lost"][()] == 99
    assert found["message_passing_messages_failed_total"]["decoder", "decoder"] == 1
    assert found["message_passing_ready"][()] == 1
    assert abs(found["message_passing_last_message_timestamp_seconds"][()] - time.time()) < 60
    assert abs(found["message_passing_newest_message_timestamp_seconds"][()] - time.time()) < 60
    latency = found["message_passing_delivery_latency_seconds_sum"][()]
    assert 2.9 < latency / found["message_passing_delivery_latency_seconds_count"][()] < 30
    assert 0 <= found["message_passing_chain_utilization_ratio"][()] <= 1


def test_what_is_in_a_spool(tmp_path: Path) -> None:
    """Its messages and bytes, while nobody acknowledges them; a node without a spool has no such metric."""
    spool = {"connect": f"tcp://127.0.0.1:{free_port()}", "socket_type": "DEALER", "linger": 0}
    with watched(
        "--input", "STDIN", *part("output", "ZeroMQ", **spool, spool=str(tmp_path / "spool"))
    ) as one:
        one.node.write(b'{"a":1}\n' * 7)
        wait_for(
            lambda: samples(_openmetrics(one))["message_passing_spool_messages"]["output", "output"] == 7
        )
        found = samples(_openmetrics(one))
        assert found["message_passing_spool_bytes"]["output", "output"] >= 7 * len('{"a":1}')
    with watched("--input", "STDIN", "--output", "STDOUT") as one:
        assert b"message_passing_spool_" not in one.ask("/metrics")[1]


def test_how_far_an_input_lags_behind_its_stream(tmp_path: Path) -> None:
    """In the metrics and the state, while what follows it accepts nothing; a node without one has no such metric."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    try:
        server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.*"]))
        server.ask(lambda context: context.publish("logs.a", b'{"a":1}'))
        given = {"servers": server.url, "stream": "LOGS", "durable": "archive"}
        nowhere = {"servers": f"127.0.0.1:{free_port()}", "subject": "logs.b"}
        chain = (*part("input", "JetStream", **given), *part("output", "JetStream", **nowhere))
        with watched(*chain) as one:
            wait_for(lambda: b"message_passing_lag_messages" in one.ask("/metrics")[1], timeout=20)
            assert samples(_openmetrics(one))["message_passing_lag_messages"]["input", "input"] == 1
            lags = {each["id"]: each.get("lag") for each in json.loads(one.ask("/state")[1])["components"]}
            assert lags["input"] == 1
            assert lags["output"] is None
    finally:
        server.kill()


def _openmetrics(one: Watched) -> str:
    status, body = one.ask("/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert status == 200
    return body.decode()


def test_what_aggregate_has_counted() -> None:
    """The last window's results, by key and field; a key that a stranger chose breaks nothing."""
    options = {"window": 0.2, "lateness": 0, "key": ["k"], "values": {"n": "count", "p95": "p95(x)"}}
    aggregate = ("--filter", "Aggregate", "--filter_options", json.dumps(options))
    with watched("--input", "STDIN", *aggregate, "--output", "STDOUT") as one:
        one.node.write(b'{"k":"a\\"b\\n","x":7}\n{"k":"a\\"b\\n"}\n')
        found = (
            wait_for(lambda: samples(_openmetrics(one)).get("message_passing_aggregate"), timeout=20) or {}
        )
    assert ("filter", "n", 'a"b\\n') in found
    assert set(found.values()) <= {2.0, 7.0, 1.0}


def test_bytes_are_those_of_the_messages() -> None:
    """In and out, whatever is lost in between and however they are packed into batches."""
    port, out = free_port(), free_port()
    words = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="PULL"),
        *("--decoder", "Null", "--encoder", "Null"),
        *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{out}", socket_type="PUSH"),
    ]
    with (
        watched(*words) as one,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as sender,
        context.socket(zmq.PULL) as receiver,
    ):
        receiver.bind(f"tcp://127.0.0.1:{out}")
        sender.connect(f"tcp://127.0.0.1:{port}")
        sizes = [number % 500 for number in range(5000)]
        for size in sizes:
            sender.send(b"x" * size)
        for _ in sizes:
            receiver.recv()
        wait_for(lambda: _bytes(one) == (sum(sizes), sum(sizes)))


def _bytes(one: Watched) -> tuple[float, float]:
    found = samples(_openmetrics(one))
    names = ("message_passing_received_bytes_total", "message_passing_sent_bytes_total")
    received, sent = (sum(found[name].values()) for name in names)
    return received, sent


@needs_prometheus
def test_the_alert_rules_do_what_they_promise() -> None:
    """By Prometheus' own tests of rules: each fires when it should, and for a healthy node none does."""
    checked = subprocess.run(
        ["promtool", "test", "rules", "alerts.test.yml"],  # noqa: S607 - Debian's, on PATH
        cwd=ROOT / "tests" / "console",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_has_what_who_is_woken_needs() -> None:
    """`for`, a severity, a summary and a description, and a test."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    tested = (ROOT / "tests" / "console" / "alerts.test.yml").read_text()
    for rule in group["rules"]:
        assert rule["for"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert tested.count(f"alertname: {rule['alert']}\n") + tested.count(f"{rule['alert']}}}") >= 2


@needs_prometheus
def test_the_guide_s_scrape_is_what_prometheus_takes(tmp_path: Path) -> None:
    """With the rules in it."""
    (scrape,) = (block.text for block in blocks(ROOT / "docs/guide-operate.md") if block.language == "yaml")
    (tmp_path / "prometheus.yml").write_text(scrape)
    shutil.copy(RULES, tmp_path / "alerts.yml")
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert checked.returncode == 0, checked.stderr
    assert b"10 rules found" in checked.stdout


@needs_prometheus
def test_a_condition_becomes_an_alert(tmp_path: Path) -> None:
    """The guide's rule fires for the counter that the guide's chain exposes."""
    routes, rule = (one for one in blocks(ROOT / "docs/guide-filters.md") if one.language == "yaml")
    (tmp_path / "routes.yaml").write_text(routes.text)
    with watched("routes.yaml", cwd=tmp_path) as one:
        one.node.write(b'{"level":"ERROR"}\n')
        found = wait_for(lambda: [line for line in _openmetrics(one).splitlines() if 'route="2"' in line])
    name, _, labels = str(found[0]).rpartition(" ")[0].partition("{")
    (tmp_path / "rules.yml").write_text(rule.text)
    firing = {"expr": "count(ALERTS{alertstate='firing'})"}
    test = {
        "interval": "1m",
        "input_series": [{"series": f'{name}{{instance="a",{labels}', "values": "0x10 0+3x10"}],
        "promql_expr_test": [
            {**firing, "eval_time": "10m", "exp_samples": []},
            {**firing, "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]},
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [test]}))
    command = ["promtool", "test", "rules", "test.yml"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


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


def _components(one: Watched) -> dict[str, Any]:
    """Those of `/state`, by their ids."""
    return {each["id"]: each for each in json.loads(one.ask("/state")[1])["components"]}


def test_how_many_messages_took_each_route(tmp_path: Path) -> None:
    """In the metrics and the state; those that took none have no name. A node without routes has no such metric."""
    routes = [{"when": "x == 1", "to": "a"}, {"when": "x == 2", "to": "b"}]
    config = {
        "inputs": {"in": {"class": "STDIN", "output_to": "read"}},
        "decoders": {"read": {"class": "JSON", "output_to": routes}},
        "outputs": {"a": {"class": "Null"}, "b": {"class": "Null"}},
    }
    (tmp_path / "a.json").write_text(json.dumps(config))
    with watched(str(tmp_path / "a.json")) as one:
        one.node.write(b'{"x":1}\n{"x":2}\n{"x":1}\n{}\n')
        wait_for(lambda: 'to=""} 1' in _openmetrics(one), timeout=20)
        kind = ("read routes", "filter")
        assert samples(_openmetrics(one))["message_passing_messages_routed_total"] == {
            (*kind, "1", "a"): 2,
            (*kind, "2", "b"): 1,
            (*kind, "else", ""): 1,
        }
        components = _components(one)
        assert components["read routes"]["routes"][1] == {"when": "x == 2", "to": ["b"], "matched": 1}
        # Its counts are of the last sample: perhaps before that of the metrics.
        wait_for(lambda: _components(one)["read routes"]["filtered"] == 1, timeout=20)
        assert "routes" not in components["read"]
