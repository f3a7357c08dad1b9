"""The command's main job, running a chain: its words, its life as a process or daemon, and its reload."""
