"""The built-in filters, one in each module."""
