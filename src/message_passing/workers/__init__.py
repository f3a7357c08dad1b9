"""`--workers N`: decoder, filter and encoder in N processes between one input and one output."""

MOST_WORKERS = 256
"""Each is a Python process of some 25 MB, and has descriptors here: a port's number in its place starts none."""
