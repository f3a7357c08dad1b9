"""Django: LOGGING, a middleware, and wsgi.py, in one file to try (python django_app.py runserver --noreload).

In production: gunicorn django_app:application, with the gunicorn.conf.py beside it.
"""

import logging
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from message_passing.logging.context import WSGIMiddleware, bind

log = logging.getLogger("shop")

# settings.py
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "zeromq": {
            "class": "message_passing.logging.ZeroMQHandler",
            "connect": "tcp://127.0.0.1:5558",
            "service": "shop",
        },
    },
    "root": {"handlers": ["console", "zeromq"], "level": "INFO"},
}
MIDDLEWARE = [
    # "django.contrib.sessions.middleware.SessionMiddleware",
    # "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_app.bind_user",
]


def bind_user(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware, after AuthenticationMiddleware: the user's name in every record from here on."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            bind(user=user.get_username())
        return get_response(request)

    return middleware


# views.py
def order(_: HttpRequest, number: int) -> HttpResponse:
    log.info("order %d viewed", number, extra={"order": number})
    if number == 0:
        raise LookupError("there is no order 0")
    return HttpResponse("ok")


urlpatterns = [path("orders/<int:number>", order)]

# wsgi.py
if not settings.configured:
    settings.configure(
        ROOT_URLCONF="django_app",
        WSGI_APPLICATION="django_app.application",
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        LOGGING=LOGGING,
        MIDDLEWARE=MIDDLEWARE,
    )
application = WSGIMiddleware(get_wsgi_application())

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
