"""The command `message-passing check`: all mistakes of a chain at once, and on request what its ends say."""
