"""An application that logs numbered records with a spool, and notes which of them have been accepted.

    python accepting.py NAME ENDPOINT SPOOL JOURNAL

Records are accepted once `flush` has said that they are on disk. The JOURNAL then gets a line with the first of their
numbers and the one after the last. A new life begins with numbers of its own. It ends when it gets a SIGTERM.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

from message_passing.logging import ZeroMQHandler

BATCH, PAUSE = 20, 0.05
LIFE = 1_000_000
"""How far the numbers of two lives are apart."""


def main(name: str, endpoint: str, spool: str, journal: Path) -> None:
    """Log until told to end."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    handler = ZeroMQHandler(endpoint, socket_type="DEALER", spool=spool, ack_timeout=3, linger=30_000)
    log = logging.getLogger(name)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    noted = journal.read_text(encoding="ascii") if journal.exists() else ""
    number = LIFE * (noted.count("begun") + 1)
    with journal.open("a", encoding="ascii") as notes:
        print("begun", file=notes, flush=True)
        while not ending.wait(PAUSE):
            first, number = number, number + BATCH
            for n in range(first, number):
                log.info("request", extra={"n": n})
            if handler.flush(60):
                print(first, number, file=notes, flush=True)
    handler.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
