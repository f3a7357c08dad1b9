"""The tests that a config file carries, run on its chain: what `message-passing test` does."""
