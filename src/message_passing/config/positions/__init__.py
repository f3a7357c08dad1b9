"""The position of each key in a config file: a scanner for each format."""
