"""The built-in outputs, one in each module."""
