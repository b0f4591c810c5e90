"""Published snapshots: files, caches and the live state from which requests are answered."""
