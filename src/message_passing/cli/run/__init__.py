"""Running a chain, the command's main job: its arguments, its process or daemon, and its reload."""
