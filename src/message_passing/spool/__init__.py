"""The spool: a bounded queue of frames on disk, in an SQLite database, which survives kill -9 and power loss."""
