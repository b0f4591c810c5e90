"""An engine that evaluates expressions over columns in memory, for the few rows of one request."""
