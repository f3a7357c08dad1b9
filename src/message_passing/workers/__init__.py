"""`--workers N`: decoder, filter and encoder in N processes between one input and one output."""
