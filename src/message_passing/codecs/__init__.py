"""Encoder and decoder of each format, together in its own module."""
