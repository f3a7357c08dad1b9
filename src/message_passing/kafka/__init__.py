"""Kafka: what its input and output share, from the connection to the topic."""
