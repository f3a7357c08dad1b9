"""FastAPI under uvicorn: the same settings for the application, the server and its access log."""

import logging
import sys

import uvicorn
from fastapi import FastAPI

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

app = FastAPI()
log = logging.getLogger("shop")


@app.get("/orders/{number}")
async def order(number: int) -> str:
    log.info("order %d looked at", number, extra={"order": number})
    return "ok"


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=LOGGING)
