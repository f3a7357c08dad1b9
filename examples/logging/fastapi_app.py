"""FastAPI: every record of a request has its id and its user (uvicorn fastapi_app:app --log-config logging.json)."""

import logging
from typing import Annotated

from fastapi import Depends, FastAPI, Header

from message_passing.logging.context import ASGIMiddleware, bind

app = FastAPI()
app.add_middleware(ASGIMiddleware)
log = logging.getLogger("shop")


def signed_in(remote_user: Annotated[str | None, Header()] = None) -> None:
    """Stands for your own authentication: wherever you know the user, bind it."""
    bind(user=remote_user)


@app.get("/orders/{number}", dependencies=[Depends(signed_in)])
def order(number: int) -> str:
    log.info("order %d viewed", number, extra={"order": number})
    return "ok"
