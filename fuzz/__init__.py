"""Fuzzing: a function of bytes for everything that takes what others wrote, and the inputs that are kept."""
