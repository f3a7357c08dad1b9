"""The NATS client, with what others send checked: no message, and no server, ends its reading unnoticed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from message_passing.errors import needs_extra

with needs_extra("jetstream"):
    from nats.aio.client import Client
    from nats.errors import ProtocolError
    from nats.protocol import parser

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.manager import JetStreamManager

API_TIMEOUT = 3.0
"""Seconds that the server may take to answer a question about a stream or consumer."""

# Parts of a line are separated by spaces and tabs (docs.nats.io, "Client Protocol"). The library takes any white
# space, while servers accept a vertical tab or form feed in a subject: it could never read past such a message.
parser.MSG_RE = re.compile(rb"\AMSG[ \t]+([^ \t\r\n]+)[ \t]+(\d+)[ \t]+(([^ \t\r\n]+)[ \t]+)?(\d+)\r\n")
parser.HMSG_RE = re.compile(
    rb"\AHMSG[ \t]+([^ \t\r\n]+)[ \t]+(\d+)[ \t]+(([^ \t\r\n]+)[ \t]+)?(\d+)[ \t]+(\d+)\r\n"
)


class CheckedClient(Client):
    """A client that reads messages with any subject and headers, and whose connection ends if it cannot read on.

    Servers store what others publish without a look at the headers, or whether a subject is UTF-8. Where the library
    raises for that, it stops reading, and remains connected.
    """

    domain = ""
    """The JetStream domain that questions go to: see `JetStreamComponent`."""

    @property
    def api_prefix(self) -> str:
        """How the subjects of JetStream's questions begin."""
        return f"$JS.{self.domain}.API" if self.domain else "$JS.API"

    def manager(self) -> JetStreamManager:
        """Asks about streams and consumers."""
        return self.jsm(prefix=self.api_prefix, timeout=API_TIMEOUT)

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except (IndexError, ValueError):  # no headers after the first line, or a status that is no UTF-8
            return None
        return found

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        readable = subject.decode(errors="replace").encode(), reply.decode(errors="replace").encode()
        made: Msg = super()._build_message(sid, *readable, data, headers)
        return made

    async def _read_loop(self) -> None:
        await super()._read_loop()
        if self.is_connected:  # it stopped for something that it had not foreseen
            await self._process_op_err(ProtocolError())

    def told(self, name: str) -> object:
        """What the server has said of itself."""
        said: Any = self._server_info
        return said.get(name) if isinstance(said, dict) else None

    def knows_server(self) -> bool:
        """Whether what the server has said of itself can be used."""
        most: Any = self.max_payload
        return isinstance(most, int) and most > 0
