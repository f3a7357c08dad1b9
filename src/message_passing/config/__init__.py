"""Config files and option texts: what they say, where in a file it stands, and the chain that they mean."""
