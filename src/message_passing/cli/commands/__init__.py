"""The commands besides running a chain: one module for each, named as the command is."""
