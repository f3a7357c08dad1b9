"""gunicorn reads this file by itself (gunicorn django_app:application): its logs and its workers' arrive."""

workers = 2
accesslog = "-"  # each request, to the logger gunicorn.access; None: not
logconfig_dict = {
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
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True},
        "gunicorn.access": {"level": "INFO", "propagate": True},
    },
}
