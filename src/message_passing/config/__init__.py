"""Config files and option texts: their values, the position of each in its file, and the chain they declare."""
