"""gunicorn reads this file by itself (gunicorn wsgi_app:application): its logs and its workers' arrive."""

workers = 2
accesslog = None  # "-" makes gunicorn log each request, to the logger gunicorn.access
logconfig_dict = {
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
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True},
        "gunicorn.access": {"level": "INFO", "propagate": True},
    },
}
