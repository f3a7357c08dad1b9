"""An application of the cluster demo: logs records with numbers until its input ends, and says how many they were.

Each record is on disk (`spool`) before it is sent, and stays there until an aggregator has acknowledged it.
"""

import logging
import select
import sys

from message_passing.logging import ZeroMQHandler

PAUSE = 0.01
"""Seconds between a few records and the next few."""


def main(name: str, spool: str, aggregators: list[str]) -> None:
    """Log until standard input ends. Records go to the first aggregator that is there."""
    handler = ZeroMQHandler(aggregators, socket_type="DEALER", spool=spool, ack_timeout=3, linger=60_000)
    log = logging.getLogger(name)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    number = 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for _ in range(5):
            number += 1
            log.info("request %d handled", number, extra={"number": number})
    handler.close()
    print(number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
