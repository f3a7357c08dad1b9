"""An output of one's own that posts batches of JSON lines over HTTP."""

import asyncio
import urllib.error
import urllib.request
from types import MappingProxyType

from message_passing import option
from message_passing.errors import EncodingError
from message_passing.network.backoff import RetryLater, seconds_of
from message_passing.network.output import NetworkOutput


class HTTPLines(NetworkOutput):
    """Posts messages to a URL, a line each, many in one request."""

    name = "HTTPLines"
    example = MappingProxyType({"url": "http://localhost:8080/logs"})

    url: str = option(description="Where to post to.", pattern="https?://.+")
    content_type: str = option(default="application/x-ndjson", description="What the body is said to be.")

    async def send(self, messages: list[bytes]) -> None:
        await asyncio.to_thread(self._post, b"\n".join([*messages, b""]))

    def _post(self, body: bytes) -> None:
        request = urllib.request.Request(self.url, body, {"Content-Type": self.content_type})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                response.read()
        except urllib.error.HTTPError as error:
            if error.code in (408, 429) or error.code >= 500:
                raise RetryLater(str(error), seconds_of(error.headers.get("Retry-After"))) from error
            raise EncodingError(f"refused: {error}") from error
        except urllib.error.URLError as error:
            raise RetryLater(f"{self.url}: {error.reason}") from error
