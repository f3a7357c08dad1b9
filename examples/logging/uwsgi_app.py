"""For uWSGI, with threads or without: uwsgi --http-socket :8080 --module uwsgi_app --master --processes 2."""

import logging

from wsgi_app import application

from message_passing.logging import ZeroMQHandler

__all__ = ["application"]

logging.basicConfig(level=logging.INFO, handlers=[ZeroMQHandler("tcp://logs.example:5558")])
