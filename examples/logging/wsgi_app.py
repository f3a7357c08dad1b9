"""An application for gunicorn: it logs and knows nothing of handlers."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger("shop")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    log.info("request for %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
