"""JetStream's components at a leaf node, and with a cluster that wants TLS, certificates and passwords."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine_parts import Delivering, certificate, numbers, numbers_in
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.delivery import Outcome
from message_passing.inputs.jetstream import JetStreamInput
from message_passing.jetstream import pulling
from message_passing.jetstream.diagnosis import JetStreamDiagnosis
from message_passing.outputs.jetstream import JetStreamOutput
from message_passing.testing import free_port, run_input, running, wait_for
from nats_server import NatsServer, cluster
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def delivered(count: int, first: int, **options: Any) -> JetStreamOutput:
    """Store so many messages, which has to succeed."""
    to = JetStreamOutput(
        subject="logs.app", retry_longest=0.1, reconnect_longest=0.1, error=Kept(), **options
    )
    source = Delivering(batches=[numbers(count, first)], output_to=JSONEncoder(output_to=to))
    run_input(source, timeout=60)
    assert source.outcomes == [Outcome.DELIVERED], to.problems()
    return to


def test_nodes_at_a_leaf_use_the_stream_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `domain`: it is created, filled, read and acknowledged there; a hub that is killed is waited for."""
    monkeypatch.setattr(pulling, "_HEARTBEAT", 0.5)
    monkeypatch.setattr(pulling, "_SILENCE", 1.5)  # the leaf does not say that the hub is away
    port = free_port()
    hub = NatsServer(
        tmp_path / "hub",
        f'leafnodes {{ listen: "127.0.0.1:{port}" }}\njetstream {{ store_dir: "{tmp_path}/h", domain: hub }}',
    )
    leaf = NatsServer(
        tmp_path / "leaf",
        f'leafnodes {{ reconnect: "100ms", remotes: [ {{ url: "nats://127.0.0.1:{port}" }} ] }}\n'
        f'jetstream {{ store_dir: "{tmp_path}/l", domain: leaf }}',
    )
    hub.start()
    leaf.start()
    try:
        wait_for(lambda: b"Leafnode connection created" in leaf.log(), timeout=20)
        given: dict[str, Any] = {"servers": leaf.url, "stream": "LOGS", "domain": "hub"}
        delivered(300, 0, create=True, **given)
        assert len(hub.lines()) == 300
        to = Kept()
        source = JetStreamInput(
            durable="archive",
            ack_wait=2.0,
            reconnect_longest=0.1,
            error=Kept(),
            output_to=JSONDecoder(output_to=to),
            **given,
        )
        with running(source):
            wait_for(lambda: len(to.messages) == 300 and source.info()["lag"] == 0, timeout=20)
            hub.kill()
            hub.start()
            delivered(300, 300, timeout=1.0, **given)
            wait_for(lambda: set(numbers_in(to)) == set(range(600)), timeout=40)
            wait_for(lambda: source.info()["lag"] == 0, timeout=20)
        assert hub.ask(lambda it: it.consumer_info("LOGS", "archive")).num_ack_pending == 0
        steps = [*JetStreamDiagnosis(**given).examine(10)]
        assert [one.name for one in steps if not one.ok] == []
        assert "archive: 0 messages to be read" in "".join(one.text for one in steps)
        (own,) = (
            one for one in JetStreamDiagnosis(servers=leaf.url, stream="LOGS").examine(10) if not one.ok
        )
        assert own.text == "there is no stream 'LOGS'"
    finally:
        leaf.kill()
        hub.kill()


def test_a_cluster_with_certificates_and_passwords_loses_its_leader(tmp_path: Path) -> None:
    """Nothing is missing and nothing twice, and one who lacks the password or the certificate is told so."""
    for name, issuer in (("ca", ""), ("server", "ca"), ("client", "ca")):
        certificate(tmp_path, name, issuer)
    files = f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key"'
    tls = f'tls {{ {files}, ca_file: "{tmp_path}/ca.pem", verify: true }}'
    secured = f"{tls}\nauthorization {{ user: me, password: right }}"
    own = {"tls_cert": str(tmp_path / "client.pem"), "tls_key": str(tmp_path / "client.key")}
    access = {"tls_ca": str(tmp_path / "ca.pem"), "user": "me", "password": "right"}
    with cluster(tmp_path, 3, secured) as servers:
        urls = [one.url for one in servers]
        given: dict[str, Any] = {"servers": urls, "stream": "LOGS", **access, **own}
        delivered(200, 0, create=True, replicas=3, **given)
        to = Kept()
        source = JetStreamInput(
            durable="archive",
            ack_wait=2.0,
            reconnect_longest=0.1,
            error=Kept(),
            output_to=JSONDecoder(output_to=to),
            **given,
        )
        with running(source):
            wait_for(lambda: len(to.messages) >= 200, timeout=20)
            steps = {one.name: one for one in JetStreamDiagnosis(**{**given, "servers": urls[0]}).examine(20)}
            leader = next(one for one in servers if f"and {one.name} leads" in steps["stream"].text)
            leader.kill()
            delivered(200, 200, timeout=3.0, **given)
            wait_for(lambda: set(numbers_in(to)) == set(range(400)), timeout=60)
        rest = next(one.url for one in servers if one is not leader)
        for wrong, said in (
            ({**own, "password": "wrong"}, "the server refuses the credentials"),
            ({}, "the server wants this client's certificate: option tls_cert"),
        ):
            asked: dict[str, Any] = {**access, **wrong}
            (failed,) = (one for one in JetStreamDiagnosis(servers=rest, **asked).examine(10) if not one.ok)
            assert said in failed.text
            assert "wrong" not in json.dumps([failed.text, failed.advice])
