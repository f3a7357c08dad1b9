"""The tests in a config file, run on its chain by `message-passing test`."""
