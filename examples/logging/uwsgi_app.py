"""For uWSGI, with threads or without: uwsgi --http-socket :8080 --module uwsgi_app --master --processes 2."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from message_passing.logging import ZeroMQHandler

logging.basicConfig(level=logging.INFO, handlers=[ZeroMQHandler("tcp://127.0.0.1:5558")])
log = logging.getLogger("shop")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    log.info("request for %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
