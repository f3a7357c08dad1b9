"""Redis: what its inputs and outputs share, the connection and its options."""
