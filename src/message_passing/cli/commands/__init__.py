"""The commands besides running a chain: one module each, named after the command."""
