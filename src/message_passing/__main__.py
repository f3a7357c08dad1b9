"""`python -m message_passing` is the command `message-passing`."""

from message_passing.cli.main import main

main()
