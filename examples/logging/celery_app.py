"""Celery: each record of a task has its id, and that of the request that sent it (celery -A celery_app worker)."""

import logging

from celery import Celery
from celery.signals import setup_logging

from message_passing.logging import ZeroMQHandler
from message_passing.logging.context import connect_celery_signals

app = Celery("shop", broker="redis://127.0.0.1:6379")
log = logging.getLogger("shop")
connect_celery_signals()


@setup_logging.connect  # so that Celery does not set up logging itself
def configure(**_: object) -> None:
    handler = ZeroMQHandler("tcp://127.0.0.1:5558", service="shop")
    logging.basicConfig(level=logging.INFO, handlers=[handler, logging.StreamHandler()])


@app.task
def pay(order: int) -> None:
    log.info("order %d paid", order, extra={"order": order})
