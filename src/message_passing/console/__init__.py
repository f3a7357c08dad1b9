"""A running node, watched from outside: what it tells over HTTP, and who asks."""
