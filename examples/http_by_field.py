"""An output of one's own that posts messages to where a field of them says, in batches."""

import asyncio
import re
import urllib.error
import urllib.request
from types import MappingProxyType
from typing import Any

from message_passing import option
from message_passing.dotted import value_at
from message_passing.errors import EncodingError
from message_passing.network.backoff import RetryLater, seconds_of
from message_passing.network.output import NetworkOutput


class HTTPByField(NetworkOutput):
    """Posts messages, a line each, to a URL with the value of a field in it."""

    name = "HTTPByField"
    example = MappingProxyType({"url": "http://localhost:8080/logs/{}", "field": "service"})
    takes_objects = True

    url: str = option(description="Where to post to; {} is the field's value.", pattern=r"https?://.+\{\}.*")
    field: str = option(description="The field.", min_length=1)

    def target_of(self, message: Any) -> str:
        value = value_at(message, self.field)
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value):
            raise EncodingError(f"the field {self.field!r} is no name to post to: {str(value)[:50]!r}")
        return self.url.replace("{}", value)

    async def send_to(self, target: str, messages: list[bytes]) -> None:
        await asyncio.to_thread(self._post, target, b"\n".join([*messages, b""]))

    def _post(self, url: str, body: bytes) -> None:
        request = urllib.request.Request(url, body, {"Content-Type": "application/x-ndjson"})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                response.read()
        except urllib.error.HTTPError as error:
            if error.code in (408, 429) or error.code >= 500:
                raise RetryLater(str(error), seconds_of(error.headers.get("Retry-After"))) from error
            raise EncodingError(f"refused: {error}") from error
        except urllib.error.URLError as error:
            raise RetryLater(f"{url}: {error.reason}") from error
