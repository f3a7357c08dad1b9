"""The ZeroMQ transport: what the input, the output and the log handler share."""
