"""Published snapshots: files, caches and the live state that answers requests."""
