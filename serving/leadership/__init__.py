"""What a leader asks for: the bridge of ARR, retention, forecast, capacity of CSMs, and the economics of accounts."""
