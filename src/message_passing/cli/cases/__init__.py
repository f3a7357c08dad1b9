"""The command `message-passing test`: the cases that a config file carries, run on its chain."""
