"""Where snapshots are kept: a compacted topic, or a folder at any URL."""
