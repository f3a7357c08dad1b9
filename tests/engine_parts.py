"""Inputs, filters and outputs that the tests of all engines use."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ipaddress
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from message_passing.codecs.json import JSONEncoder
from message_passing.errors import MessagePassingError
from message_passing.flow import Filter, Input
from message_passing.testing import run_input
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from message_passing.delivery import Outcome
    from message_passing.flow import Output
    from nodes import Node


def numbers(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Messages with a number each."""
    return [{"n": number} for number in range(start, start + count)]


def numbers_in(kept: Kept) -> list[int]:
    """Those that came."""
    return [message["n"] for message in kept.messages]


@pytest.fixture(name="nodes")
def nodes_of_test() -> Iterator[list[Node]]:
    """Those that a test starts: what is left of them is killed."""
    found: list[Node] = []
    yield found
    for node in found:
        with contextlib.suppress(ProcessLookupError):
            node.signal(signal.SIGKILL)
        node.end()


class Delivering(Input):
    """Delivers batches, and ends when all are settled.

    Attributes:
        between: called before each batch with its number.
        outcomes: what became of them.
    """

    batches: Any = ()
    between: Any = None

    async def run(self) -> None:
        """Deliver."""
        self.outcomes: list[Outcome] = []
        for number, batch in enumerate(self.batches):
            if self.between:
                await asyncio.to_thread(self.between, number)
            self.deliver(batch, self.outcomes.append)
            await self.drain()
        async with asyncio.timeout(60):
            while len(self.outcomes) < len(self.batches):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def deliver(
    to: Output, batches: Sequence[list[Any]], between: Callable[[int], object] | None = None
) -> list[Outcome]:
    """What becomes of batches of objects, encoded as JSON."""
    source = Delivering(batches=batches, between=between, output_to=JSONEncoder(output_to=to))
    run_input(source, timeout=90)
    assert accounted_for(to)
    return source.outcomes


def reports(component: Any) -> str:
    """The texts of what it has reported, each in a line."""
    return "\n".join(one["exception"] for one in component.error.messages)


class Holding(Kept):
    """Keeps messages without being done with them, until it is told."""

    def on_init(self) -> None:
        """Nothing is held."""
        super().on_init()
        self.waiting: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Hold them."""
        super().write_many(messages)
        self.waiting.append(self.hold())

    def settle(self) -> bool:
        """Be done with all."""
        while self.waiting:
            self.waiting.pop().release()
        return True


class Losing(Filter):
    """Loses messages as long as `wants` says so of one."""

    wants: Any = None

    def filter(self, message: Any) -> Any:
        """Lose it, or not."""
        if self.wants(message):
            raise MessagePassingError("it was lost")
        return message


def certificate(folder: Path, name: str, issuer: str = "") -> None:
    """A certificate for 127.0.0.1 and its key, in files; by itself, it is an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, issued_by = key, subject
    if issuer:
        signer = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)  # type: ignore[assignment]
        issued_by = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes()).subject
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder(issued_by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .add_extension(host, critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(*form))


def claims(issuer: Any, subject: str, name: str, **nats: Any) -> str:
    """A JWT as NATS has them (docs.nats.io, "JWT Authentication"), signed by an NKey.

    Args:
        issuer: its key pair.
        subject: the public key that it is about.
        name: of that.
        nats: what it says of it: its `type`, for one.
    """

    def part(found: Any) -> str:
        raw = found if isinstance(found, bytes) else json.dumps(found).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    body = {"iat": 1_700_000_000, "iss": issuer.public_key.decode(), "sub": subject, "name": name}
    body["jti"] = hashlib.sha256(json.dumps([body, nats]).encode()).hexdigest()
    signed = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part({**body, 'nats': {'version': 2, **nats}})}"
    return f"{signed}.{part(issuer.sign(signed.encode()))}"
