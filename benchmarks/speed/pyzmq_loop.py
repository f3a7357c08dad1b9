"""A receiver as one would write it in ten lines: takes what is ready, up to a thousand, and writes it at once.

python pyzmq_loop.py ENDPOINT FILE
"""

import sys
from pathlib import Path

import zmq

socket: zmq.Socket[bytes] = zmq.Context().socket(zmq.PULL)
socket.bind(sys.argv[1])
with Path(sys.argv[2]).open("ab", buffering=0) as file:
    while True:
        batch = [socket.recv()]
        try:
            while len(batch) < 1000:
                batch.append(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            pass
        file.write(b"\n".join(batch) + b"\n")
