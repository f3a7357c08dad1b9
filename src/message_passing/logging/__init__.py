"""Logging from applications over ZeroMQ: for the standard library's logging, structlog and loguru.

import logging
from message_passing.logging import ZeroMQHandler

logging.getLogger().addHandler(ZeroMQHandler(connect="tcp://logs.example:5558"))
"""

from message_passing.logging.chain_handler import MessagePassingHandler
from message_passing.logging.handler import ZeroMQHandler

__all__ = ["MessagePassingHandler", "ZeroMQHandler"]
