"""Warnings and uncaught exceptions, of threads too, as records. What Python prints is printed still."""

import logging
import threading
import warnings

from message_passing.logging import ZeroMQHandler, hooks

logging.getLogger().addHandler(ZeroMQHandler("tcp://127.0.0.1:5558", service="shop"))
logging.captureWarnings(capture=True)  # to the logger py.warnings
hooks.install()  # to the logger uncaught

warnings.warn("this will be removed", DeprecationWarning, stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0, name="worker-1")
thread.start()
thread.join()
raise LookupError("nobody catches this")
