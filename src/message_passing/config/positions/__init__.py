"""Where in a config file each key stands: a scanner for each format."""
