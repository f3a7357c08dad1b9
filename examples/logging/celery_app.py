"""Celery: a receiver of `setup_logging` keeps Celery from setting up logging itself (celery -A celery_app worker)."""

import logging

from celery import Celery
from celery.signals import setup_logging

from message_passing.logging import ZeroMQHandler

app = Celery("shop", broker="redis://127.0.0.1:6379")
log = logging.getLogger("shop")


@setup_logging.connect
def configure(**_: object) -> None:
    handler = ZeroMQHandler("tcp://logs.example:5558", service="shop")
    logging.basicConfig(level=logging.INFO, handlers=[handler])


@app.task
def pay(order: int) -> None:
    log.info("order %d paid", order, extra={"order": order})
