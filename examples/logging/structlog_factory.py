"""structlog, with loggers of ours: for who wants names, or a text made by the last processor."""

import structlog

from message_passing.logging import ZeroMQHandler
from message_passing.logging.structlog import LoggerFactory

structlog.configure(
    processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
    logger_factory=LoggerFactory(ZeroMQHandler("tcp://127.0.0.1:5558", service="shop")),
)

structlog.get_logger("shop.orders").warning("order late", order=12)
