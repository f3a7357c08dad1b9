"""The command `message-passing`: running a chain, its other commands, and what commands of one's own are made of."""
