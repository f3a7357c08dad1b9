"""loguru takes a handler as a sink. The format keeps the traceback out of the message: it is a field."""

from loguru import logger

from message_passing.logging import ZeroMQHandler

logger.add(ZeroMQHandler("tcp://127.0.0.1:5558", service="shop"), format=lambda _: "{message}")

logger.bind(order=12).success("order paid")
try:
    1 / 0  # noqa: B018
except ZeroDivisionError:
    logger.exception("cannot divide")
