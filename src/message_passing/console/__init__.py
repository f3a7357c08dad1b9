"""Watching a running node from outside: what it serves over HTTP, and its clients."""
