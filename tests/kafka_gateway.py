"""What a secured Kafka listener does, in front of Tansu, which has neither TLS nor users of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import struct
import threading
from typing import TYPE_CHECKING

from message_passing.testing import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Mapping

_SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 17, 18, 36
"""Kinds of requests (kafka.apache.org/protocol, "API Keys")."""

_UNSUPPORTED_MECHANISM, _AUTHENTICATION_FAILED = 33, 58
"""Errors ("Error Codes" there)."""

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _plain(users: Mapping[str, str]) -> Generator[bytes, bytes, bytes | None]:
    """RFC 4616."""
    _, user, password = (yield b"").split(b"\0")
    return b"" if users.get(user.decode()) == password.decode() else None


def _scram(users: Mapping[str, str], kind: str) -> Generator[bytes, bytes, bytes | None]:
    """RFC 5802, without channel binding."""

    def proof(key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, kind)

    bare = (yield b"").removeprefix(b"n,,")
    said = dict(one.split(b"=", 1) for one in bare.split(b","))
    password, salt = users.get(said[b"n"].decode(), ""), secrets.token_bytes(16)
    nonce = said[b"r"] + secrets.token_hex(8).encode()
    first = b"r=%b,s=%b,i=4096" % (nonce, base64.b64encode(salt))
    last = yield first
    without, given = last.rsplit(b",p=", 1)
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), salt, 4096)
    key, together = proof(salted, b"Client Key"), b",".join((bare, first, without))
    signature = proof(hashlib.new(kind, key).digest(), together)
    wanted = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    if not password or without != b"c=biws,r=" + nonce or base64.b64decode(given) != wanted:
        return None
    return b"v=" + base64.b64encode(proof(proof(salted, b"Server Key"), together))


class KafkaGateway:
    """Listens with TLS and SASL, each if it is wanted, and passes everything else on to a broker.

    Attributes:
        port: where it listens.
        logins: the mechanism and the user of each attempt, and whether it was let in.
    """

    def __init__(self, users: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None) -> None:
        """Prepare it; `start` starts it.

        Args:
            users: their passwords; without them nobody has to log in.
            context: with the server's certificate; without it nothing is encrypted.
        """
        self.port = free_port()
        self.logins: list[tuple[str, str, bool]] = []
        self._users, self._context = users, context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self, broker: int) -> None:
        """Listen, for a broker at that port."""
        self._broker = broker
        self._thread.start()
        given = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(given, self._loop).result(20)

    def end(self) -> None:
        """Close everything."""

        async def closed() -> None:
            self._server.close()
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.sleep(0)  # others may have been accepted meanwhile

        asyncio.run_coroutine_threadsafe(closed(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            inner, outer = await asyncio.open_connection("127.0.0.1", self._broker)
            writers.append(outer)
            if self._users is None or await self._logged_in(reader, writer, inner, outer):
                both = [asyncio.ensure_future(_copy(*ends)) for ends in ((reader, outer), (inner, writer))]
                try:
                    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for one in both:
                        one.cancel()
                    await asyncio.gather(*both, return_exceptions=True)
        for line in writers:
            line.transport.abort()

    async def _logged_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner: asyncio.StreamReader,
        outer: asyncio.StreamWriter,
    ) -> bool:
        """Whether a client may use the broker; until then it may only ask which requests there are."""
        mechanism, user, login = "", b"", _plain({})
        while True:
            frame = await _frame(reader)
            kind, _, number, length = struct.unpack_from(">hhih", frame)
            body = frame[10 + max(0, length) :]
            if kind == _API_VERSIONS:
                outer.write(struct.pack(">i", len(frame)) + frame)
                answer = await _frame(inner)
            elif kind == _SASL_HANDSHAKE:
                mechanism = body[2:].decode()
                error = 0 if mechanism in MECHANISMS else _UNSUPPORTED_MECHANISM
                users = self._users or {}
                hashed = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}.get(mechanism)
                login = _scram(users, hashed) if hashed else _plain(users)
                next(login)
                known = b"".join(struct.pack(">h", len(one)) + one.encode() for one in MECHANISMS)
                answer = struct.pack(">ihi", number, error, len(MECHANISMS)) + known
            elif kind == _SASL_AUTHENTICATE:
                text, done = body[4:], False
                user = user or (text.split(b"\0")[1] if mechanism == "PLAIN" else text[5:].split(b",")[0])
                last: bytes | None = None
                try:
                    last = login.send(text)
                except StopIteration as end:
                    last, done = end.value, True
                    self.logins.append((mechanism, user.decode(), last is not None))
                if last is None:
                    why = b"Authentication failed"
                    writer.write(
                        _sized(
                            struct.pack(">ihh", number, _AUTHENTICATION_FAILED, len(why)) + why + bytes(12)
                        )
                    )
                    await writer.drain()
                    await asyncio.sleep(0.05)  # it is sent before the connection ends
                    return False
                answer = struct.pack(">ihhi", number, 0, -1, len(last)) + last + bytes(8)
                if done:
                    writer.write(_sized(answer))
                    return True
            else:
                return False
            writer.write(_sized(answer))


def _sized(answer: bytes) -> bytes:
    return struct.pack(">i", len(answer)) + answer


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
