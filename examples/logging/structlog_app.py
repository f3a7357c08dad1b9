"""structlog: every key of an event arrives as a field."""

import structlog

from message_passing.logging import ZeroMQHandler
from message_passing.logging.structlog import SendTo

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        SendTo(ZeroMQHandler("tcp://127.0.0.1:5558", service="shop")),
    ]
)

log = structlog.get_logger().bind(request="4711")
log.info("order paid", order=12, name="Jo")
try:
    1 / 0  # noqa: B018
except ZeroDivisionError:
    log.exception("cannot divide")
