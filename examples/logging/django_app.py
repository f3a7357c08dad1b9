"""Django: a LOGGING setting, and a small site to try it with (python django_app.py runserver --noreload)."""

import logging
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "zeromq": {
            "class": "message_passing.logging.ZeroMQHandler",
            "connect": "tcp://logs.example:5558",
            "service": "shop",
        },
    },
    "root": {"handlers": ["zeromq"], "level": "INFO"},
}

log = logging.getLogger("shop")


def order(_: HttpRequest, number: int) -> HttpResponse:
    log.info("order %d looked at", number, extra={"order": number})
    if number == 0:
        raise LookupError("there is no order 0")
    return HttpResponse("ok")


urlpatterns = [path("orders/<int:number>", order)]

if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=__name__, LOGGING=LOGGING, ALLOWED_HOSTS=["127.0.0.1"])
    execute_from_command_line(sys.argv)
