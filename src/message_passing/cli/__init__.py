"""The command `message-passing`: running a chain, its other commands, and the base of custom commands."""
