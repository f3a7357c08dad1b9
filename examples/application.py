"""An application that logs over ZeroMQ: it works, and never waits for whoever reads the log.

python application.py tcp://127.0.0.1:5558
"""

import socket
import sys
import time

from message_passing.codecs.json import JSONEncoder
from message_passing.outputs.zeromq import ZeroMQOutput


def main(endpoint: str, count: int) -> None:
    output = ZeroMQOutput(connect=endpoint)
    with JSONEncoder(output_to=output) as log:
        for number in range(count):
            log.consume(
                {
                    "epochtime": time.time(),
                    "hostname": socket.gethostname(),
                    "level": "ERROR" if number % 10 == 9 else "INFO",
                    "message": f"request {number} done",
                }
            )
    counted = output.snapshot()
    print(f"sent {counted['passed']}, lost {sum(counted['dropped'].values())}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100)
