"""Who sends: a name that no other process, on any machine at any time, has."""

from __future__ import annotations

import os
import socket
import time


def sender_name() -> str:
    """Host, process id and the moment of this call: `web-1:4711:18a2b3c4d5e6f708`."""
    return f"{socket.gethostname()}:{os.getpid()}:{time.time_ns():x}"
