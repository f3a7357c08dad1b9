"""The built-in inputs, one in each module."""
