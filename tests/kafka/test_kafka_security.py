"""Logging in to a Kafka broker, and TLS: Tansu, behind a listener that wants them."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine_parts import Delivering, certificate, numbers, numbers_in
from kafka_broker import Tansu
from kafka_gateway import KafkaGateway
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.delivery import Outcome
from message_passing.inputs.kafka import KafkaInput
from message_passing.kafka import topics
from message_passing.kafka.diagnosis import KafkaDiagnosis
from message_passing.outputs.kafka import KafkaOutput
from message_passing.testing import ListInput, run_input, running, wait_for
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USERS = {"me": "right"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: of two authorities, a server and a client."""
    found = tmp_path_factory.mktemp("certificates")
    for name, issuer in (("ca", ""), ("other", ""), ("server", "ca"), ("client", "ca")):
        certificate(found, name, issuer)
    return found


@contextmanager
def listener(
    folder: Path, *, users: bool = False, tls: bool = False, certificates: bool = False
) -> Iterator[KafkaGateway]:
    """A broker that wants these."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if context and certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
    gateway = KafkaGateway(USERS if users else None, context)
    broker = Tansu(folder, gateway.port)
    broker.start()
    gateway.start(broker.port)
    try:
        yield gateway
    finally:
        gateway.end()
        broker.end()


def output(gateway: KafkaGateway, **options: Any) -> KafkaOutput:
    """An output that tries again soon, and creates the topic."""
    given: dict[str, Any] = {
        "bootstrap_servers": f"127.0.0.1:{gateway.port}",
        "topic": "logs",
        "partitions": 1,
    }
    given |= {"create": True, "retry_longest": 0.1, "reconnect_longest": 0.1, "error": Kept()}
    return KafkaOutput(**{**given, **options})


def outcome(to: KafkaOutput) -> Outcome:
    """What becomes of a batch."""
    source = Delivering(batches=[numbers(50)], output_to=JSONEncoder(output_to=to))
    run_input(source, timeout=60)
    return source.outcomes[0]


def files(folder: Path, *, ca: str = "", own: str = "") -> dict[str, str]:
    """Options with certificates."""
    found = {"tls_ca": str(folder / f"{ca}.pem")} if ca else {}
    return found | (
        {"tls_cert": str(folder / f"{own}.pem"), "tls_key": str(folder / f"{own}.key")} if own else {}
    )


@pytest.mark.parametrize(
    ("mechanism", "tls"), [("PLAIN", True), ("SCRAM-SHA-256", False), ("SCRAM-SHA-512", True)]
)
def test_who_logs_in_stores_and_reads(
    folder: Path, mechanism: str, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way of logging in; the password comes from the environment, and is in no report."""
    monkeypatch.setenv("KAFKA_PASSWORD", "right")
    with listener(folder, users=True, tls=tls) as gateway:
        access: dict[str, Any] = {
            "username": "me",
            "password": "env:KAFKA_PASSWORD",
            "sasl_mechanism": mechanism,
        }
        access |= files(folder, ca="ca" if tls else "")
        to = output(gateway, **access)
        assert outcome(to) is Outcome.DELIVERED
        assert to.error.messages == []
        kept = Kept()
        source = KafkaInput(
            bootstrap_servers=f"127.0.0.1:{gateway.port}",
            topic="logs",
            group="archive",
            session_timeout=1.5,
            output_to=JSONDecoder(output_to=kept),
            **access,
        )
        with running(source):
            wait_for(lambda: sorted(numbers_in(kept)) == list(range(50)), timeout=20)
        assert {*gateway.logins} == {(mechanism, "me", True)}


def test_a_password_that_is_changed_is_read_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one is refused, and that is said without it; once it is right, everything is stored."""
    monkeypatch.setenv("KAFKA_PASSWORD", "wrong-one")
    with listener(folder, users=True) as gateway:
        to = output(gateway, username="me", password="env:KAFKA_PASSWORD", sasl_mechanism="SCRAM-SHA-512")
        with running(ListInput(messages=[b"1", b"2"], output_to=to)):
            wait_for(lambda: "the broker refuses the credentials" in str(to.problems()), timeout=20)
            monkeypatch.setenv("KAFKA_PASSWORD", "right")
            wait_for(lambda: not to.held(), timeout=20)
        said = str([one["exception"] for one in to.error.messages])
        assert "wrong-one" not in said
        assert {ok for _, _, ok in gateway.logins} == {True, False}


NOT_ACCEPTED = (
    "the server's certificate is not accepted: another authority has signed it (option tls_ca), or it is for"
)


@pytest.mark.parametrize(
    ("wants", "given", "said"),
    [
        ({"tls": True}, {"ca": "ca"}, ""),
        ({"tls": True, "certificates": True}, {"ca": "ca", "own": "client"}, ""),
        ({"tls": True}, {"ca": "other"}, NOT_ACCEPTED),
        ({"tls": True}, {"ca": "ca", "host": "localhost"}, NOT_ACCEPTED),
        (
            {"tls": True, "certificates": True},
            {"ca": "ca"},
            "does it want this client's certificate (option tls_cert)",
        ),
        (
            {"tls": True, "certificates": True},
            {"ca": "ca", "own": "other"},
            "does it accept this client's certificate",
        ),
        ({"tls": True}, {}, "the server wants TLS: the option tls"),
        ({}, {"ca": "ca"}, "the server offers no TLS"),
        ({"users": True}, {}, "does it want credentials (option username)"),
    ],
)
def test_what_a_listener_wants_is_said_where_it_lacks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wants: dict[str, bool], given: dict[str, str], said: str
) -> None:
    """By the output and by `doctor`; with it, messages are stored."""
    if wants == {}:
        monkeypatch.setattr(topics, "ASK_TIMEOUT", 1.0)  # the broker only waits
    with listener(folder, **wants) as gateway:
        place = f"{given.get('host', '127.0.0.1')}:{gateway.port}"
        options: dict[str, Any] = {
            "bootstrap_servers": place,
            **files(folder, ca=given.get("ca", ""), own=given.get("own", "")),
        }
        to = output(gateway, attempts=1, **options)
        assert outcome(to) is (Outcome.LOST if said else Outcome.DELIVERED)
        assert said in "".join(one["exception"] for one in to.error.messages)
        (step,) = [
            one for one in KafkaDiagnosis(**options).examine(10 if wants else 1) if one.name == "server"
        ]
        assert said in step.text
        assert step.ok is not bool(said)
